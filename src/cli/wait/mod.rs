//! `rollcall wait`: for init containers. It ends when the peers that are waited for are there.

mod own;
mod progress;
mod waiting;
mod wish;

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::peers::{MinPeers, duration};
use super::service::ServiceFlags;
use crate::config::LogFormat;
use crate::peers::{Inquiry, OptionsError, Surroundings};
use crate::run;

use waiting::Plan;
use wish::{Own, Wish};

/// The command line itself is wrong, as clap has it.
const USAGE: u8 = 2;

/// Wait until peers of a headless service are there
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all that is waited for is there; 1 --timeout is over, or something is wrong; 2 bad command line; 128 and the number of a signal that ended it.\nWhat is missing is said on standard error when it changes, and every 10 s. The peers are learned as `rollcall peers` does.\n\n  rollcall wait --service db                           # somebody is there\n  rollcall wait --service db --min-peers quorum --timeout 5m\n  rollcall wait --service db --ordinal 0               # the first replica is\n  rollcall wait --service db --self-address            # our own name leads to us"
)]
pub(super) struct WaitFlags {
    #[command(flatten)]
    service: ServiceFlags,

    /// Wait for so many peers: a number, `all` that the StatefulSets should have, or `quorum`, more than half of them
    /// [default: 1; none with --ordinal or --self-address]
    #[arg(long, value_name = "N")]
    min_peers: Option<MinPeers>,

    /// Wait for the replica with this ordinal; may be repeated, or a comma list
    #[arg(long, value_name = "K", value_delimiter = ',')]
    ordinal: Vec<u64>,

    /// Wait until our own name gives our own address, and no other
    ///
    /// A pod that is not ready has its name only where the Service has `publishNotReadyAddresses: true`: an init container
    /// that waits for its own pod's name without it waits in vain.
    #[arg(long)]
    self_address: bool,

    /// With --self-address: our own addresses; may be repeated, or a comma list [default: POD_IPS and POD_IP, else those of the interfaces]
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "self_address")]
    address: Vec<IpAddr>,

    /// Wait at most so long; 0 is for ever
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    timeout: Duration,

    /// Say nothing but why it failed
    #[arg(long, short = 'q')]
    quiet: bool,
}

impl WaitFlags {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        // What it waits for is told by lines of its own; the log is for who looks for a fault.
        if std::env::var_os("ROLLCALL_LOG").is_some() {
            run::init_logging(LogFormat::Text);
        }
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(error) => {
                run::say_error(&format!("rollcall: {}", crate::source::chain(error.as_ref())));
                let is_usage = !matches!(error.downcast_ref(), Some(OptionsError::Tls(_)));
                return Ok(ExitCode::from(if is_usage { USAGE } else { 1 }));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(waiting::wait(plan));
        runtime.shutdown_background();
        result
    }

    /// What the flags and the pod say; whatever is missing is a bad command line.
    fn plan(&self) -> anyhow::Result<Plan> {
        let pod = Surroundings::of_this_pod();
        let options = self.service.options(&pod);
        let inquiry = Inquiry::new(&options)?;
        let own = self.self_address.then(|| self.own(&pod, &inquiry)).transpose()?;
        let is_bare = self.ordinal.is_empty() && own.is_none();
        let wish = Wish {
            min_peers: self.min_peers.or(is_bare.then_some(MinPeers::Count(1))),
            ordinals: self.ordinal.clone(),
            own,
        };
        let timeout = Some(self.timeout).filter(|timeout| !timeout.is_zero());
        Ok(Plan { options, inquiry, wish, timeout, quiet: self.quiet })
    }

    fn own(&self, pod: &Surroundings, inquiry: &Inquiry) -> anyhow::Result<Own> {
        let Some(host) = self.service.own(pod) else {
            anyhow::bail!("which of them are we? --self, POD_NAME or HOSTNAME says so");
        };
        if inquiry.name(&host).is_none() {
            anyhow::bail!("`{host}` is no host's name");
        }
        let addresses = own::addresses(&self.address, |key| std::env::var(key).ok())?;
        Ok(Own { host, addresses })
    }
}

//! `rollcall peers`: the sidecar that is told.

mod actions;
#[cfg(test)]
mod actions_tests;
mod command;
mod file;
mod finder;
mod following;
mod gate;
mod listen;
mod target;
mod template;
mod told;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::service::{SERVER, ServiceFlags};
use crate::config::LogFormat;
use crate::peers::{Options, OptionsError, Server, Surroundings};
use crate::run;

use actions::Actions;
use command::Command;
use file::{Form, Format};
use finder::Finder;
use following::Plan;
pub(super) use gate::{Gate, MinPeers, duration};
use listen::Listen;
use target::Target;
use template::Template;
use told::{Choice, Of};

/// A list that goes on changing is held back for at most so many times --debounce.
const MOST_DEBOUNCES: u32 = 10;
/// The command line itself is wrong, as clap has it.
const USAGE: u8 = 2;

/// Follow the peers of a headless service, and act on each change
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 ended by a signal, or --once did well; 1 something is wrong, or --timeout is over; 2 bad command line. With --once that of a hook that fails, and 128 and the number of a signal that ended it before it told a list.\nPeers are learned by push (RFC 8765) where it is to be had, else over a connection that asks for the zone's serial, else by polling; each event says which. An outage marks the last list as stale, and empties it never.\n\n  rollcall peers --service nginx --namespace default --server 127.0.0.1:5300 --once --output names\n  rollcall peers --service etcd --min-peers quorum --write /shared/peers --then 'reload'\n  rollcall peers --service db --on-start /scripts/start.sh --on-change '[\"/scripts/change\", \"--now\"]'\n  peer-finder -service=db -on-start=/start.sh -on-change=/change.sh"
)]
pub(super) struct PeersFlags {
    #[command(flatten)]
    service: ServiceFlags,

    /// What to print: an event a line as JSON, names a line with an empty line between two lists, or nothing
    #[arg(long, short = 'o', value_name = "FORM", value_enum, default_value = "json")]
    output: Output,

    /// Print one list and end, behind --write, --then and --on-start, which are not tried again
    #[arg(long)]
    once: bool,

    /// With --once: for how long to wait for a list that may be told
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s", requires = "once")]
    timeout: Duration,

    /// Run this for the first list, until it ends with 0; without it --on-change is
    ///
    /// A line for `sh -c`, or without a shell a JSON array: '["/bin/reload", "--now"]'. The peers are on its standard
    /// input, a name a line; ROLLCALL_EVENT, ROLLCALL_PEERS, ROLLCALL_ADDED, ROLLCALL_REMOVED, ROLLCALL_CHANGED,
    /// ROLLCALL_COUNT, ROLLCALL_EXPECTED, ROLLCALL_SELF, ROLLCALL_SERVICE, ROLLCALL_NAMESPACE and ROLLCALL_WAY are in its
    /// environment. Never two run at once; one that fails runs again, later each time, with the newest list.
    #[arg(long, value_name = "COMMAND")]
    on_start: Option<Command>,

    /// Run this for each change of the peers; what changes while it runs is one change
    #[arg(long, value_name = "COMMAND")]
    on_change: Option<Command>,

    /// Keep the list in this file, replaced in one step
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// What the file looks like
    #[arg(long, value_name = "FORM", value_enum, default_value = "plain", requires = "write")]
    format: Format,

    /// The template of --format template (docs/peers.md)
    #[arg(long, value_name = "FILE", required_if_eq("format", "template"), requires = "write")]
    template: Option<PathBuf>,

    /// Behind a new file, send this process a signal: PID[:SIGNAL] or PIDFILE[:SIGNAL], HUP where none is named
    #[arg(long, value_name = "PROCESS", requires = "write")]
    signal: Option<Target>,

    /// Behind a new file, run this, as --on-change is
    #[arg(long, value_name = "COMMAND", requires = "write")]
    then: Option<Command>,

    /// Tell a list when it has stood still for so long, at most ten times as long after its first change
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    debounce: Duration,

    /// Tell no list with fewer peers: a number, `all` that the StatefulSets should have, or `quorum`, more than half of them
    #[arg(long, value_name = "N", default_value = "0")]
    min_peers: MinPeers,

    /// Tell no list without our own host
    #[arg(long)]
    require_self: bool,

    /// Tell of peers that are ready alone; this is the default
    #[arg(long, conflicts_with = "all")]
    ready_only: bool,

    /// Tell also of replicas that should be there and are not, with "ready": false
    #[arg(long)]
    all: bool,

    /// Tell of replicas with an ordinal alone, and write it in front of each name
    #[arg(long)]
    ordinals: bool,

    /// Show the list over HTTP as well: a port of 127.0.0.1, or ADDRESS:PORT; not with --once
    ///
    /// /peers is the list as JSON, /peers/events are the events as server-sent events, /readyz is 200 once there is a
    /// list. On loopback it is for this pod (or machine) alone, and only under a name of loopback. On another address
    /// whoever reaches it reads the list.
    #[arg(long, value_name = "ADDR", conflicts_with = "once")]
    listen: Option<Listen>,

    /// Connections of --listen that may be open at one time, three quarters of them event streams; more wait
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(2..=4096), requires = "listen")]
    listen_connections: u16,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// An event a line
    Json,
    /// A name a line
    Names,
    /// Nothing
    None,
}

impl PeersFlags {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        run::init_logging(LogFormat::Text);
        match self.plan().and_then(follow) {
            Err(error) if is_usage(&error) => {
                run::say_error(&format!("rollcall: {}", crate::source::chain(error.as_ref())));
                Ok(ExitCode::from(USAGE))
            }
            result => result,
        }
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let pod = Surroundings::of_this_pod();
        let (options, own) = (self.service.options(&pod), self.service.own(&pod));
        let write =
            self.write.clone().map(|path| Ok::<_, anyhow::Error>((path, self.form()?))).transpose()?;
        let choice = Choice { all: self.all, ordinals: self.ordinals, by_name: false };
        let plan = Plan {
            gate: Gate { min_peers: self.min_peers, own: own.clone().filter(|_| self.require_self) },
            debounce: self.debounce,
            output: self.output,
            listen: self.listen.map(|listen| (listen, self.listen_connections.into())),
            once: self.once.then_some(self.timeout),
            at_once: false,
            actions: Arc::new(Actions {
                of: of(&options, own),
                choice,
                write,
                signal: self.signal.clone(),
                then: self.then.clone(),
                on_start: self.on_start.clone(),
                on_change: self.on_change.clone(),
            }),
            options,
        };
        if self.require_self && plan.gate.own.is_none() {
            return Err(NoSelf.into());
        }
        Ok(plan)
    }

    fn form(&self) -> anyhow::Result<Form> {
        Ok(match (self.format, &self.template) {
            (Format::Plain, _) => Form::Plain,
            (Format::Json, _) => Form::Json,
            (Format::Hosts, _) => Form::Hosts,
            (Format::Template, None) => anyhow::bail!("--format template needs --template FILE"),
            (Format::Template, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the template {}", path.display()))?;
                let template = Template::parse(&text);
                Form::Template(template.with_context(|| format!("the template {}", path.display()))?)
            }
        })
    }
}

/// `--require-self` and nothing says who we are.
#[derive(Debug, thiserror::Error)]
#[error("which of them are we? --self, POD_NAME or HOSTNAME says so")]
struct NoSelf;

/// What is missing or no name is the command line's; files are not: certificates and templates.
fn is_usage(error: &anyhow::Error) -> bool {
    let is_option = |error: &OptionsError| !matches!(error, OptionsError::Tls(_));
    error.is::<NoSelf>() || error.downcast_ref().is_some_and(is_option)
}

fn of(options: &Options, own: Option<String>) -> Of {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    Of { service: word(&options.service), namespace: word(&options.namespace), own }
}

/// Runs as peer-finder where the command line is its; None where it is not.
pub(super) fn as_peer_finder() -> Option<anyhow::Result<ExitCode>> {
    // What is no text is clap's to say, or ours below: `args` would end in a panic.
    let all: Vec<OsString> = std::env::args_os().collect();
    let arguments = finder::arguments(&all)?;
    run::init_logging(LogFormat::Text);
    match finder::texts(arguments).and_then(|arguments| Finder::parse(&arguments)) {
        Ok(finder) => Some(follow_as(finder)),
        Err(message) => {
            run::say_error(&message);
            Some(Ok(ExitCode::from(USAGE)))
        }
    }
}

/// What peer-finder does: nothing before our own name is there, on-start once, on-change from then on, names in order; a
/// script that fails is the end, and so is on-start without on-change.
fn follow_as(finder: Finder) -> anyhow::Result<ExitCode> {
    let pod = Surroundings::of_this_pod();
    let options = Options {
        service: Some(finder.service),
        namespace: finder.namespace,
        zone: finder.domain,
        servers: servers(std::env::var(SERVER).ok().as_deref())?,
        ..Options::default()
    };
    let options = options.complete(&pod);
    let own = pod.host.context("which host are we? HOSTNAME says so")?;
    follow(Plan {
        gate: Gate { min_peers: MinPeers::Count(1), own: Some(own.clone()) },
        debounce: Duration::ZERO,
        output: Output::None,
        listen: None,
        once: None,
        at_once: true,
        actions: Arc::new(Actions {
            of: of(&options, Some(own)),
            choice: Choice { by_name: true, ..Choice::default() },
            write: None,
            signal: None,
            then: None,
            on_start: finder.on_start,
            on_change: finder.on_change,
        }),
        options,
    })
}

/// A comma list of servers.
fn servers(text: Option<&str>) -> anyhow::Result<Vec<Server>> {
    let words =
        text.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().context(SERVER)).collect()
}

/// One thread: a sidecar waits.
fn follow(plan: Plan) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(following::follow(plan));
    // A hook that a second signal did not wait for goes on by itself.
    runtime.shutdown_background();
    result
}

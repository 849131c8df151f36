//! The whole way from manifests to a zone, without a socket: for `check` and `records`.

use anyhow::Context as _;

use super::settings::{for_records, for_zone, own_addresses};
use super::{Driver, loading};
use crate::config::Config;
use crate::source::Problem;
use crate::source::manifests::{Input, Manifests};
use crate::zone::{Reader, zone};

/// A cluster that was loaded and published.
pub struct Offline {
    /// Holds the index.
    pub driver: Driver,
    /// Reads what was published.
    pub reader: Reader,
    /// Everything that is wrong, in the input's order.
    pub problems: Vec<Problem>,
}

/// Says what is missing when there is no source.
pub(super) const NO_SOURCE: &str = "no cluster to serve: give --manifests PATH (a file, a folder, or - for standard input). \
To try it on the demo cluster: rollcall serve --config config/demo.toml";

/// Loads the configuration's manifests.
///
/// # Errors
/// When there are none or they cannot be read.
pub fn load(config: &Config) -> anyhow::Result<Offline> {
    let manifests = config.manifests.as_deref().context(NO_SOURCE)?;
    let mut manifests = Manifests::new(Input::from(manifests), config.source.clone());
    let loaded = loading::load(&mut manifests)?;
    let own = own_addresses(&config.listen)?;
    let (publisher, reader) = zone(for_zone(config, &own));
    let mut driver = Driver::new(publisher, for_records(config));
    driver.reset(loaded.objects);
    let (_, of_records) = driver.publish();
    driver.synchronised();
    let mut problems = loaded.problems;
    problems.extend(of_records.into_iter().map(|problem| Problem::error(problem.to_string())));
    Ok(Offline { driver, reader, problems })
}

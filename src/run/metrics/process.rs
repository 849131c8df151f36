//! The process, in the words that all exporters share, and what was built.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::admin::Metrics;

/// Of the commit, where whoever builds says it.
const REVISION: &str = match option_env!("ROLLCALL_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Tells of this process from now on.
pub(in crate::run) fn tell_process(metrics: &Metrics) {
    let started = started();
    metrics.tell("process", move |page| {
        page.info(
            "rollcall_build",
            "The version, and the commit where the build was told it.",
            vec![("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)],
        );
        // Without /proc there is nothing to tell.
        let usage = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Usage::read(&text));
        page.counter(
            "process_cpu_seconds",
            "Processor time, of the user and of the system.",
            usage.iter().map(|usage| (vec![], usage.processor.as_secs_f64())),
        );
        page.gauge(
            "process_resident_memory_bytes",
            "Memory that is resident.",
            usage.iter().map(|usage| (vec![], usage.resident)),
        );
        page.gauge(
            "process_virtual_memory_bytes",
            "Memory that is mapped.",
            usage.iter().map(|usage| (vec![], usage.mapped)),
        );
        page.gauge("process_open_fds", "Open files.", open_files().map(|count| (vec![], count)));
        let limit = getrlimit(Resource::Nofile).current;
        page.gauge("process_max_fds", "Files that may be open.", limit.map(|limit| (vec![], limit)));
        page.gauge(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
            started.map(|started| (vec![], started)),
        );
    });
}

/// Of `/proc/self/stat` (proc(5)).
#[derive(Debug, PartialEq)]
struct Usage {
    processor: Duration,
    resident: u64,
    mapped: u64,
    /// Since the machine's start.
    started: Duration,
}

impl Usage {
    fn read(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, which may hold brackets and blanks itself.
        let (_, behind) = text.rsplit_once(')')?;
        let fields: Vec<u64> =
            behind.split_whitespace().skip(1).map(|field| field.parse().unwrap_or_default()).collect();
        // The first of these is the fourth of the file.
        let field = |number: usize| fields.get(number - 4).copied();
        let a_second = u32::try_from(clock_ticks_per_second()).ok()?;
        let ticks = |number| Duration::from_secs(field(number)?).checked_div(a_second);
        Some(Self {
            processor: ticks(14)?.saturating_add(ticks(15)?),
            resident: field(24)?.saturating_mul(page_size() as u64),
            mapped: field(23)?,
            started: ticks(22)?,
        })
    }
}

/// Open files: the folder's size since Linux 6.2, before that its entries.
fn open_files() -> Option<u64> {
    const FILES: &str = "/proc/self/fd";
    let size = fs::metadata(FILES).ok()?.len();
    if size > 0 { Some(size) } else { Some(fs::read_dir(FILES).ok()?.count() as u64) }
}

/// When this process started, in seconds since 1970. The machine's start is read once: beside it stand the counts of each
/// interrupt.
fn started() -> Option<f64> {
    let usage = Usage::read(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let machine = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Duration::from_secs(machine).saturating_add(usage.started).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_name_of_the_program_moves_no_field() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 3 0 900 1048576 16 1844\n";
        let usage = Usage::read(text).unwrap();
        let ticks = Duration::from_secs(1) / u32::try_from(clock_ticks_per_second()).unwrap();
        assert_eq!(usage.processor, 400 * ticks);
        assert_eq!(usage.started, 900 * ticks);
        assert_eq!((usage.mapped, usage.resident), (1 << 20, 16 * page_size() as u64));
        assert_eq!(Usage::read("7 (cut off) S 1 7"), None);
        assert_eq!(Usage::read(""), None);
    }

    #[test]
    fn this_process_is_found() {
        let usage = Usage::read(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(usage.resident > 1 << 20 && usage.mapped > usage.resident, "{usage:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        // The machine's start is told in whole seconds, and its clock may have been set since.
        assert!(started().is_some_and(|started| (now - started).abs() < 86_400.0), "{:?}", started());
        assert!(open_files().is_some_and(|count| (3..100_000).contains(&count)), "{:?}", open_files());
    }
}

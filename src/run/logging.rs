//! Logs: lines on standard error, for people or an object each, filtered; both may change while the program runs.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, info};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::{Log, LogFormat};

/// What a level is said without filters of its own: below an error quinn has lines that strangers' packets cause, as many
/// as they send.
const QUIET: &str = "quinn_proto=error,quinn_udp=error";

/// The form of every line from here on: one for the process, as standard error is.
static JSON: AtomicBool = AtomicBool::new(false);
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging at `info`, for what is to be said before the configuration is read; see `apply`. A second call
/// changes the format alone.
pub fn init(format: LogFormat) {
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    let filter = from_environment().unwrap_or_else(|| EnvFilter::new(format!("{QUIET},info")));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { text: Format::default().with_target(false) })
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Said with eprintln!, which panics where standard error is closed.
        .log_internal_errors(false);
    if Registry::default().with(filter).with(lines).try_init().is_ok() {
        let _ = FILTER.set(handle);
        panics_in_form();
    }
}

/// Takes over what the configuration says.
pub(super) fn apply(log: &Log) {
    JSON.store(log.format == LogFormat::Json, Ordering::Relaxed);
    if from_environment().is_some() {
        if log.level != "info" {
            info!(level = log.level, "ROLLCALL_LOG is set and wins over log.level");
        }
        return;
    }
    // It was checked with the rest of the configuration.
    if let (Some(handle), Ok(filter)) = (FILTER.get(), EnvFilter::try_new(format!("{QUIET},{}", log.level))) {
        let _ = handle.reload(filter);
    }
}

/// The filter of `ROLLCALL_LOG`, where it is one.
fn from_environment() -> Option<EnvFilter> {
    EnvFilter::try_from_env("ROLLCALL_LOG").ok()
}

/// Writes a line to standard error, for people and for scripts that wait for it; where the log is JSON, an object like the
/// others. Nobody listening is no reason to end.
pub fn say(line: &str) {
    write_line("INFO", line);
}

/// The same of what ends the program.
pub fn say_error(line: &str) {
    write_line("ERROR", line);
}

fn write_line(level: &str, line: &str) {
    if !JSON.load(Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let mut object = String::new();
    if write_object(&mut Writer::new(&mut object), level, "rollcall", line, &Map::new()).is_ok() {
        // One write: a line of another thread does not come between.
        let _ = std::io::stderr().write_all(object.as_bytes());
    }
}

/// A panic is told on standard error by the runtime, as text: what reads objects would stumble over it.
fn panics_in_form() {
    let as_text = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if JSON.load(Ordering::Relaxed) {
            write_line("ERROR", &panic.to_string());
        } else {
            as_text(panic);
        }
    }));
}

/// Both forms behind one formatter. Two layers that a reload exchanges would do as well, were it not that a span which was
/// opened before the exchange has no fields in the form of the one behind it, and that panics.
struct Lines {
    text: Format<Full, SystemTime>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !JSON.load(Ordering::Relaxed) {
            return self.text.format_event(context, writer, event);
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        write_object(&mut writer, level, target, &fields.message, &fields.others)
    }
}

/// `{"time":…,"level":…,"target":…,"message":…,"fields":{…}}`, on one line; without fields none.
fn write_object(
    writer: &mut Writer<'_>,
    level: &str,
    target: &str,
    message: &str,
    fields: &Map<String, Value>,
) -> fmt::Result {
    writer.write_str("{\"time\":\"")?;
    SystemTime.format_time(writer)?;
    let [target, message] = [target, message].map(Value::from);
    write!(writer, "\",\"level\":\"{level}\",\"target\":{target},\"message\":{message}")?;
    if !fields.is_empty() {
        writer.write_str(",\"fields\":{")?;
        for (index, (name, value)) in fields.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(writer, "{comma}{}:{value}", Value::from(name.as_str()))?;
        }
        writer.write_str("}")?;
    }
    writer.write_str("}\n")
}

/// An event's fields: numbers and truth values as such, everything else as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => {
                self.others.insert(name.trim_start_matches("r#").to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_one_line_whatever_it_says() {
        let mut fields = Map::new();
        fields.insert("name".into(), Value::from("a\n\u{1b}[31m\"b"));
        fields.insert("count".into(), Value::from(3));
        let mut text = String::new();
        write_object(&mut Writer::new(&mut text), "INFO", "rollcall", "two\nlines", &fields).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["message"], "two\nlines");
        assert_eq!(
            (&object["fields"]["name"], &object["fields"]["count"]),
            (&"a\n\u{1b}[31m\"b".into(), &3.into())
        );
        assert!(object["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')));
        let mut text = String::new();
        write_object(&mut Writer::new(&mut text), "WARN", "t", "", &Map::new()).unwrap();
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((object.get("fields"), &object["level"]), (None, &"WARN".into()));
    }
}

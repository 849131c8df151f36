//! What a server says that it has counted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// For the whole of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Its `/metrics` of one moment.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Asks for them.
    ///
    /// # Errors
    /// When there is no answer, or another one than 200.
    pub fn of(admin: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(admin).with_context(|| format!("no metrics at {admin}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Of 1.0, so that the answer comes in one piece and ends with the connection.
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {admin}\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        ensure!(text.split_whitespace().nth(1) == Some("200"), "{admin} gives no metrics: {text:.80}");
        Ok(Self(text))
    }

    /// The sum of all series of a name (`rollcall_dns_queries_total`) that have these labels (`type="TXT"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let value = |line: &str| {
            let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let is_wanted = match series.strip_prefix('{') {
                Some(series) => labels.iter().all(|label| series.contains(label)),
                None => series.is_empty() && labels.is_empty(),
            };
            value.parse::<f64>().ok().filter(|_| is_wanted)
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_up() {
        let text = "# TYPE q counter\nq_total{type=\"A\",rcode=\"NOERROR\"} 3\nq_total{type=\"TXT\",rcode=\"NOERROR\"} 4\nq_total_more 9\nother 2.5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("q_total", &[]), 7.0);
        assert_eq!(metrics.sum("q_total", &["type=\"TXT\"", "rcode=\"NOERROR\""]), 4.0);
        assert_eq!((metrics.sum("other", &[]), metrics.sum("absent", &[])), (2.5, 0.0));
    }
}

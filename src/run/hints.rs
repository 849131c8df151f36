//! Lines to try: a few questions that this very cluster answers.

use std::io;
use std::net::SocketAddr;

use crate::zone::{MasterFile, Part, Reader};

/// As much of a zone as lines are looked for in: a large one is not printed whole for four of them.
const ENOUGH: usize = 256 << 10;

struct Beginning(Vec<u8>);

impl io::Write for Beginning {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0.len() > ENOUGH {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// dig lines for the first replica, its service, its ports and its address.
pub(super) fn dig_lines(reader: &Reader, server: SocketAddr) -> Vec<String> {
    let mut zone = Beginning(Vec::new());
    // Cut short it fails, and what it wrote by then is what is wanted.
    let _ = MasterFile::new(reader, Part::Cluster).write(&mut zone);
    let text = String::from_utf8_lossy(&zone.0);
    let records: Vec<(&str, &str, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let owner = fields.next()?.trim_end_matches('.');
            Some((owner, fields.nth(2)?, fields.next()?))
        })
        .collect();
    let dig = if server.ip().is_ipv6() { "dig -6" } else { "dig" };
    let line = |rest: &str| format!("{dig} @{} -p {} {rest}", server.ip(), server.port());
    // A replica: an SRV record at a name that begins as its target does.
    let replica = records.iter().find(|(owner, rtype, data)| {
        let ordinal = owner.split('.').next().and_then(|label| label.rsplit_once('-'));
        *rtype == "SRV" && data.ends_with(&format!(" {owner}.")) && ordinal.is_some_and(|(_, n)| n == "0")
    });
    let Some((replica, _, _)) = replica else {
        let first = records
            .iter()
            .find(|(owner, rtype, _)| owner.contains(".svc.") && matches!(*rtype, "A" | "AAAA"));
        return first.map(|(owner, rtype, _)| line(&format!("{owner} {rtype}"))).into_iter().collect();
    };
    let service = replica.split_once('.').map_or("", |(_, service)| service);
    let address = records.iter().find(|(owner, rtype, _)| owner == replica && matches!(*rtype, "A" | "AAAA"));
    let mut lines = vec![line(replica), line(service), line(&format!("{service} SRV"))];
    lines.extend(address.map(|(_, _, address)| line(&format!("-x {address}"))));
    lines
}

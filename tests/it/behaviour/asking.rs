//! Questions.

use std::net::SocketAddr;

use anyhow::Result;

use crate::support::exchange::Client;
use crate::support::query::Query;
use crate::support::reply::Reply;
pub(super) use crate::support::wait::eventually;

/// The packet of a dig line.
pub(super) fn query(line: &str) -> Query {
    Query::parse(&format!("dig {line}")).unwrap()
}

/// Asks as `dig @server line` would; over TCP with `+tcp`.
pub(super) fn try_ask(server: SocketAddr, line: &str) -> Result<Reply> {
    let query = query(line);
    let mut client = if query.udp { Client::udp(server) } else { Client::tcp(server) }?;
    let octets = client.ask(&query)?;
    Reply::read(&octets)
}

/// The same, where an answer must come.
pub(super) fn ask(server: SocketAddr, line: &str) -> Reply {
    try_ask(server, line).unwrap_or_else(|error| panic!("dig @{server} {line}: {error:#}"))
}

/// The data of the records of a type in the answer, sorted.
pub(super) fn data(reply: &Reply, rtype: &str) -> Vec<String> {
    let mut data: Vec<String> = reply.sections[0]
        .iter()
        .filter_map(|record| {
            let (_, rest) = record.split_once(&format!(" IN {rtype} "))?;
            Some(rest.to_owned())
        })
        .collect();
    data.sort();
    data
}

/// The IPv4 addresses that a name has, sorted.
pub(super) fn addresses(server: SocketAddr, name: &str) -> Vec<String> {
    data(&ask(server, &format!("+tcp -t A {name}")), "A")
}

/// Asks until a name has as many IPv4 addresses; those.
pub(super) fn until_addresses(server: SocketAddr, name: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} addresses of {name}"), || {
        let found = addresses(server, name);
        if found.len() == count { Ok(found) } else { Err(format!("{found:?}")) }
    })
}

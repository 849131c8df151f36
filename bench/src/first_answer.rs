//! When a server that starts answers rightly for the first time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rollcall::wire::{Name, rtype};

/// How often the name is asked for while it is not there.
const BETWEEN: Duration = Duration::from_millis(2);

/// Asks for a name's address until it is the one answer; gives when that was.
///
/// # Errors
/// When it is not answered so until `latest`, or as soon as `is_over` says that there is no use.
pub fn first_answer(
    server: SocketAddr,
    name: &str,
    address: Ipv4Addr,
    latest: Instant,
    mut is_over: impl FnMut() -> bool,
) -> anyhow::Result<Instant> {
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(Name::from_text(name)?.as_wire());
    packet.extend(rtype::A.to_be_bytes());
    packet.extend([0, 1]);
    let socket = UdpSocket::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0)).context("cannot bind")?;
    socket.connect(server).context("cannot connect")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut reply = [0; 512];
    while Instant::now() < latest {
        // One that is lost is asked again, and while nobody listens there yet both calls are refused.
        let length = socket.send(&packet).and_then(|_| socket.recv(&mut reply)).unwrap_or(0);
        let reply = &reply[..length];
        let is_right =
            length > 12 && reply[3] & 15 == 0 && reply[7] == 1 && reply.ends_with(&address.octets());
        if is_right {
            return Ok(Instant::now());
        }
        if is_over() {
            bail!("the server ended before {name} was answered");
        }
        std::thread::sleep(BETWEEN);
    }
    bail!("{name} was not answered with {address} in time")
}

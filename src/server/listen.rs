//! Binds the sockets: all of them before the first answer, so that a server that runs answers everywhere.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::datagram::{self, UdpSettings};

/// Waiting connections that the kernel keeps (it takes net.core.somaxconn where that is less); of more it hears
/// again when the clients try again. A fleet that lost its server comes back at once.
const BACKLOG: i32 = 4096;
/// What the kernel holds of a TCP connection, each way, in octets (it doubles them for its own keeping). Left alone it
/// gives a client that asks and never reads megabytes, which are the server's in its memory limit: a thousand of them had
/// 760 MB of these sockets. A question fits the one, the largest answer the other.
const TCP_RECEIVE: usize = 64 << 10;
const TCP_SEND: usize = 128 << 10;
/// With port 0 the port that TCP was given may be taken for UDP: another one is tried.
const PORT_TRIES: usize = 16;

/// One address, bound for UDP and TCP.
pub struct Listener {
    /// The address, with the port that port 0 became.
    pub address: SocketAddr,
    /// As many as there are threads, where the kernel spreads the packets over them; else one.
    pub udp: Vec<UdpSocket>,
    /// Not blocking, for tokio.
    pub tcp: TcpListener,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({transport})")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// `udp` or `tcp`, or an encrypted one.
    pub transport: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Binds an address: UDP sockets that share its port, and TCP on the same one.
///
/// # Errors
/// When the address is not ours, is taken, or is not ours to take (ports below 1024).
pub fn bind(address: SocketAddr, udp: &UdpSettings) -> Result<Listener, BindError> {
    let mut tries = 1;
    loop {
        match bind_once(address, udp) {
            Err(error) if address.port() == 0 && error.transport == "udp" && tries < PORT_TRIES => tries += 1,
            result => return result,
        }
    }
}

fn bind_once(address: SocketAddr, udp: &UdpSettings) -> Result<Listener, BindError> {
    let failed = |transport| move |source| BindError { address, transport, source };
    // TCP first: it is not shared, so a second server started by mistake ends here, before the kernel gives it
    // packets that are the first one's.
    let tcp = tcp(address).map_err(failed("tcp"))?;
    let bound = tcp.local_addr().map_err(failed("tcp"))?;
    let udp = datagram::bind_all(bound, udp).map_err(failed("udp"))?;
    Ok(Listener { address: bound, udp, tcp })
}

/// Binds a TCP socket alone, of a transport over it; gives the address too, with the port that port 0 became.
///
/// # Errors
/// As those of [`bind`].
pub fn bind_stream(
    address: SocketAddr,
    transport: &'static str,
) -> Result<(SocketAddr, TcpListener), BindError> {
    let failed = |source| BindError { address, transport, source };
    let listener = tcp(address).map_err(failed)?;
    Ok((listener.local_addr().map_err(failed)?, listener))
}

/// Binds one UDP socket of a transport over it; gives the address too.
///
/// # Errors
/// As those of [`bind`].
pub fn bind_datagram(
    address: SocketAddr,
    transport: &'static str,
) -> Result<(SocketAddr, UdpSocket), BindError> {
    let failed = |source| BindError { address, transport, source };
    let socket = open(address, Type::DGRAM, Protocol::UDP).map_err(failed)?;
    socket.bind(&address.into()).map_err(failed)?;
    let socket = UdpSocket::from(socket);
    Ok((socket.local_addr().map_err(failed)?, socket))
}

pub(super) fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0`, not instead of it.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the connections of the server before it.
    socket.set_reuse_address(true)?;
    // Of the listening socket: its connections have them from their first packet on, which says how large a window may
    // be (RFC 7323, section 2.2).
    socket.set_recv_buffer_size(TCP_RECEIVE)?;
    socket.set_send_buffer_size(TCP_SEND)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The addresses that clients reach a bound address at: itself, or for a wildcard those of the machine.
///
/// # Errors
/// When the machine's addresses cannot be listed.
pub fn reachable(address: SocketAddr) -> io::Result<Vec<IpAddr>> {
    if !address.ip().is_unspecified() {
        return Ok(vec![address.ip()]);
    }
    let same_family = |ip: &IpAddr| ip.is_ipv6() == address.is_ipv6();
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let all = if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip());
    Ok(all.filter(|ip| same_family(ip) && !link_local(ip)).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn a_connection_takes_no_more_of_the_kernel_than_it_needs() {
        let listener = tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let sizes = SockRef::from(&accepted);
        let (receive, send) = (sizes.recv_buffer_size().unwrap(), sizes.send_buffer_size().unwrap());
        // The kernel's doubled figures.
        assert!((TCP_RECEIVE..=2 * TCP_RECEIVE).contains(&receive), "{receive}");
        assert!((TCP_SEND..=2 * TCP_SEND).contains(&send), "{send}");
    }
}

//! Opens UDP sockets: several of one port where the kernel shares it, with the buffers that were asked for.
//!
//! What the kernel does not give is said, once, and done without.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Once;

use socket2::{Protocol, Socket, Type};
use tracing::{debug, info, warn};

use super::listen::open;
use super::socket::{busy_poll, force_receive_buffer, force_send_buffer, tell_local_address};
use super::udp::WAIT;

/// How UDP is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSettings {
    /// Threads, and sockets, of each address; 0 is one a core.
    pub threads: usize,
    /// Packets a system call, 1 to 64.
    pub batch: usize,
    /// Octets of each socket's receive buffer; 0 is by the machine's memory.
    pub receive_buffer: usize,
    /// Octets of each socket's send buffer; 0 is by the machine's memory.
    pub send_buffer: usize,
    /// Keep the i-th thread, counted over all addresses, on the i-th core that the process may run on.
    pub pin: bool,
    /// Microseconds that a wait for packets spins on the interface's queue; 0 is not at all.
    pub busy_poll: u16,
}

/// One thread, everything else by the machine.
impl Default for UdpSettings {
    fn default() -> Self {
        Self { threads: 1, batch: 32, receive_buffer: 0, send_buffer: 0, pin: false, busy_poll: 0 }
    }
}

impl UdpSettings {
    /// How many threads that is.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

/// The sockets of a bound address, one where the kernel does not share a port.
pub(super) fn bind_all(address: SocketAddr, settings: &UdpSettings) -> io::Result<Vec<UdpSocket>> {
    bind_with(address, settings, |socket| socket.set_reuse_port(true))
}

fn bind_with(
    address: SocketAddr,
    settings: &UdpSettings,
    share: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<Vec<UdpSocket>> {
    let first = open(address, Type::DGRAM, Protocol::UDP)?;
    let threads = match share(&first) {
        Ok(()) => settings.threads(),
        Err(error) => {
            warn!(%error, "no SO_REUSEPORT: one UDP thread for {address}, whatever limits.udp_threads says");
            1
        }
    };
    let by_machine = by_machine(memory(), threads);
    let mut sockets = vec![prepare(first, address, settings, by_machine)?];
    for _ in 1..threads {
        let socket = open(address, Type::DGRAM, Protocol::UDP)?;
        share(&socket)?;
        sockets.push(prepare(socket, address, settings, by_machine)?);
    }
    Ok(sockets)
}

fn prepare(
    socket: Socket,
    address: SocketAddr,
    settings: &UdpSettings,
    by_machine: usize,
) -> io::Result<UdpSocket> {
    static NO_LOCAL_ADDRESS: Once = Once::new();
    static NO_BUSY_POLL: Once = Once::new();
    socket.set_read_timeout(Some(WAIT))?;
    // A socket that is bound to one address answers from that one: nothing is to be told or said.
    if address.ip().is_unspecified()
        && let Err(error) = tell_local_address(&socket, address.is_ipv6())
    {
        NO_LOCAL_ADDRESS.call_once(|| {
            warn!(%error, "the kernel does not tell which address was asked: on a machine with several, listen on each by name");
        });
    }
    RECEIVE.size(&socket, settings.receive_buffer, by_machine);
    SEND.size(&socket, settings.send_buffer, by_machine);
    if settings.busy_poll > 0
        && let Err(error) = busy_poll(&socket, settings.busy_poll.into())
    {
        NO_BUSY_POLL.call_once(|| warn!(%error, "limits.udp_busy_poll is not taken by the kernel"));
    }
    // Last: from here on packets come.
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// One of the two buffers of a socket.
struct Buffer {
    key: &'static str,
    /// What bounds it for those without CAP_NET_ADMIN.
    sysctl: &'static str,
    force: fn(&Socket, i32) -> io::Result<()>,
    set: fn(&Socket, usize) -> io::Result<()>,
    has: fn(&Socket) -> io::Result<usize>,
    said: Once,
}

static RECEIVE: Buffer = Buffer {
    key: "limits.udp_receive_buffer",
    sysctl: "net.core.rmem_max",
    force: force_receive_buffer,
    set: Socket::set_recv_buffer_size,
    has: Socket::recv_buffer_size,
    said: Once::new(),
};

static SEND: Buffer = Buffer {
    key: "limits.udp_send_buffer",
    sysctl: "net.core.wmem_max",
    force: force_send_buffer,
    set: Socket::set_send_buffer_size,
    has: Socket::send_buffer_size,
    said: Once::new(),
};

impl Buffer {
    fn size(&self, socket: &Socket, asked: usize, by_machine: usize) {
        // The kernel doubles what is asked for, for its own share of a packet's room, and tells the double.
        let granted = || (self.has)(socket).map_or(0, |octets| octets / 2);
        // Where the operator's sysctls give more by themselves, nobody asked us for less.
        if asked == 0 && granted() >= by_machine {
            return;
        }
        let wanted = if asked == 0 { by_machine } else { asked };
        let forced = i32::try_from(wanted).is_ok_and(|octets| (self.force)(socket, octets).is_ok());
        if !forced && let Err(error) = (self.set)(socket, wanted) {
            debug!(%error, "{} is not taken by the kernel", self.key);
        }
        let granted = granted();
        if granted < wanted {
            self.said.call_once(|| {
                info!(
                    wanted,
                    granted,
                    "{}: the kernel grants less to each UDP socket; sysctl {} (or CAP_NET_ADMIN) raises it",
                    self.key,
                    self.sysctl
                );
            });
        }
    }
}

/// Octets of each buffer where none are asked for: of the memory that this process may take a 512th, shared by the
/// sockets of an address, within [`LEAST`] and [`LARGEST`]. A pause of 10 ms at 200,000 packets a second fills 2 MiB.
fn by_machine(memory: Option<u64>, sockets: usize) -> usize {
    let share = memory.unwrap_or(0) / 512 / sockets.max(1) as u64;
    usize::try_from(share).unwrap_or(LARGEST).clamp(LEAST, LARGEST)
}

/// About what Linux gives by itself.
const LEAST: usize = 256 << 10;
const LARGEST: usize = 4 << 20;

/// The machine's memory, or the control group's where that is less: its packets count there.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10;
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain([total]).min()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    #[test]
    fn without_a_shared_port_there_is_one_socket() {
        let settings = UdpSettings { threads: 3, ..UdpSettings::default() };
        let port = || {
            let socket = open(ANY_PORT.into(), Type::DGRAM, Protocol::UDP).unwrap();
            socket.bind(&SocketAddr::from(ANY_PORT).into()).unwrap();
            UdpSocket::from(socket).local_addr().unwrap()
        };
        let lacking = |_: &Socket| Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT));
        assert_eq!(bind_with(port(), &settings, lacking).unwrap().len(), 1);
        let sockets = bind_all(port(), &settings).unwrap();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(addresses, [addresses[0]; 3]);
    }

    #[test]
    fn buffers_are_what_was_asked_for_or_as_much_as_the_kernel_grants() {
        let size = |octets| {
            let settings =
                UdpSettings { receive_buffer: octets, send_buffer: octets, ..UdpSettings::default() };
            let socket = Socket::from(bind_all(ANY_PORT.into(), &settings).unwrap().remove(0));
            (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap())
        };
        let small = 8 << 10;
        assert_eq!(size(small), (2 * small, 2 * small));
        let (receive, send) = size(100 << 10);
        assert!(
            receive == 200 << 10 && send == 200 << 10,
            "below every default of net.core: {receive} {send}"
        );
        assert!(size(0).0 >= 200 << 10, "by the machine");
    }

    #[test]
    fn the_machines_share_is_within_bounds() {
        assert_eq!(by_machine(None, 4), LEAST);
        assert_eq!(by_machine(Some(128 << 20), 2), LEAST);
        assert_eq!(by_machine(Some(1 << 30), 2), 1 << 20);
        assert_eq!(by_machine(Some(1 << 40), 2), LARGEST);
        assert!(memory().is_some_and(|octets| octets > 1 << 20));
    }
}

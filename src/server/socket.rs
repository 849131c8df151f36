//! UDP sockets that receive and send several packets a system call and know which address each came to.
//!
//! The only file with unsafe code: `recvmmsg` and `sendmmsg` have no safe form that keeps the local address.
//! A wildcard socket must answer from the address that was asked, or the client drops the answer (RFC 2181,
//! section 4.1); the control messages IP_PKTINFO and IPV6_PKTINFO carry it in and out.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// The most packets a system call; how many are taken is a batch's own.
pub(super) const MOST: usize = super::responder::MOST_TOGETHER;
/// Queries are small; what is longer is cut and answered FORMERR.
const RECEIVE: usize = 4096;
/// What a reply may be as large as.
const SEND: usize = super::responder::UDP_PAYLOAD as usize;
/// From one packet to the next. Were it 4096, the first octets of all packets would share one set of the first
/// cache, which holds eight to twelve of them.
const RECEIVE_STRIDE: usize = RECEIVE + 128;
/// From one reply to the next: whole cache lines.
const SEND_STRIDE: usize = SEND.next_multiple_of(64);

/// Length, level and type, in front of each control message (`cmsghdr` as the kernel has it).
const HEADER: usize = size_of::<usize>() + 8;
/// Room for what comes with a packet: one `in_pktinfo` (12 octets) or `in6_pktinfo` (20), and some to spare.
const CONTROL: usize = 64;
/// Room for what goes with a reply: one `in6_pktinfo`.
const REPLY_CONTROL: usize = (HEADER + 20).next_multiple_of(size_of::<usize>());

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Control([u8; CONTROL]);

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ReplyControl([u8; REPLY_CONTROL]);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Packet([u8; RECEIVE_STRIDE]);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Reply([u8; SEND_STRIDE]);

/// Who asked, and at which of our addresses: all that a reply needs to find its way.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Envelope {
    /// Of either family: the smaller one leaves room.
    name: libc::sockaddr_in6,
    name_length: libc::socklen_t,
    control: ReplyControl,
    control_length: usize,
}

/// What is used together lies together: a batch of small questions touches a line or two of each packet, and all of
/// the arrays in front.
#[repr(C)]
struct Room {
    incoming: [libc::mmsghdr; MOST],
    outgoing: [libc::mmsghdr; MOST],
    incoming_vectors: [libc::iovec; MOST],
    outgoing_vectors: [libc::iovec; MOST],
    envelopes: [Envelope; MOST],
    reply_lengths: [usize; MOST],
    controls: [Control; MOST],
    packets: [Packet; MOST],
    replies: [Reply; MOST],
}

/// Which of the system calls for several packets the kernel has and lets us use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) receive_many: bool,
    pub(super) send_many: bool,
}

impl Calls {
    /// Both.
    pub(super) const ALL: Self = Self { receive_many: true, send_many: true };
    /// Neither.
    #[cfg(test)]
    pub(super) const ONE_AT_A_TIME: Self = Self { receive_many: false, send_many: false };

    /// Calls both for no packet at all. A filter of system calls says EPERM or ENOSYS to that as it would later,
    /// when EPERM could as well be a firewall's word on one reply.
    pub(super) fn probe(socket: &UdpSocket) -> Self {
        let (fd, none) = (socket.as_raw_fd(), ptr::null_mut());
        // SAFETY: no message is read or written: their number is 0.
        unsafe {
            Self {
                receive_many: libc::recvmmsg(fd, none, 0, libc::MSG_DONTWAIT, ptr::null_mut()) == 0,
                send_many: libc::sendmmsg(fd, none, 0, libc::MSG_DONTWAIT) == 0,
            }
        }
    }
}

/// What became of a batch's replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) sent: usize,
    /// Its client is gone, a firewall forbids it.
    pub(super) failed: usize,
}

/// The buffers of one receiving thread, and the headers that point to them: set once, but for what changes.
pub(super) struct Batch {
    room: NonNull<Room>,
    size: usize,
    received: usize,
    calls: Calls,
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: `room` came from Box::into_raw in `new` and is freed here alone.
        drop(unsafe { Box::from_raw(self.room.as_ptr()) });
    }
}

impl Batch {
    /// Takes up to `size` packets at one time, at most [`MOST`].
    pub(super) fn new(size: usize, calls: Calls) -> Self {
        // SAFETY: all-zero octets are a valid Room: integers, octets, null pointers, AF_UNSPEC.
        let room = Box::leak(unsafe { Box::<Room>::new_zeroed().assume_init() });
        let mut batch = Self { room: NonNull::from(room), size: size.clamp(1, MOST), received: 0, calls };
        let room = batch.room.as_ptr();
        for slot in 0..MOST {
            // SAFETY: `room` is valid and nobody else's; `slot` is within each array (checked). No reference is
            // made that would outlive a write through another pointer.
            unsafe {
                (*room).incoming_vectors[slot] =
                    libc::iovec { iov_base: (&raw mut (*room).packets[slot]).cast(), iov_len: RECEIVE };
                let header = &raw mut (*room).incoming[slot].msg_hdr;
                (*header).msg_name = (&raw mut (*room).envelopes[slot].name).cast();
                (*header).msg_iov = &raw mut (*room).incoming_vectors[slot];
                (*header).msg_iovlen = 1;
                (*header).msg_control = (&raw mut (*room).controls[slot]).cast();
                let header = &raw mut (*room).outgoing[slot].msg_hdr;
                (*header).msg_iov = &raw mut (*room).outgoing_vectors[slot];
                (*header).msg_iovlen = 1;
            }
        }
        // So that the first `receive` sets all the lengths.
        batch.received = batch.size;
        batch
    }

    fn room(&mut self) -> &mut Room {
        // SAFETY: `room` is valid until the drop, and nobody else's while `self` is borrowed: the kernel uses its
        // pointers within `receive` and `send` only, which hold no reference then.
        unsafe { self.room.as_mut() }
    }

    /// Waits for a packet and takes those that are there with it. `WouldBlock` and `TimedOut` say that none
    /// came within the socket's timeout.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let before = mem::take(&mut self.received);
        for message in &mut self.room().incoming[..before] {
            // What the kernel wrote over; an error writes nothing.
            message.msg_hdr.msg_namelen = NAME_LENGTH;
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        let received =
            if self.calls.receive_many { self.receive_many(socket) } else { self.receive_each(socket) };
        self.received = received?;
        let received = self.received;
        let room = self.room();
        let slots = room.incoming.iter().zip(&room.controls).zip(&mut room.envelopes);
        for ((message, control), envelope) in slots.take(received) {
            envelope.name_length = message.msg_hdr.msg_namelen.min(NAME_LENGTH);
            #[allow(clippy::unnecessary_cast)] // not a usize with every libc
            let length = (message.msg_hdr.msg_controllen as usize).min(CONTROL);
            envelope.answer_from(&control.0[..length]);
        }
        Ok(())
    }

    fn receive_many(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let (room, size) = (self.room.as_ptr(), count(self.size));
        // SAFETY: `incoming` holds `size` headers or more whose pointers are to the room's names, buffers and
        // controls, each of the length given beside it; nothing else touches them meanwhile.
        let received = unsafe {
            let messages = (&raw mut (*room).incoming).cast();
            libc::recvmmsg(socket.as_raw_fd(), messages, size, libc::MSG_WAITFORONE, ptr::null_mut())
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// The same, a system call each.
    fn receive_each(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let room = self.room.as_ptr();
        for slot in 0..self.size {
            let flags = if slot == 0 { 0 } else { libc::MSG_DONTWAIT };
            // SAFETY: as in `receive_many`, of one header; `slot` is within the array (checked).
            let length = unsafe {
                let message = &raw mut (*room).incoming[slot];
                let length = libc::recvmsg(socket.as_raw_fd(), &raw mut (*message).msg_hdr, flags);
                (*message).msg_len = libc::c_uint::try_from(length).unwrap_or(0);
                length
            };
            if length < 0 {
                return if slot == 0 { Err(io::Error::last_os_error()) } else { Ok(slot) };
            }
        }
        Ok(self.size)
    }

    /// Makes the address of one packet one that nothing can be sent to.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, slot: usize) {
        self.room().envelopes[slot].name_length = 3;
    }

    /// Packets of the last [`Batch::receive`].
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// The packets, in order.
    pub(super) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: as in `room`; while `self` is borrowed nobody writes.
        let room = unsafe { self.room.as_ref() };
        let slots = room.incoming.iter().zip(&room.packets).take(self.received);
        slots.map(|(message, packet)| &packet.0[..(message.msg_len as usize).min(RECEIVE)])
    }

    /// The packets that have replies, with them and where they came from, in order; until the next [`Batch::receive`].
    pub(super) fn exchanges(&self) -> impl Iterator<Item = (&[u8], &[u8], &Envelope)> {
        // SAFETY: as in `packets`.
        let room = unsafe { self.room.as_ref() };
        let slots = room.replies.iter().zip(&room.reply_lengths).zip(&room.envelopes);
        let slots = self.packets().zip(slots).filter(|(_, ((_, length), _))| **length > 0);
        slots.map(|(packet, ((reply, length), envelope))| (packet, &reply.0[..*length], envelope))
    }

    /// Gives each packet with its place and room for its reply to `respond`, which tells the reply's length; 0 is none.
    pub(super) fn respond(&mut self, mut respond: impl FnMut(usize, &[u8], &mut [u8], &Envelope) -> usize) {
        let received = self.received;
        let room = self.room();
        for slot in 0..received {
            let length = (room.incoming[slot].msg_len as usize).min(RECEIVE);
            let (packet, reply) = (&room.packets[slot].0[..length], &mut room.replies[slot].0[..SEND]);
            room.reply_lengths[slot] = respond(slot, packet, reply, &room.envelopes[slot]).min(SEND);
        }
    }

    /// Sends the replies. One that cannot be sent is left out.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Sent {
        let room = self.room.as_ptr();
        let mut replies = 0;
        for slot in 0..self.received {
            // SAFETY: `room` is valid and nobody else's; `slot` and `replies`, never above it, are within each
            // array (checked).
            unsafe {
                let length = (*room).reply_lengths[slot];
                if length == 0 {
                    continue;
                }
                (*room).outgoing_vectors[replies] =
                    libc::iovec { iov_base: (&raw mut (*room).replies[slot]).cast(), iov_len: length };
                let header = &raw mut (*room).outgoing[replies].msg_hdr;
                (*room).envelopes[slot].address(&mut *header);
            }
            replies += 1;
        }
        let (mut at, mut failed) = (0, 0);
        while at < replies {
            // SAFETY: the headers from `at` up to `replies` are set; their pointers are to the room, which
            // outlives the call and is touched by nothing else meanwhile.
            let more = unsafe {
                let messages = &raw mut (*room).outgoing[at];
                if self.calls.send_many {
                    libc::sendmmsg(socket.as_raw_fd(), messages, count(replies - at), 0)
                } else if libc::sendmsg(socket.as_raw_fd(), &raw const (*messages).msg_hdr, 0) < 0 {
                    -1
                } else {
                    1
                }
            };
            match usize::try_from(more) {
                Ok(more) if more > 0 => at += more,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    // The first that is left is the one that failed.
                    failed += 1;
                    at += 1;
                }
            }
        }
        Sent { sent: replies - failed, failed }
    }
}

const NAME_LENGTH: libc::socklen_t = length_of::<libc::sockaddr_in6>();

#[allow(clippy::cast_possible_truncation)] // structures of the kernel, a few hundred octets at most
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

#[allow(clippy::cast_possible_truncation)] // at most MOST
const fn count(messages: usize) -> libc::c_uint {
    messages as libc::c_uint
}

impl Envelope {
    /// Who asked.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        let port = u16::from_be(self.name.sin6_port);
        match i32::from(self.name.sin6_family) {
            // The port of a `sockaddr_in` is at the same place, and its address where the flow label of a
            // `sockaddr_in6` is.
            libc::AF_INET => Some((Ipv4Addr::from(self.name.sin6_flowinfo.to_ne_bytes()), port).into()),
            libc::AF_INET6 => Some((Ipv6Addr::from(self.name.sin6_addr.s6_addr), port).into()),
            _ => None,
        }
    }

    /// The address that was asked, where a wildcard socket was told it.
    pub(super) fn asked_at(&self) -> Option<IpAddr> {
        let control = self.control.0.get(..self.control_length)?;
        let (header, data) = control.split_first_chunk::<HEADER>()?;
        let level = header[HEADER - 8..].first_chunk().map(|octets| i32::from_ne_bytes(*octets))?;
        match level {
            libc::IPPROTO_IP => data.get(4..)?.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
            libc::IPPROTO_IPV6 => data.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
            _ => None,
        }
    }

    fn address(&mut self, header: &mut libc::msghdr) {
        header.msg_name = (&raw mut self.name).cast();
        header.msg_namelen = self.name_length;
        header.msg_control =
            if self.control_length > 0 { (&raw mut self.control).cast() } else { ptr::null_mut() };
        header.msg_controllen = self.control_length as _;
    }

    /// Finds the address that was asked among the control messages of a packet, and makes the reply's. The interface
    /// is the routing table's to choose (the way back may be another one), but for link-local addresses, which mean
    /// nothing without it.
    fn answer_from(&mut self, mut controls: &[u8]) {
        self.control_length = 0;
        while let Some((header, _)) = controls.split_first_chunk::<HEADER>() {
            let length = header.first_chunk().map_or(0, |octets| usize::from_ne_bytes(*octets));
            let Some(data) = controls.get(HEADER..length) else { return };
            let word =
                |at: usize| i32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            match (word(HEADER - 8), word(HEADER - 4)) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    // in_pktinfo: interface index, local address (what a reply goes out from), header address.
                    if let Some(data) = data.first_chunk::<12>() {
                        let mut data = *data;
                        data[..4].fill(0);
                        self.put(header, &data);
                    }
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    // in6_pktinfo: address, interface index.
                    if let Some(data) = data.first_chunk::<20>() {
                        let mut data = *data;
                        let link_local = data[0] == 0xfe && data[1] & 0xc0 == 0x80;
                        if !link_local {
                            data[16..].fill(0);
                        }
                        if data[0] != 0xff {
                            self.put(header, &data);
                        }
                    }
                }
                _ => {}
            }
            controls = controls.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
        }
    }

    fn put(&mut self, header: &[u8; HEADER], data: &[u8]) {
        self.control.0[..HEADER].copy_from_slice(header);
        self.control.0[..size_of::<usize>()].copy_from_slice(&(HEADER + data.len()).to_ne_bytes());
        self.control.0[HEADER..HEADER + data.len()].copy_from_slice(data);
        self.control_length = (HEADER + data.len()).next_multiple_of(size_of::<usize>());
    }

    /// Sends one reply, later and from another thread.
    pub(super) fn send(mut self, socket: &UdpSocket, reply: &mut [u8]) -> io::Result<()> {
        let mut vector = libc::iovec { iov_base: reply.as_mut_ptr().cast(), iov_len: reply.len() };
        // SAFETY: all-zero octets are a valid msghdr.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        self.address(&mut header);
        // SAFETY: the header's pointers are to `self`, `vector` and `reply`, which outlive the call.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn set(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let (value, length) = (ptr::from_ref(&value), length_of::<libc::c_int>());
    // SAFETY: `value` is an int of the length given and outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks the kernel to tell the local address of each packet.
pub(super) fn tell_local_address(socket: &impl AsRawFd, v6: bool) -> io::Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    set(socket, level, option, 1)
}

/// A buffer above what net.core.rmem_max allows everybody; takes CAP_NET_ADMIN.
pub(super) fn force_receive_buffer(socket: &impl AsRawFd, octets: libc::c_int) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
}

/// The same of net.core.wmem_max.
pub(super) fn force_send_buffer(socket: &impl AsRawFd, octets: libc::c_int) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, octets)
}

/// How long a wait spins on the interface's queue before it sleeps.
pub(super) fn busy_poll(socket: &impl AsRawFd, microseconds: libc::c_int) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, microseconds)
}

/// Packets that found the socket's buffer full so far (mod 2³²); None where the kernel does not tell (before 4.12).
///
/// Asked for when somebody wants to know. SO_RXQ_OVFL would tell it with every packet from the first loss on, which
/// each of them pays for, and only once another packet comes.
pub(super) fn dropped(socket: &UdpSocket) -> Option<u32> {
    /// Of SO_MEMINFO (linux/sock_diag.h).
    const SK_MEMINFO_DROPS: usize = 8;
    let mut words = [0_u32; SK_MEMINFO_DROPS + 1];
    let mut length = length_of::<[u32; SK_MEMINFO_DROPS + 1]>();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_MEMINFO);
    // SAFETY: `words` has the length given, both outlive the call; the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut words).cast(), &raw mut length)
    };
    (result == 0 && length == length_of::<[u32; SK_MEMINFO_DROPS + 1]>()).then_some(words[SK_MEMINFO_DROPS])
}

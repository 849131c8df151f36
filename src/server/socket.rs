//! UDP sockets that receive and send several packets a system call and know which address each came to.
//!
//! The only file with unsafe code: `recvmmsg` and `sendmmsg` have no safe form that keeps the local address.
//! A wildcard socket must answer from the address that was asked, or the client drops the answer (RFC 2181,
//! section 4.1); the control messages IP_PKTINFO and IPV6_PKTINFO carry it in and out.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

/// Packets a system call.
pub(super) const BATCH: usize = 32;
/// Queries are small; what is longer is cut and answered FORMERR.
const RECEIVE: usize = 4096;
/// What a reply may be as large as.
const SEND: usize = super::responder::UDP_PAYLOAD as usize;
/// Room for one `in_pktinfo` (12 octets) or `in6_pktinfo` (20) behind its header (16).
const CONTROL: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Who asked, and at which of our addresses: all that a reply needs to find its way.
#[derive(Clone, Copy)]
pub(super) struct Envelope {
    name: libc::sockaddr_storage,
    name_length: libc::socklen_t,
    control: Control,
    control_length: usize,
}

struct Slot {
    envelope: Envelope,
    packet: [u8; RECEIVE],
    length: usize,
    reply: [u8; SEND],
    reply_length: usize,
}

/// The buffers of one receiving thread.
pub(super) struct Batch {
    slots: Box<[Slot]>,
    received: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let slot = || Slot {
            envelope: Envelope::empty(),
            packet: [0; RECEIVE],
            length: 0,
            reply: [0; SEND],
            reply_length: 0,
        };
        Self { slots: (0..BATCH).map(|_| slot()).collect(), received: 0 }
    }

    /// Waits for a packet and takes those that are there with it. `WouldBlock` and `TimedOut` say that none
    /// came within the socket's timeout.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received = 0;
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: all-zero octets are a valid mmsghdr: integers and null pointers.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for ((slot, vector), message) in self.slots.iter_mut().zip(&mut vectors).zip(&mut messages) {
            slot.reply_length = 0;
            *vector = libc::iovec { iov_base: slot.packet.as_mut_ptr().cast(), iov_len: RECEIVE };
            let header = &mut message.msg_hdr;
            header.msg_name = ptr::from_mut(&mut slot.envelope.name).cast();
            header.msg_namelen = NAME_LENGTH;
            header.msg_iov = ptr::from_mut(vector);
            header.msg_iovlen = 1;
            header.msg_control = slot.envelope.control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: `messages` holds BATCH headers whose pointers are to the slots' names, buffers and controls,
        // each of the length given beside it; all of them outlive the call and nothing else touches them.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH_LENGTH,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (slot, message) in self.slots.iter_mut().zip(&messages).take(self.received) {
            slot.length = (message.msg_len as usize).min(RECEIVE);
            slot.envelope.name_length = message.msg_hdr.msg_namelen.min(NAME_LENGTH);
            slot.envelope.control_length = message.msg_hdr.msg_controllen.min(CONTROL);
            slot.envelope.answer_from_anywhere();
        }
        Ok(())
    }

    /// The packets, in order.
    pub(super) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().take(self.received).map(|slot| &slot.packet[..slot.length])
    }

    /// Gives each packet with its place and room for its reply to `respond`, which tells the reply's length; 0 is none.
    pub(super) fn respond(&mut self, mut respond: impl FnMut(usize, &[u8], &mut [u8], &Envelope) -> usize) {
        for (index, slot) in self.slots.iter_mut().take(self.received).enumerate() {
            slot.reply_length =
                respond(index, &slot.packet[..slot.length], &mut slot.reply, &slot.envelope).min(SEND);
        }
    }

    /// Sends the replies. One that cannot be sent (its client is gone, a firewall forbids it) is left out;
    /// gives how many were.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: as in `receive`.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let mut count = 0;
        let replies = self.slots.iter_mut().take(self.received).filter(|slot| slot.reply_length > 0);
        for ((slot, vector), message) in replies.zip(&mut vectors).zip(&mut messages) {
            *vector = libc::iovec { iov_base: slot.reply.as_mut_ptr().cast(), iov_len: slot.reply_length };
            slot.envelope.address(&mut message.msg_hdr, vector);
            count += 1;
        }
        let (mut sent, mut failed) = (0, 0);
        while sent < count {
            let left = libc::c_uint::try_from(count - sent).unwrap_or(0);
            // SAFETY: the headers from `sent` on are initialised, `left` of them; their pointers are to slots
            // and vectors that outlive the call.
            let more = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages[sent..].as_mut_ptr(), left, 0) };
            match usize::try_from(more) {
                Ok(more) if more > 0 => sent += more,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    // The first that is left is the one that failed.
                    failed += 1;
                    sent += 1;
                }
            }
        }
        failed
    }
}

const NAME_LENGTH: libc::socklen_t = length_of::<libc::sockaddr_storage>();
#[allow(clippy::cast_possible_truncation)] // a few dozen
const BATCH_LENGTH: libc::c_uint = BATCH as libc::c_uint;

#[allow(clippy::cast_possible_truncation)] // structures of the kernel, a few hundred octets at most
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

impl Envelope {
    fn empty() -> Self {
        Self {
            // SAFETY: all-zero octets are a valid sockaddr_storage (AF_UNSPEC).
            name: unsafe { zeroed() },
            name_length: 0,
            control: Control([0; CONTROL]),
            control_length: 0,
        }
    }

    fn address(&mut self, header: &mut libc::msghdr, vector: &mut libc::iovec) {
        header.msg_name = ptr::from_mut(&mut self.name).cast();
        header.msg_namelen = self.name_length;
        header.msg_iov = ptr::from_mut(vector);
        header.msg_iovlen = 1;
        if self.control_length > 0 {
            header.msg_control = self.control.0.as_mut_ptr().cast();
            header.msg_controllen = self.control_length;
        }
    }

    /// Makes what came in fit to go out: the address stays, the interface is the routing table's to choose
    /// (the way back may be another one), but for link-local addresses, which mean nothing without it.
    fn answer_from_anywhere(&mut self) {
        let header_length = size_of::<libc::cmsghdr>();
        if self.control_length < header_length {
            self.control_length = 0;
            return;
        }
        // SAFETY: the control buffer is aligned to 8 as cmsghdr needs, and holds at least one (checked above).
        let header: libc::cmsghdr = unsafe { ptr::read(self.control.0.as_ptr().cast()) };
        let data = &mut self.control.0[header_length..];
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // in_pktinfo: interface index, local address (what a reply goes out from), header address.
                data[..4].fill(0);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // in6_pktinfo: address, interface index.
                let (link_local, multicast) = (data[0] == 0xfe && data[1] & 0xc0 == 0x80, data[0] == 0xff);
                if multicast {
                    self.control_length = 0;
                } else if !link_local {
                    data[16..20].fill(0);
                }
            }
            _ => self.control_length = 0,
        }
    }

    /// Sends one reply, later and from another thread.
    pub(super) fn send(mut self, socket: &UdpSocket, reply: &mut [u8]) -> io::Result<()> {
        let mut vector = libc::iovec { iov_base: reply.as_mut_ptr().cast(), iov_len: reply.len() };
        // SAFETY: all-zero octets are a valid msghdr.
        let mut header: libc::msghdr = unsafe { zeroed() };
        self.address(&mut header, &mut vector);
        // SAFETY: the header's pointers are to `self`, `vector` and `reply`, which outlive the call.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Asks the kernel to tell the local address of each packet.
pub(super) fn tell_local_address(socket: &UdpSocket, v6: bool) -> io::Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    let length = length_of::<libc::c_int>();
    // SAFETY: `on` is an int of the length given and outlives the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

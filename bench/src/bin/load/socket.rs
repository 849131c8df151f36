//! Many datagrams a system call, on connected sockets: the one file with unsafe code of the generator.
//!
//! The safe wrapper of nix allocates for each call, and there is none in the standard library.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Packets of one system call.
pub(crate) const BATCH: usize = 32;
/// Room for one packet; replies over UDP have 1232 octets at most here.
const ROOM: usize = 4096;

/// Room for [`BATCH`] packets.
pub(crate) struct Batch {
    /// Never moved or resized: the vectors below point into it.
    octets: Box<[[u8; ROOM]]>,
    /// Never moved or resized: the headers below point into it.
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut octets = vec![[0; ROOM]; BATCH].into_boxed_slice();
        let mut vectors: Box<[libc::iovec]> = octets
            .iter_mut()
            .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: ROOM })
            .collect();
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: mmsghdr is made of integers and pointers, for all of which zero is a value; a null name
                // and no control data are what a connected socket wants.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = ptr::from_mut(vector);
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { octets, vectors, headers }
    }

    /// Puts a packet at a place, for [`Batch::send`].
    pub(crate) fn put(&mut self, place: usize, id: u16, packet: &[u8]) {
        let room = &mut self.octets[place][..packet.len()];
        room.copy_from_slice(packet);
        room[..2].copy_from_slice(&id.to_be_bytes());
        self.vectors[place].iov_len = packet.len();
    }

    /// Sends the first `count` packets; gives how many of them went out.
    pub(crate) fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        let headers = &mut self.headers[..count];
        // SAFETY: `headers` is `count` headers, each with one vector that points at `iov_len` octets of `octets`;
        // headers, vectors and octets are owned by `self`, which is borrowed for the whole call, and none of them
        // was moved or resized since `new`. The kernel reads the octets and writes `msg_len`.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), small(count), 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Receives what has arrived, without waiting; gives how many packets.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.vectors.iter_mut().for_each(|vector| vector.iov_len = ROOM);
        let headers = &mut self.headers[..];
        // SAFETY: as in `send`; each vector has `ROOM` octets of its own, which is what its room in `octets` has,
        // and no reference into `octets` lives, for `self` is borrowed mutably.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                small(BATCH),
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// A packet that [`Batch::receive`] received.
    pub(crate) fn packet(&self, place: usize) -> &[u8] {
        &self.octets[place][..self.headers[place].msg_len as usize]
    }
}

fn small(count: usize) -> libc::c_uint {
    #[allow(clippy::cast_possible_truncation)] // at most BATCH
    let count = count.min(BATCH) as libc::c_uint;
    count
}

//! Many datagrams a system call: on connected sockets for the generator, from and to anyone for the echo server. The
//! one file of the sockets with unsafe code.
//!
//! The safe wrapper of nix allocates for each call, and there is none in the standard library.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Packets of one system call.
pub const BATCH: usize = 32;
/// Room for one packet; replies over UDP have 1232 octets at most here.
pub const ROOM: usize = 4096;
/// Room for one `in_pktinfo` (12 octets) behind its header (16), and to spare.
const CONTROL: usize = 64;

/// Room for [`BATCH`] packets.
pub struct Batch {
    /// Never moved or resized: the vectors below point into it.
    octets: Box<[[u8; ROOM]]>,
    /// Never moved or resized: the headers below point into it.
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Batch {
    /// Empty room; a null name and no control data are what a connected socket wants.
    #[must_use]
    pub fn new() -> Self {
        let mut octets = vec![[0; ROOM]; BATCH].into_boxed_slice();
        let mut vectors = vectors_of(&mut octets);
        let headers = headers_of(&mut vectors);
        Self { octets, vectors, headers }
    }

    /// Puts a packet at a place, for [`Batch::send`].
    pub fn put(&mut self, place: usize, id: u16, packet: &[u8]) {
        let room = &mut self.octets[place][..packet.len()];
        room.copy_from_slice(packet);
        room[..2].copy_from_slice(&id.to_be_bytes());
        self.vectors[place].iov_len = packet.len();
    }

    /// Sends the first `count` packets; gives how many of them went out.
    ///
    /// # Errors
    /// The kernel's, of the first packet.
    pub fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        let headers = &mut self.headers[..count];
        // SAFETY: `headers` is `count` headers, each with one vector that points at `iov_len` octets of `octets`;
        // headers, vectors and octets are owned by `self`, which is borrowed for the whole call, and none of them
        // was moved or resized since `new`. The kernel reads the octets and writes `msg_len`.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), small(count), 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Receives what has arrived, without waiting; gives how many packets.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` where nothing has arrived.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
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
    #[must_use]
    pub fn packet(&self, place: usize) -> &[u8] {
        &self.octets[place][..self.headers[place].msg_len as usize]
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for [`BATCH`] packets from anyone, which go back where they came from, from the address they came to.
pub struct Returned {
    /// As in [`Batch`], none of these is moved or resized.
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    octets: Box<[[u8; ROOM]]>,
    _names: Box<[libc::sockaddr_storage]>,
    _controls: Box<[Control]>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Returned {
    /// Empty room.
    #[must_use]
    pub fn new() -> Self {
        let mut octets = vec![[0; ROOM]; BATCH].into_boxed_slice();
        let mut vectors = vectors_of(&mut octets);
        let mut headers = headers_of(&mut vectors);
        // SAFETY: all-zero octets are a valid sockaddr_storage (AF_UNSPEC).
        let mut names =
            vec![unsafe { std::mem::zeroed::<libc::sockaddr_storage>() }; BATCH].into_boxed_slice();
        let mut controls = vec![Control([0; CONTROL]); BATCH].into_boxed_slice();
        for ((header, name), control) in headers.iter_mut().zip(&mut names).zip(&mut controls) {
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        }
        Self { vectors, headers, octets, _names: names, _controls: controls }
    }

    /// Waits for a packet and takes those that are there with it; gives how many.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` where none came within the socket's timeout.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for (header, vector) in self.headers.iter_mut().zip(&mut self.vectors) {
            vector.iov_len = ROOM;
            header.msg_hdr.msg_namelen = length_of::<libc::sockaddr_storage>();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: each header points at a name, a vector and a control buffer of its own, of the lengths set above;
        // all of them are owned by `self`, which is borrowed mutably for the whole call, and none was moved since
        // `new`.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                small(BATCH),
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// How long a received packet is.
    #[must_use]
    pub fn length(&self, place: usize) -> usize {
        self.headers[place].msg_len as usize
    }

    /// The octets of a packet that goes back, to be changed where they are: `length` of them, of which those behind
    /// the received ones are as earlier packets left them.
    pub fn reply(&mut self, place: usize, length: usize) -> &mut [u8] {
        let reply = &mut self.octets[place][..length];
        self.vectors[place].iov_len = length;
        reply
    }

    /// Sends the first `count` packets back; gives how many of them went out.
    ///
    /// # Errors
    /// The kernel's, of the first packet.
    pub fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        let headers = &mut self.headers[..count];
        // SAFETY: as in `receive`; names and control data are as the kernel wrote them, of the lengths that it set, and
        // each vector has `iov_len` octets, at most `ROOM` (`reply` would have panicked).
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), small(count), 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for Returned {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks the kernel to tell the local address of each packet, as rollcall does.
///
/// # Errors
/// The kernel's.
pub fn tell_local_address(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` is an int of the length given and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            ptr::from_ref(&on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A vector for each packet's room. They point into `octets`, which must not move while they are used.
fn vectors_of(octets: &mut [[u8; ROOM]]) -> Box<[libc::iovec]> {
    let vectors =
        octets.iter_mut().map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: ROOM });
    vectors.collect()
}

/// A header for each vector, without name and control data. They point into `vectors`.
fn headers_of(vectors: &mut [libc::iovec]) -> Box<[libc::mmsghdr]> {
    let headers = vectors.iter_mut().map(|vector| {
        // SAFETY: mmsghdr is made of integers and pointers, for all of which zero is a value.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_iov = ptr::from_mut(vector);
        header.msg_hdr.msg_iovlen = 1;
        header
    });
    headers.collect()
}

#[allow(clippy::cast_possible_truncation)] // structures of the kernel, a few hundred octets at most
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn small(count: usize) -> libc::c_uint {
    #[allow(clippy::cast_possible_truncation)] // at most BATCH
    let count = count.min(BATCH) as libc::c_uint;
    count
}

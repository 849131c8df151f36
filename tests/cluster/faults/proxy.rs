//! A TCP proxy between the server and the API server that fails as networks do. It does not read what it
//! carries.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// In order (FIN): the other side's end of stream.
    Close,
    /// Connection reset (RST).
    Reset,
}

/// What the proxy does with new connections and with what is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Forwards nothing; sockets stay open, and new connections hear nothing.
    Stall,
    /// So many octets at a time, with this pause between.
    Drip(usize, Duration),
    /// Nobody listens: connection refused.
    Refuse,
    /// The test is over.
    End,
}

/// One connection, both ways.
#[derive(Debug)]
struct Link {
    streams: [Arc<TcpStream>; 2],
    /// Dead, and nobody told: its sockets stay open, and nothing passes any more.
    dead: AtomicBool,
    /// Closed by us.
    cut: AtomicBool,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Whether there is a listening socket.
    listening: bool,
    links: Vec<Arc<Link>>,
    /// Connections taken so far.
    taken: usize,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    /// Anything in `state` or in a link changed.
    changed: Condvar,
}

/// A running proxy; ends its connections when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to the target.
    pub(super) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mode: Mode::Pass, listening: true, links: Vec::new(), taken: 0 };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(listener, address, &accepting));
        Self { address, shared }
    }

    /// Everything passes again, on new connections and on old ones that only stalled.
    pub(super) fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Nothing passes and no socket closes, until told otherwise.
    pub(super) fn stall(&self) {
        self.set(Mode::Stall);
    }

    /// A few octets at a time.
    pub(super) fn drip(&self, octets: usize, pause: Duration) {
        self.set(Mode::Drip(octets, pause));
    }

    /// Closes every connection, and refuses new ones until told otherwise.
    pub(super) fn refuse(&self, cut: Cut) {
        self.set(Mode::Refuse);
        self.cut(cut);
    }

    /// Closes every connection of now.
    pub(super) fn cut(&self, cut: Cut) {
        let links = std::mem::take(&mut self.shared.lock().links);
        for link in links {
            link.cut(cut);
        }
        self.shared.changed.notify_all();
    }

    /// The connections of now carry nothing more and never close, as behind a gateway that forgot them; new
    /// ones pass.
    pub(super) fn forget(&self) {
        for link in &self.shared.lock().links {
            link.dead.store(true, Ordering::SeqCst);
        }
    }

    /// Connections taken since the start.
    pub(super) fn taken(&self) -> usize {
        self.shared.lock().taken
    }

    fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
        if mode == Mode::Refuse {
            // The accepting thread waits in the system call.
            let _ = TcpStream::connect(self.address);
        }
        let is_settled = |state: &State| state.listening == (mode != Mode::Refuse);
        let (state, result) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), Duration::from_secs(5), |state| !is_settled(state))
            .unwrap();
        assert!(!result.timed_out(), "the proxy's port did not follow: {state:?}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().mode = Mode::End;
        self.cut(Cut::Close);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until octets of this link may go on; how many at a time, or None once it is over.
    fn gate(&self, link: &Link) -> Option<(usize, Duration)> {
        let over = |state: &State| state.mode == Mode::End || link.cut.load(Ordering::SeqCst);
        let held = |state: &State| link.dead.load(Ordering::SeqCst) || state.mode == Mode::Stall;
        let waits = |state: &mut State| !over(state) && held(state);
        let state = self.changed.wait_while(self.lock(), waits).unwrap();
        match state.mode {
            _ if over(&state) => None,
            Mode::Drip(octets, pause) => Some((octets, pause)),
            _ => Some((usize::MAX, Duration::ZERO)),
        }
    }
}

impl Link {
    fn cut(&self, cut: Cut) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in &self.streams {
            match cut {
                Cut::Close => drop(stream.shutdown(Shutdown::Both)),
                // Closing a socket that does not linger resets it; the threads let go once they read the end.
                Cut::Reset => {
                    let _ = SockRef::from(&**stream).set_linger(Some(Duration::ZERO));
                    let _ = stream.shutdown(Shutdown::Read);
                }
            }
        }
    }
}

fn accept(listener: TcpListener, address: SocketAddr, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    loop {
        let mode = shared.lock().mode;
        match mode {
            Mode::End => return,
            Mode::Refuse => {
                listener = None;
                let mut state = shared.lock();
                state.listening = false;
                shared.changed.notify_all();
                drop(shared.changed.wait_while(state, |state| state.mode == Mode::Refuse).unwrap());
            }
            Mode::Pass | Mode::Stall | Mode::Drip(..) => {
                let listening = listener.get_or_insert_with(|| bind_again(address));
                shared.lock().listening = true;
                shared.changed.notify_all();
                let Ok((stream, _)) = listening.accept() else { continue };
                if matches!(shared.lock().mode, Mode::Refuse | Mode::End) {
                    continue;
                }
                take(stream, shared);
            }
        }
    }
}

/// The port was ours; connections of before may hold it for a moment.
fn bind_again(address: SocketAddr) -> TcpListener {
    let latest = Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < latest, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn take(client: TcpStream, shared: &Arc<Shared>) {
    // Nobody behind us: closed at once, as a load balancer without a backend does.
    let Ok(server) = TcpStream::connect(shared.target) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let streams = [Arc::new(client), Arc::new(server)];
    let link = Arc::new(Link { streams, dead: AtomicBool::new(false), cut: AtomicBool::new(false) });
    {
        let mut state = shared.lock();
        state.taken += 1;
        state.links.push(Arc::clone(&link));
        shared.changed.notify_all();
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let (link, shared) = (Arc::clone(&link), Arc::clone(shared));
        thread::spawn(move || {
            pump(&link, from, to, &shared);
            // The end of one way is told, the other may go on; but nothing goes out before a reset.
            if !link.cut.load(Ordering::SeqCst) {
                let _ = link.streams[to].shutdown(Shutdown::Write);
            }
            shared.lock().links.retain(|other| !Arc::ptr_eq(other, &link) || Arc::strong_count(other) > 2);
        });
    }
}

/// Carries octets one way until it ends.
fn pump(link: &Link, from: usize, to: usize, shared: &Shared) {
    let (mut from, mut to) = (&*link.streams[from], &*link.streams[to]);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer) else { return };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let Some((octets, pause)) = shared.gate(link) else { return };
            let (now, later) = rest.split_at(octets.min(rest.len()));
            if to.write_all(now).is_err() {
                return;
            }
            rest = later;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::{Cut, Proxy};

    /// A proxy in front of what says everything back.
    fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        Proxy::start(address)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn says(mut stream: &TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes())?;
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back)?;
        Ok(String::from_utf8(back).unwrap())
    }

    fn hears_nothing(mut stream: &TcpStream) {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }

    #[test]
    fn passes_drips_and_stalls() {
        let proxy = echo();
        let old = connect(&proxy);
        assert_eq!(says(&old, "one").unwrap(), "one");
        proxy.drip(1, Duration::from_millis(1));
        assert_eq!(says(&old, "two").unwrap(), "two");
        proxy.stall();
        (&old).write_all(b"four").unwrap();
        hears_nothing(&old);
        let new = connect(&proxy);
        (&new).write_all(b"new").unwrap();
        hears_nothing(&new);
        proxy.pass();
        let mut back = [0; 4];
        (&old).read_exact(&mut back).unwrap();
        assert_eq!(&back, b"four");
        (&new).read_exact(&mut back[..3]).unwrap();
    }

    #[test]
    fn cuts_and_refuses() {
        let proxy = echo();
        let closed = connect(&proxy);
        assert_eq!(says(&closed, "one").unwrap(), "one");
        proxy.cut(Cut::Close);
        assert_eq!((&closed).read(&mut [0]).unwrap(), 0);
        let reset = connect(&proxy);
        assert_eq!(says(&reset, "two").unwrap(), "two");
        proxy.refuse(Cut::Reset);
        assert_eq!((&reset).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        let refused = TcpStream::connect(proxy.address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.pass();
        assert_eq!(says(&connect(&proxy), "three").unwrap(), "three");
        assert_eq!(proxy.taken(), 3);
    }

    #[test]
    fn forgets() {
        let proxy = echo();
        let old = connect(&proxy);
        assert_eq!(says(&old, "one").unwrap(), "one");
        proxy.forget();
        (&old).write_all(b"two").unwrap();
        hears_nothing(&old);
        assert_eq!(says(&connect(&proxy), "new").unwrap(), "new");
        hears_nothing(&old);
    }
}

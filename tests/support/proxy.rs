//! A TCP proxy on loopback that holds what passes, or breaks.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes connections on to a port.
pub struct Proxy {
    /// The port to connect to.
    pub port: u16,
    knobs: Arc<Knobs>,
}

struct Knobs {
    /// The port that connections are passed on to.
    to: AtomicU16,
    /// Bytes from the server on one connection before it is held.
    hold_after: AtomicU64,
    held: AtomicBool,
    /// Bytes from the server before every connection is cut.
    cut_after: AtomicU64,
    passed: AtomicU64,
    /// Bytes to the server before every connection is cut.
    cut_after_sent: AtomicU64,
    sent: AtomicU64,
    cut: AtomicBool,
    /// No connection is passed on any more.
    ended: AtomicBool,
    /// Both ends of every connection that is open. Whoever forgets one keeps it half open: its server then waits for
    /// ever to send what nobody reads.
    streams: Mutex<HashMap<u64, [TcpStream; 2]>>,
}

impl Proxy {
    /// A proxy in front of a port on loopback.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let knobs = Arc::new(Knobs {
            to: AtomicU16::new(to),
            hold_after: AtomicU64::new(u64::MAX),
            held: AtomicBool::new(false),
            cut_after: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            cut_after_sent: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let shared = knobs.clone();
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming().flatten()) {
                if shared.ended.load(Ordering::SeqCst) {
                    continue;
                }
                let to = shared.to.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                shared.keep(number, &client, &server);
                let (up, down) = ((client.try_clone(), server.try_clone()), (server, client));
                let (Ok(from_client), Ok(to_server)) = up else { continue };
                let (up_knobs, down_knobs) = (shared.clone(), shared.clone());
                std::thread::spawn(move || pass(number, from_client, to_server, &up_knobs, false));
                std::thread::spawn(move || pass(number, down.0, down.1, &down_knobs, true));
            }
        });
        Self { port, knobs }
    }

    /// Passes connections that come from now on to another port; those that are open stay where they are.
    pub fn turn_to(&self, port: u16) {
        self.knobs.to.store(port, Ordering::SeqCst);
    }

    /// Holds every connection on which so many bytes have come from the server.
    pub fn hold_after(&self, bytes: u64) {
        self.knobs.hold_after.store(bytes, Ordering::Relaxed);
    }

    /// Whether a connection was held.
    pub fn has_held(&self) -> bool {
        self.knobs.held.load(Ordering::Relaxed)
    }

    /// Lets everything pass again.
    pub fn release(&self) {
        self.hold_after(u64::MAX);
    }

    /// Cuts every connection when so many more bytes have come from the server.
    pub fn cut_after(&self, bytes: u64) {
        self.knobs.cut_after.store(self.passed() + bytes, Ordering::Relaxed);
    }

    /// Cuts every connection now, and lets no other one through.
    pub fn cut(&self) {
        self.knobs.ended.store(true, Ordering::SeqCst);
        self.knobs.cut.store(true, Ordering::Relaxed);
        self.knobs.cut_all();
    }

    /// Cuts every connection when so many bytes have gone to the server.
    pub fn cut_after_sent(&self, bytes: u64) {
        self.knobs.cut_after_sent.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that have come from the server.
    pub fn passed(&self) -> u64 {
        self.knobs.passed.load(Ordering::Relaxed)
    }

    /// Whether connections were cut.
    pub fn was_cut(&self) -> bool {
        self.knobs.cut.load(Ordering::Relaxed)
    }
}

impl Knobs {
    /// Keeps the ends of a connection, so that it can be cut; one that comes while all are cut is cut too.
    fn keep(&self, number: u64, client: &TcpStream, server: &TcpStream) {
        if let (Ok(client), Ok(server)) = (client.try_clone(), server.try_clone()) {
            self.streams.lock().unwrap().insert(number, [client, server]);
        }
        if self.ended.load(Ordering::SeqCst) {
            self.cut_all();
        }
    }

    fn cut_all(&self) {
        for stream in self.streams.lock().unwrap().drain().flat_map(|(_, ends)| ends) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(number: u64, mut from: TcpStream, mut to: TcpStream, knobs: &Knobs, from_server: bool) {
    let mut buffer = vec![0; 64 << 10];
    let mut own = 0;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer) else { break };
        if from_server {
            let passed = knobs.passed.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            if passed > knobs.cut_after.load(Ordering::Relaxed) {
                knobs.cut.store(true, Ordering::Relaxed);
                break;
            }
            own += count as u64;
            while own > knobs.hold_after.load(Ordering::Relaxed) {
                knobs.held.store(true, Ordering::Relaxed);
                #[allow(clippy::disallowed_methods, reason = "polling a flag of the test")]
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if !from_server {
            let sent = knobs.sent.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            if sent > knobs.cut_after_sent.load(Ordering::Relaxed) {
                knobs.cut.store(true, Ordering::Relaxed);
                break;
            }
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    knobs.streams.lock().unwrap().remove(&number);
}

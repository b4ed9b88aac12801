//! A TCP proxy on loopback that holds what passes, or breaks.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Passes connections on to a port.
pub struct Proxy {
    /// The port to connect to.
    pub port: u16,
    knobs: Arc<Knobs>,
}

struct Knobs {
    /// Bytes from the server on one connection before it is held.
    hold_after: AtomicU64,
    held: AtomicBool,
    /// Bytes from the server before every connection is cut.
    cut_after: AtomicU64,
    passed: AtomicU64,
    cut: AtomicBool,
}

impl Proxy {
    /// A proxy in front of a port on loopback.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let knobs = Arc::new(Knobs {
            hold_after: AtomicU64::new(u64::MAX),
            held: AtomicBool::new(false),
            cut_after: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            cut: AtomicBool::new(false),
        });
        let shared = knobs.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                let (up, down) = ((client.try_clone(), server.try_clone()), (server, client));
                let (Ok(from_client), Ok(to_server)) = up else { continue };
                let (up_knobs, down_knobs) = (shared.clone(), shared.clone());
                std::thread::spawn(move || pass(from_client, to_server, &up_knobs, false));
                std::thread::spawn(move || pass(down.0, down.1, &down_knobs, true));
            }
        });
        Self { port, knobs }
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

    /// Bytes that have come from the server.
    pub fn passed(&self) -> u64 {
        self.knobs.passed.load(Ordering::Relaxed)
    }

    /// Whether connections were cut.
    pub fn was_cut(&self) -> bool {
        self.knobs.cut.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, knobs: &Knobs, from_server: bool) {
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
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

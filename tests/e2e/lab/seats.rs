use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::sync::{Condvar, Mutex, PoisonError};

use super::ground::Ground;

/// How many nodes run at once, unless `BERTH_E2E_NODES` says another number. A control plane takes
/// 0.6 GB of memory and a fifth of the inotify instances that Linux grants by default.
const NODES_AT_ONCE: usize = 6;

/// How many ports a lab has.
const PORTS: u16 = 10;

/// Where ports are taken from: below those that the kernel gives to outgoing connections.
const PORT_RANGE: Range<u16> = 21_000..29_000;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to have so many nodes. Dropped, the next test gets it.
pub struct Seats {
    count: usize,
}

impl Seats {
    /// Waits for `count` seats at once, so that two tests which want two never wait for each other.
    /// Nothing, and no waiting, where the test `name` has no ground.
    pub fn take(name: &str, count: usize) -> Option<Self> {
        Ground::find(name)?;
        Some(Self::wait_for(count))
    }

    /// The same for a lab that has its ground already.
    pub fn wait_for(count: usize) -> Self {
        let limit = limit().max(count);
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            FREED.wait_while(taken, |taken| *taken + count > limit).unwrap_or_else(PoisonError::into_inner);
        *taken += count;
        Self { count }
    }

    /// Waits for all seats.
    pub fn take_all(name: &str) -> Option<Self> {
        Self::take(name, limit())
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Two halves.
    pub fn split(mut self) -> (Self, Self) {
        let count = self.count / 2;
        self.count -= count;
        (Self { count }, self)
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.count;
        FREED.notify_all();
    }
}

fn limit() -> usize {
    env::var("BERTH_E2E_NODES").ok().and_then(|count| count.parse().ok()).unwrap_or(NODES_AT_ONCE)
}

/// Ports that no other lab of this machine has, whatever test run it belongs to.
pub struct Ports {
    first: u16,
    _held: File,
}

impl Ports {
    /// The first ten that nobody holds and nobody listens on.
    pub fn take() -> Self {
        let user = fs::metadata(env!("CARGO_TARGET_TMPDIR")).expect("cargo made it").uid();
        let folder = env::temp_dir().join(format!("berth-e2e-ports-{user}"));
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).expect("a temp folder is writable");
        for first in PORT_RANGE.step_by(PORTS.into()) {
            let file = File::create(folder.join(first.to_string())).expect("the folder is ours");
            // The kernel frees it with the end of this process, however that comes.
            if file.try_lock().is_ok() && (first..first + PORTS).all(is_free) {
                return Self { first, _held: file };
            }
        }
        panic!("no ten ports in a row are free between {} and {}", PORT_RANGE.start, PORT_RANGE.end);
    }

    /// All of them.
    pub fn all(&self) -> Range<u16> {
        self.first..self.first + PORTS
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// Four characters that tell this checkout from others on the machine, which have tests of the same
/// names.
pub fn checkout() -> String {
    let folder = fs::metadata(env!("CARGO_MANIFEST_DIR")).expect("cargo runs here");
    format!("{:04x}", (folder.ino() ^ folder.dev()) & 0xffff)
}

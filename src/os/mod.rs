//! **Owns** the operating system: starting programs, files, locks, ports.
//! **May name** base.
//! **Never** decides what to run or write, reads the environment, retries or waits.
//! **Start reading at** [`Program`] and [`files`].

mod exec;
pub mod files;
mod lock;
mod pipe;
pub mod ports;

pub use exec::{Finished, Program, find_on_path};
pub use lock::{FileLock, Held, MarkerLock};
pub use pipe::{Pipe, Piped, Source};

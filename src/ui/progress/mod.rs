//! The event stream of a run as people and programs follow it: three renderers of the same events.

mod board;
mod json;
mod plain;
mod tty;

pub use json::{Json, Lost};
pub use plain::Plain;
pub use tty::{Look, Tty};

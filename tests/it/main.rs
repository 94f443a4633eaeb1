//! The hermetic tests, and those on a real control plane without nodes.

mod providers;
mod rendering;

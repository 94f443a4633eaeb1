//! The hermetic tests, and those on a real control plane.

mod profiles;
mod providers;
mod rendering;

//! Tests on real clusters that kind makes with the container engine of this machine. Where there is no
//! engine, no kind or no node image they say SKIPPED with the reason; with `BERTH_E2E=required`, as in
//! CI, that is a failure. `scripts/test e2e` sees to all of it. What is only to be had on some machines, Podman and a
//! daemon that may be stopped, is no such failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    dead_code,
    reason = "a test fails by panicking, and the lab is for all tests, not for each"
)]

mod addresses;
mod cluster;
mod daemon;
mod full_disk;
mod gpus;
mod harness;
mod how_to;
mod images;
mod kills;
mod lab;
mod podman;
mod registry;
mod registry_elsewhere;
mod side_by_side;
#[allow(unused_imports, reason = "the stage is for the tests of both targets")]
#[path = "../support/mod.rs"]
mod support;
mod verify;

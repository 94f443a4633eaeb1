//! The stage for tests: a real control plane, a proxy that looks and interferes from outside, a
//! shim of `kwokctl`, the real binary in a home of its own, and an inventory by owner.
//!
//! The product knows nothing of it.

mod addon;
mod aws;
mod berth;
mod control_plane;
pub mod eks;
mod engine;
mod environment;
mod inventory;
mod lab_shims;
mod machine;
pub mod openapi;
pub mod paths;
mod pod;
mod programs;
mod proof;
mod proxy;
mod rights;
mod shim;
mod tls;
mod tools;
mod volumes;
mod web;
mod webhook;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use addon::AddonEnvironment;
pub use aws::FakeAws;
pub use berth::{Berth, Finished, Running, run, without_signs_of_life};
pub use control_plane::{ControlPlane, binary_flags, kubectl, loopback_configuration, path_with_tools};
pub use eks::{EksProfile, EksStage};
pub use engine::EngineShim;
pub use environment::{Environment, Tenant, every_point};
pub use inventory::Inventory;
#[allow(unused_imports, reason = "real labs have real programs")]
pub use lab_shims::LabShims;
pub use machine::Machine;
pub use pod::Pod;
#[allow(unused_imports, reason = "real labs have real programs")]
pub use programs::Programs;
#[allow(unused_imports, reason = "not every proof has wishes")]
pub use proof::{Proof, Wishes};
pub use proxy::{Action, Matching, Proxy, Request, Rule, Turn};
pub use rights::{Grant, Rights};
pub use shim::Shim;
pub use tls::server_on_loopback;
pub use tools::{addon_binaries, tools};
pub use web::Web;
pub use webhook::{Mood, Webhook};

/// The runtime on which all proxies of this process live.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a test machine can start threads")
    })
}

/// How long anything is waited for: what comes at all comes within it, on the busiest machine too. It is no time that a
/// test holds somebody to.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Asks `look` every 20 ms until it finds something.
///
/// # Panics
/// When [`PATIENCE`] is over, naming `what`.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

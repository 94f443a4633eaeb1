//! One file per thing that is checked.

mod inside;
mod machines;
mod metrics;
mod policies;
mod reach;
mod storage;

pub(super) use inside::{dns, service};
pub(super) use machines::{gpus, scheduling};
pub(super) use metrics::metrics;
pub(super) use policies::policies;
pub(super) use reach::{Target, ingress, load_balancer};
pub(super) use storage::storage;

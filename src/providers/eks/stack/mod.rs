//! The stack of network and roles as it lives: what its states mean, why it failed, what an update would change.

mod calls;
mod difference;
mod live;
mod phase;
mod reason;

pub use calls::{Calls, Wanted};
pub use difference::changes;
pub use live::{LiveResource, LiveStack, left, made, progress, title};
pub use phase::{Phase, stands};
pub use reason::{Failure, StackEvent, failure};

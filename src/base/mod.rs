//! **Owns** the plain values that every room speaks of: faults and hints, owners, ids, changes,
//! secrets, cluster access, what a platform can do.
//! **May name** nothing in this crate.
//! **Never** does I/O, reads the clock or the environment.
//! **Start reading at** [`Fault`], then [`Change`].

mod access;
mod addresses;
mod change;
mod checksum;
mod clock;
mod conflict;
mod fault;
mod id;
mod network;
mod owner;
mod platform;
mod quantity;
mod reference;
mod secret;
mod token;

pub use access::{ClusterAccess, Credential};
pub use addresses::{AddressRange, RangeError, address_after};
pub use change::{Change, ChangeKind, FieldChange, Note};
pub use checksum::Checksum;
pub use clock::{Clock, SystemClock};
pub use conflict::{Conflict, Guard, Remedy};
pub use fault::{Fault, FaultKind};
pub use id::{Layer, ResourceId, RunId};
pub use network::{Network, Subnet};
pub use owner::{Owner, label};
pub use platform::{Capability, Platform, ProviderKind};
pub use quantity::{Quantity, QuantityError};
pub use reference::Reference;
pub use secret::Secret;
pub use token::{Token, TokenSource, Tokens};

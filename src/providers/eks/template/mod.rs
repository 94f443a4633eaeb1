//! The template of the stack: typed values in, JSON out, the same bytes for the same values. Pure.
//! **Start reading at** [`Blueprint`].

mod addresses;
mod blueprint;
mod document;
mod ids;
mod machines;
mod network;
mod roles;
mod zones;

pub use addresses::{Addresses, AddressesError, MOST_ZONES};
pub use blueprint::{Blueprint, Machines, NetworkPlan, disk_of};
pub use document::{LARGEST, Template};
pub use ids::{CONTENT, LOG_GROUP, ZONES};
pub use zones::{Offered, Zone, ZonesError, choose, read, written};

//! The template of the stack: typed values in, JSON out, the same bytes for the same values. Pure.
//! **Start reading at** [`Blueprint`].

mod addresses;
mod blueprint;
mod document;
mod ids;
mod machines;
mod network;
mod renewed;
mod roles;
mod zones;

pub use addresses::{Addresses, AddressesError, MOST_ZONES};
pub use blueprint::{Blueprint, Machines, NetworkPlan, disk_of};
pub use document::{LARGEST, Template};
pub use ids::{
    AUTO_NODE_ROLE, CLUSTER_ROLE, CONTENT, LOG_GROUP, NODE_ROLE, RENEWED, VPC, ZONES, is_private_subnet,
    launch_template, pod_role as pod_role_id, version_of,
};
pub use machines::TYPE as LAUNCH_TEMPLATE_TYPE;
pub use renewed::{Renewed, first};
pub use roles::carry_auto_mode;
pub use zones::{Offered, Zone, ZonesError, choose, read, written};

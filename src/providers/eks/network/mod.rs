//! `network/eks/ENV`: the network and the roles of an environment, in one stack, or the network of somebody else
//! and the roles. **Start reading at** [`NetworkResource`].

mod auto_mode;
mod blockers;
mod creation;
mod drift;
mod known;
mod leaving;
mod look;
mod occupant;
mod preflight;
mod resource;
mod room;
mod step;
mod subnets;
mod wanted;

pub use auto_mode::{AutoModeRoles, Roles};
pub use leaving::LeavingParts;
pub use resource::NetworkResource;

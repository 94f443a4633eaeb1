//! `network/eks/ENV`: the network and the roles of an environment, in one stack, or the network of somebody else
//! and the roles. **Start reading at** [`NetworkResource`].

mod blockers;
mod creation;
mod look;
mod preflight;
mod resource;
mod room;
mod step;
mod subnets;
mod wanted;

pub use resource::NetworkResource;

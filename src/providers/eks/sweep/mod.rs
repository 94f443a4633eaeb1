//! What a cluster made on AWS besides itself, and what it leaves behind: load balancers, volumes, interfaces, security
//! groups, logs. Only `down` has these resources. **Start reading at** [`Sweeps`].

mod calls;
mod ground;
mod inside;
mod leftover;
mod logs;
mod network;
mod remains;
mod resource;
mod retained;
mod rules;
mod shared;

pub(super) use network::SweptNetwork;
pub use remains::remains;
pub(super) use resource::Sweeps;

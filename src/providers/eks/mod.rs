//! Clusters of Amazon EKS: network and roles in one `CloudFormation` stack, everything else by the EKS API.
//! **Start reading at** [`Names`], what everything is called; [`outputs`], what one part tells the others; then
//! [`template`], what the stack is made of.

mod access;
mod names;
pub mod network;
pub mod outputs;
pub mod stack;
pub mod template;

pub use access::{access, ask_access};
pub use names::{Names, PodRole, Site};

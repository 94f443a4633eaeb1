//! Clusters of Amazon EKS: network and roles in one `CloudFormation` stack, everything else by the EKS API.
//! **Start reading at** [`Names`], what everything is called; [`outputs`], what one part tells the others; then
//! [`template`], what the stack is made of; then `provide`, where all parts meet.

mod access;
mod addons;
mod anew;
mod association;
mod cluster;
mod estimate;
mod lately;
mod listing;
mod lookup;
mod names;
pub mod network;
mod node_groups;
pub mod outputs;
mod provide;
pub mod stack;
mod sweep;
pub mod template;
mod updates;

use anew::made_anew;
pub use estimate::{estimate, time};
pub use listing::{Standing, standing};
pub use lookup::ask_access;
pub use names::{Names, PodRole, Site};
pub use node_groups::misfits;
pub(in crate::providers) use provide::provide;
use provide::{Around, PAUSES, UNTIL_HEARD, client};
pub use provide::{before_addon, before_policy_switch, policy_switch, storage_class};
pub use sweep::remains;

//! The registry on this machine: a container that all labs share, with one more for each registry that is
//! cached. Who uses them is read from the nodes, so nothing has to be remembered.

mod catalog;
mod claim;
mod container;
mod elsewhere;
mod going;
mod hosting;
mod hosts;
mod http;
mod idle;
mod make;
mod nodes;
mod port;
mod store;
mod users;
mod verdict;
mod volume;

pub use catalog::{Repository, repositories, wants_login};
pub use claim::Claims;
pub use container::{LocalRegistry, Purpose};
pub use hosting::hosting;
pub use nodes::Nodes;
pub use store::{DEFAULT_IMAGE, LABEL, host};
pub use users::Lab;

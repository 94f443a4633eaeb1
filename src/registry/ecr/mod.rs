//! Amazon ECR: the repositories of an environment, the registries that are pulled through it, what is in it, and
//! the login that container engines ask for.
//!
//! A repository carries our mark as tags. A pull-through cache cannot carry any: its mark stands in the creation
//! template of the same prefix, which also says how the repositories are made that it fills.
//! **Start reading at** [`EcrResource`], then `wanted` and `difference`.

mod caches;
mod calls;
mod catalog;
mod difference;
mod host;
mod login;
mod look;
mod policy;
mod resource;
mod step;
mod wanted;

pub use catalog::{Repository, repositories};
pub use host::{Host, host};
pub use login::{USER, password};
pub use resource::{EcrResource, HOST, Purpose};

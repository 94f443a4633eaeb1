//! Who may log in to the cluster: access entries, and the way in for berth itself.

mod calls;
mod difference;
mod principals;
mod reach;
mod resource;
mod wanted;

pub use resource::AccessResource;

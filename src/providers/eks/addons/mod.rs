//! The addons that EKS brings: what pods get addresses, names and volumes by.

mod calls;
mod difference;
mod resource;
mod wanted;

pub use calls::is_of;
pub use resource::AddonResource;

//! Amazon Web Services: one session for the account and region of an environment, the clients in it, and
//! what AWS says when it refuses.

mod client;
mod codes;
mod element;
mod encoding;
mod held;
mod http;
mod identity;
mod json;
#[cfg(test)]
mod played;
mod query;
mod refusal;
mod region;
pub mod rights;
mod service;
mod session;
pub mod token;
mod told;

pub use client::Aws;
pub use element::Element;
pub use identity::Identity;
pub use json::Json;
pub use query::{Params, Query};
pub use refusal::{Refusal, fault};
pub use region::Partition;
pub use service::Service;
pub use session::{Session, Whose};

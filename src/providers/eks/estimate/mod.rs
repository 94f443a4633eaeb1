//! What an environment on EKS costs in a month and how long its making takes, from tables: hints, each with its source.

mod cost;
mod time;

pub use cost::estimate;
pub use time::time;

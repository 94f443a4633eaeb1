//! **Owns** the proof that a platform works: a canary that comes, is asked from inside and from outside,
//! and goes; and the truth about network policies.
//! **May name** base, os, flow, profile, engine, k8s.
//! **Never** knows who brings what a platform can do: that enters with the [`Subject`].
//! **Start reading at** [`Subject`], then [`examine()`] and [`PolicyTruth`].

mod attempt;
mod canary;
mod check;
mod checks;
mod examine;
mod outside;
mod pod;
mod policy;
mod subject;
mod truth;

pub use check::{Check, Report, Verdict};
pub use examine::{Examination, Habits, examine};
pub use subject::{Expected, Group, Subject};
pub use truth::{ID as NETWORK_POLICY, PolicyTruth, told};

/// What the canary runs: a program of the Kubernetes project for such tests, of a few megabytes.
/// <https://github.com/kubernetes/kubernetes/tree/master/test/images/agnhost>
pub const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

//! **Owns** the talk with a Kubernetes API server: one client per run, object sets (list, compare,
//! apply, prune), readiness, the records berth keeps in the cluster.
//! **May name** base, os, flow.
//! **Never** knows why an object is wanted. `kube` is named only here.
//! **Start reading at** [`Object`], then [`ObjectSet`].

mod kinds;
mod object;

pub use kinds::known_kind;
pub use object::{Kind, Object, ObjectError, Wave};

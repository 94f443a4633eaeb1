//! **Owns** the talk with a Kubernetes API server: one hub per run, object sets (list, compare,
//! apply, prune) as resources of the engine, readiness, the records berth keeps in the cluster.
//! **May name** base, os, flow, engine.
//! **Never** knows why an object is wanted. `kube` is named only here.
//! **Start reading at** [`Object`], then [`ObjectSet`] and [`SetResource`].

mod access;
mod adoption;
mod assess;
mod bearer;
mod client;
mod compare;
mod discovery;
mod drain;
mod emptying;
mod fault;
mod findings;
mod finish;
mod held;
mod hub;
mod kinds;
mod lease;
mod leftovers;
mod listing;
mod live;
mod object;
mod offers;
mod pod;
mod provided;
mod ready;
mod reasons;
mod records;
mod remains;
mod removal;
mod set;
mod step;
mod taken;
mod told;
mod trial;
mod versions;
mod volumes;
mod yields;

pub use access::choose_cryptography;
pub use finish::finish;
pub use hub::{Hub, HubSettings, Server};
pub use kinds::{Kinds, known_kind};
pub use leftovers::Leftovers;
pub use live::Live;
pub use object::{Kind, Object, ObjectError, PULL_SECRET, Served, Wave};
pub use offers::{NodesOffer, Offers};
pub use provided::Provided;
pub use ready::Readiness;
pub use records::Records;
pub use remains::Remains;
pub use set::{Late, Leaving, ObjectSet, RenderLate, SetResource};
pub use trial::{Purpose, Trial};

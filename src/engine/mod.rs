//! **Owns** the graph of resources and how it is brought to the wanted state: observing, planning,
//! converging, removing, and the events that say what happens.
//! **May name** base, os, flow.
//! **Never** knows what a resource is: no Kubernetes, no cloud, no profile.
//! **Start reading at** [`Resource`], then [`converge`].

mod event;
mod graph;
mod journal;
mod past;
mod resource;
mod run;
mod survey;
mod telling;
#[cfg(test)]
mod tests;
mod work;

pub use event::{Event, EventKind, Events, Listener, SCHEMA_VERSION};
pub use graph::{Graph, Need, Removal};
pub use journal::Journal;
pub use past::{PastRun, past_runs};
pub use resource::{Cx, Output, Outputs, Resource, Seen, State, Step};
pub use run::{Direction, Outcome, Run, converge, converge_seen, remove};
pub use survey::{Look, Observed, Survey, survey};
pub use telling::Telling;

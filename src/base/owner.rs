use serde::{Deserialize, Serialize};

/// Whose a thing is: everything berth makes carries this mark from its creation on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The profile's `id`.
    pub id: String,
    /// The environment's name, with `-rehearsal` behind it in a rehearsal.
    pub environment: String,
}

impl Owner {
    /// The selector that finds everything of this owner in a cluster.
    pub fn selector(&self) -> String {
        format!("{}={}", label::OWNER, self.id)
    }
}

/// The keys of Kubernetes labels, AWS tags and docker labels that carry the mark.
pub mod label {
    /// The owner's id.
    pub const OWNER: &str = "berth.dev/owner";
    /// The environment's name.
    pub const ENVIRONMENT: &str = "berth.dev/environment";
    /// The object set that an object belongs to.
    pub const SET: &str = "berth.dev/set";
    /// The tenant that an object belongs to.
    pub const TENANT: &str = "berth.dev/tenant";
    /// The node group that a node belongs to.
    pub const NODE_GROUP: &str = "berth.dev/node-group";
    /// Annotation: berth cordoned this node in order to remove it.
    pub const LEAVING: &str = "berth.dev/leaving";
    /// What a namespace that comes and goes is for: `verify`.
    pub const TRIAL: &str = "berth.dev/trial";
    /// Annotation: the hash of what was applied last.
    pub const APPLIED: &str = "berth.dev/applied";
}

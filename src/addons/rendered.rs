use super::definition::Ability;
use super::images::Image;
use super::rehearsal;
use crate::base::Note;
use crate::k8s::Object;

/// The topic of the notes on what is chosen once the network of the cluster's nodes is known.
pub const LEFT_OPEN: &str = "left open";

/// What one addon of a profile comes to on one platform.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The addon's name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// What berth applies, in the order of the manifests; empty where somebody else brings the addon
    /// or nothing stands behind it.
    pub objects: Vec<Object>,
    /// The path of a list in the cluster's API by whose items an addon that somebody else brings
    /// shows that it works.
    pub provided: Option<String>,
    /// The address pools that are chosen once the network of the cluster's nodes is known.
    pub open: Vec<String>,
    /// Whether it comes to more, or is refused, once the network of the cluster's nodes is known.
    pub follows_network: bool,
    /// Whether its objects are not at hand: it is from elsewhere and was not fetched.
    pub absent: bool,
    /// The images of its objects, also of those that a rehearsal leaves out.
    pub images: Vec<Image>,
    /// What the user should know: who brings it, that it is not rehearsed.
    pub notes: Vec<Note>,
    /// What it does for other addons and for the user.
    pub provides: Vec<Ability>,
    /// The object by which others show that they bring it already: `APIService v1beta1.metrics.k8s.io`.
    pub yields_to: Option<String>,
    /// What nodes with GPUs offer once it works.
    pub offers: Option<Offered>,
}

/// What every node with GPUs offers to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The extended resource: `nvidia.com/gpu`.
    pub resource: String,
    /// How much of it for each GPU; nothing is known beforehand when it is 0.
    pub times: u32,
}

impl Rendered {
    /// Takes out what a rehearsal does not apply. One note says so, and which address pools are `open`.
    pub(super) fn leave_out(&mut self, open: &[String], rehearsal: bool) {
        let mut parts = Vec::new();
        if rehearsal {
            let (applied, left_out) = rehearsal::split(std::mem::take(&mut self.objects));
            self.objects = applied;
            parts = rehearsal::words(&left_out);
        }
        parts.extend(open.iter().map(|pool| {
            format!("pool `{pool}` (its addresses are chosen from the docker network once it is there)")
        }));
        if !parts.is_empty() {
            let topic = if rehearsal { "not rehearsed" } else { LEFT_OPEN };
            self.notes.push(Note::new(topic, format!("addon {}: {}", self.name, parts.join(", "))));
        }
    }
}

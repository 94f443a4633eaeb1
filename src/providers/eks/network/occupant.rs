use super::resource::Inner;
use crate::base::{Conflict, Fault, label};
use crate::clouds::aws::{Aws, Refusal};
use crate::engine::{Seen, State};
use crate::flow::Flow;

use aws_sdk_eks::types::ClusterStatus;

/// The cluster of our name: it may stand in the network.
pub(super) struct Occupant {
    /// Whether it carries our mark.
    pub(super) is_ours: bool,
    /// Whether it is being deleted.
    pub(super) is_going: bool,
}

impl Inner {
    /// The cluster of our name, if there is one.
    pub(super) async fn occupant(&self, aws: &Aws, flow: &Flow) -> Result<Option<Occupant>, Fault> {
        let name = self.names.cluster();
        let described = match aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from)
        {
            Ok(described) => described,
            Err(refusal) if refusal.is_absent() => return Ok(None),
            Err(refusal) => return Err(refusal.fault(format!("look at cluster `{name}`"))),
        };
        Ok(described.cluster().map(|cluster| Occupant {
            is_ours: cluster.tags().and_then(|tags| tags.get(label::OWNER))
                == Some(&self.environment.owner.id),
            is_going: cluster.status() == Some(&ClusterStatus::Deleting),
        }))
    }

    /// Whether a cluster of ours stands though there is no stack whose network it could stand in: somebody deleted that
    /// and had retained what could not go.
    pub(super) async fn is_left_behind(&self, aws: &Aws, flow: &Flow) -> Result<bool, Fault> {
        if !self.spec.network.subnets.is_empty() {
            return Ok(false);
        }
        let occupant = self.occupant(aws, flow).await?;
        Ok(occupant.is_some_and(|cluster| cluster.is_ours && !cluster.is_going))
    }

    /// A network that a cluster stands in, and that cannot be brought up any more, for this reason.
    ///
    /// A deletion cannot be taken back, and a stack that was deleted half is neither updated nor imported into: all that
    /// `DeleteStack` offers is to let the rest of it be (`RetainResources`, `FORCE_DELETE_STACK`), as nobody's.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html>
    pub(super) fn lost(&self, subject: String, reason: &str) -> Seen {
        let name = &self.environment.name;
        let why = format!(
            "{reason}; the cluster `{name}` stands in it, and CloudFormation only lets such a stack be deleted"
        );
        let remedy = format!("`berth down {name}` removes both, and all that is in the cluster");
        broken(subject, Conflict::new(why, remedy))
    }

    /// No stack at all, under a cluster that stands.
    pub(super) fn left_behind(&self, subject: String) -> Seen {
        let name = &self.environment.name;
        let why = format!(
            "it is gone, and the cluster `{name}` stands in the network that it had made: a cluster never changes its \
             network"
        );
        let remedy = format!(
            "`berth down {name}` removes the cluster, and all that is in it, and names what is left of the network"
        );
        broken(subject, Conflict::new(why, remedy))
    }
}

fn broken(subject: String, conflict: Conflict) -> Seen {
    let mut seen = Seen::new(State::Broken(conflict.to_string()));
    seen.changes = vec![conflict.of(subject)];
    seen
}

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::base::{ClusterAccess, Credential, Fault, Note, ResourceId};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::k8s::{Hub, Server};
use crate::profile::schema::ExistingCluster;
use crate::profile::{Environment, NEWEST, OLDEST};

/// A cluster that a kubeconfig names.
pub struct ClusterResource {
    id: ResourceId,
    access: ClusterAccess,
    context: String,
    hub: Arc<Hub>,
}

impl ClusterResource {
    /// The cluster of `environment` as `spec` names it.
    pub fn new(environment: &Environment, spec: &ExistingCluster, hub: Arc<Hub>) -> Self {
        Self {
            id: ResourceId::new(format!("cluster/existing/{}", environment.name)),
            access: ClusterAccess {
                server: format!(
                    "the cluster of context `{}` in `{}`",
                    spec.context,
                    spec.kubeconfig.display()
                ),
                ca: None,
                credential: Credential::Kubeconfig {
                    path: spec.kubeconfig.clone(),
                    context: spec.context.clone(),
                },
            },
            context: spec.context.clone(),
            hub,
        }
    }
}

/// What the version of a cluster means for berth.
fn judge(server: &Server) -> (State, Option<Note>) {
    let (oldest, newest) = (format!("{}.{}", OLDEST.0, OLDEST.1), format!("{}.{}", NEWEST.0, NEWEST.1));
    if server.version < OLDEST {
        let reason = format!(
            "it runs Kubernetes {}, and berth needs {oldest} or newer: upgrade it first",
            server.full_version
        );
        return (State::Broken(reason), None);
    }
    let note = (server.version > NEWEST).then(|| {
        let text = format!(
            "the cluster runs Kubernetes {}, and berth was tried up to {newest}",
            server.full_version
        );
        Note::new("warning", text)
    });
    (State::Ready, note)
}

impl Resource for ClusterResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outline(&self) -> String {
        format!("existing cluster {}", self.context)
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let server = self.hub.probe(&self.access, &cx.flow).await?;
            let (state, note) = judge(&server);
            let mut seen = Seen::new(state)
                .output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(self.access.clone())));
            seen.notes.extend(note);
            Ok(seen)
        }
        .boxed()
    }

    /// Somebody else made it: it stays.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(minor: u32) -> Server {
        Server { version: (1, minor), full_version: format!("v1.{minor}.0") }
    }

    #[test]
    fn a_cluster_too_old_is_refused_with_what_to_do() {
        let (state, _) = judge(&server(32));
        assert!(matches!(state, State::Broken(why) if why.contains("v1.32.0") && why.contains("upgrade")));
        assert_eq!(judge(&server(33)), (State::Ready, None));
    }

    #[test]
    fn a_cluster_newer_than_what_was_tried_is_used_with_a_warning() {
        let (state, note) = judge(&server(38));
        assert_eq!(state, State::Ready);
        assert_eq!(note.map(|note| note.topic), Some("warning".to_string()));
    }
}

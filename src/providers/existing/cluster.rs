use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::base::{ClusterAccess, Credential, Fault, Note, ResourceId};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::{Hub, Server};
use crate::profile::schema::ExistingCluster;
use crate::profile::{Environment, NEWEST, OLDEST};

/// How long a cluster may take to say its version before it is taken for the default.
const FIRST_WORD: Duration = Duration::from_secs(4);

/// Where it is known from which Kubernetes a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The profile says so.
    Declared,
    /// The cluster said so.
    Asked,
    /// Nobody said so.
    Assumed,
}

/// A cluster that a kubeconfig names.
pub struct ClusterResource {
    id: ResourceId,
    access: ClusterAccess,
    context: String,
    /// The Kubernetes that everything is rendered for.
    kubernetes: (u32, u32),
    origin: Origin,
    hub: Arc<Hub>,
}

impl ClusterResource {
    /// The cluster of `environment` as `spec` names it.
    pub fn new(environment: &Environment, spec: &ExistingCluster, hub: Arc<Hub>) -> Self {
        Self {
            id: ResourceId::new(format!("cluster/existing/{}", environment.name)),
            access: access(spec),
            context: spec.context.clone(),
            kubernetes: environment.kubernetes,
            origin: match &spec.version {
                Some(_) => Origin::Declared,
                None if environment.kubernetes_assumed => Origin::Assumed,
                None => Origin::Asked,
            },
            hub,
        }
    }
}

/// How the cluster that `spec` names is reached.
fn access(spec: &ExistingCluster) -> ClusterAccess {
    ClusterAccess {
        server: format!("the cluster of context `{}` in `{}`", spec.context, spec.kubeconfig.display()),
        ca: None,
        credential: Credential::Kubeconfig { path: spec.kubeconfig.clone(), context: spec.context.clone() },
    }
}

/// The Kubernetes that the cluster of `spec` says it runs, as far as berth knows it: one that is newer is taken
/// for the newest, and `None` is one that is too old to be used.
pub(in crate::providers) async fn ask(
    spec: &ExistingCluster,
    flow: &Flow,
) -> Result<Option<(u32, u32)>, Fault> {
    let server = Server::ask(&access(spec), FIRST_WORD, flow).await?;
    Ok((server.version >= OLDEST).then(|| server.version.min(NEWEST)))
}

/// What the version of a cluster means for berth, which rendered everything for `kubernetes`.
fn judge(server: &Server, kubernetes: (u32, u32), origin: Origin) -> (State, Option<Note>) {
    let minor = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let (oldest, newest) = (minor(OLDEST), minor(NEWEST));
    if server.version < OLDEST {
        let reason = format!(
            "it runs Kubernetes {}, and berth needs {oldest} or newer: upgrade it first",
            server.full_version
        );
        return (State::Broken(reason), None);
    }
    if server.version.min(NEWEST) != kubernetes && origin != Origin::Asked {
        let (runs, meant) = (minor(server.version.min(NEWEST)), minor(kubernetes));
        let full = &server.full_version;
        let reason = if origin == Origin::Declared {
            format!(
                "it runs Kubernetes {full}, and the profile says {meant}: write `version: \"{runs}\"`, or take \
                 `version` out and berth asks the cluster"
            )
        } else {
            format!(
                "it runs Kubernetes {full}, and was too slow to say so before it was taken for {meant}: run the \
                 command again, or write `version: \"{runs}\"` under `cluster.existing`"
            )
        };
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
            let (state, note) = judge(&server, self.kubernetes, self.origin);
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
        let (state, _) = judge(&server(32), (1, 36), Origin::Assumed);
        assert!(matches!(state, State::Broken(why) if why.contains("v1.32.0") && why.contains("upgrade")));
        assert_eq!(judge(&server(33), (1, 33), Origin::Asked), (State::Ready, None));
    }

    #[test]
    fn a_cluster_of_another_version_than_what_was_rendered_is_refused_with_what_to_change() {
        let refused = |origin| match judge(&server(35), (1, 33), origin) {
            (State::Broken(why), None) => why,
            other => unreachable!("{other:?}"),
        };
        let declared = refused(Origin::Declared);
        for words in ["v1.35.0", "the profile says 1.33", "write `version: \"1.35\"`"] {
            assert!(declared.contains(words), "{declared}");
        }
        assert!(refused(Origin::Assumed).contains("taken for 1.33: run the command again"));
    }

    #[test]
    fn a_cluster_newer_than_what_was_tried_is_used_with_a_warning() {
        let (state, note) = judge(&server(38), NEWEST, Origin::Declared);
        assert_eq!(state, State::Ready);
        assert_eq!(note.map(|note| note.topic), Some("warning".to_string()));
    }
}

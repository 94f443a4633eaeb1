//! A cluster whose containers all run, by what its API server says.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::ClusterResource;
use super::restart::Restart;
use super::silence::Silent;
use super::step::KeepAccess;
use super::verdict::{Sight, asks_for_a_version};
use crate::base::{Change, ChangeKind, ClusterAccess, Fault, Note};
use crate::containers::Engine;
use crate::engine::{Cx, Output, Outputs, Seen, State};
use crate::k8s::{Server, known_kind};

/// How long an API server may take to say its version.
const VERSION: Duration = Duration::from_secs(5);

impl ClusterResource {
    /// Asks the API server of a cluster whose containers all run.
    pub(super) async fn ask(&self, sight: &Sight, engine: &Engine, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        let (mut access, mut is_kept) = match inner.kept_access() {
            Some(kept) => match inner.newer_access.get().filter(|newer| **newer != kept) {
                Some(newer) => (newer.clone(), false),
                None => (kept, true),
            },
            None => match inner.access_from_kind(engine, &cx.flow).await {
                Ok(access) => (access, false),
                // kind reads it inside of a node, which has none before its making came that far.
                Err(_) if !sight.has_kubeconfig && !sight.kind_ended => {
                    let why = "its control plane was never set up".to_string();
                    return Ok(self.to_make(State::Broken(why.clone()), ChangeKind::Replace, Some(why)));
                }
                Err(fault) => return Err(fault),
            },
        };
        let mut other = self.other_image(sight, &access, cx).await;
        let mut answer = if other.is_none() { inner.is_ready(&access, &cx.flow).await } else { Ok(true) };
        if is_kept && other.is_none() && !matches!(answer, Ok(true)) {
            // Before a server is called silent: is it the right one?
            if let Some(newer) = inner.newer_access(&access, engine, &cx.flow).await {
                (access, is_kept) = (newer, false);
                other = self.other_image(sight, &access, cx).await;
                if other.is_none() {
                    answer = inner.is_ready(&access, &cx.flow).await;
                }
            }
        }
        if let Some(why) = other {
            let seen = self.needs_a_new_one(State::Ready, &why);
            return if inner.leave.recreate { Ok(seen) } else { self.with_access(seen, engine, cx).await };
        }
        if !answer? {
            return Ok(Seen::new(self.silent(sight, engine, cx)));
        }
        inner.silence.is_over();
        let server = inner.hub.probe(&access, &cx.flow).await?;
        if let Some(why) = self.is_settling(sight, cx).await? {
            return Ok(Seen::new(State::Progressing(why)));
        }
        let mut seen =
            Seen::new(State::Ready).output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access.clone())));
        seen.notes.extend(other_version(&server, inner.config.kubernetes));
        if is_kept && !sight.is_making {
            return Ok(seen);
        }
        let why = if sight.kind_ended {
            "kind has made it"
        } else if inner.newer_access.initialized() {
            "its kubeconfig leads elsewhere"
        } else {
            "its kubeconfig is gone or damaged"
        };
        let change = Change::new(ChangeKind::Update, self.subject()).because(why);
        Ok(seen.to_change(vec![change], KeepAccess { inner: Arc::clone(inner), access }))
    }

    /// That the profile, which names a Kubernetes and no image, wants another one than the API server at `access` has.
    /// It is asked over a connection of its own: that of the run may be needed for a new cluster.
    async fn other_image(&self, sight: &Sight, access: &ClusterAccess, cx: &Cx) -> Option<String> {
        let config = &self.inner.config;
        if !asks_for_a_version(sight, config) {
            return None;
        }
        let server = Server::ask(access, VERSION, &cx.flow).await.ok()?;
        let (major, minor) = config.kubernetes;
        (server.version != config.kubernetes).then(|| {
            format!(
                "image: `{}` with Kubernetes {}, the profile says {major}.{minor}",
                sight.containers.first().map(|node| node.image.as_str()).unwrap_or_default(),
                server.full_version
            )
        })
    }

    /// Why what the API server says may still be of the time before nodes were started again. Nothing is asked
    /// where none was, and nothing where the cluster goes anyway.
    async fn is_settling(&self, sight: &Sight, cx: &Cx) -> Result<Option<String>, Fault> {
        let inner = &self.inner;
        let restart = Restart::of(&sight.containers, &inner.unpaused, cx.clock.now());
        let Some(restart) = restart.filter(|_| !inner.leave.removes) else { return Ok(None) };
        let kind = |group: &str, name: &str| known_kind(group, name).expect("it is built in");
        let leases = inner.hub.list_all(&kind("coordination.k8s.io/v1", "Lease"), &cx.flow).await?;
        if let Some(why) = restart.unrenewed(&leases) {
            return Ok(Some(why));
        }
        Ok(restart.unheard(&inner.hub.list_all(&kind("v1", "Pod"), &cx.flow).await?))
    }

    /// Of a cluster whose API server does not answer: it will, or it has not for too long.
    fn silent(&self, sight: &Sight, engine: &Engine, cx: &Cx) -> State {
        let name = &self.inner.config.name;
        let remedy = format!(
            "`{} restart {name}-control-plane` may help, `berth up {name} --recreate` makes the cluster anew, with all \
             that is in it lost",
            engine.kind()
        );
        let silent = Silent {
            containers: &sight.containers,
            now: cx.clock.now(),
            waits: self.inner.leave.makes,
            remedy: &remedy,
        };
        silent.judge(&self.inner.silence)
    }

    /// What is in a cluster can be looked at as long as its API server answers.
    pub(super) async fn with_access(&self, seen: Seen, engine: &Engine, cx: &Cx) -> Result<Seen, Fault> {
        let access = match self.inner.newer_access.get().cloned().or_else(|| self.inner.kept_access()) {
            Some(access) => Some(access),
            None => self.inner.access_from_kind(engine, &cx.flow).await.ok(),
        };
        Ok(match access {
            Some(access) if self.inner.is_ready(&access, &cx.flow).await? => {
                seen.output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access)))
            }
            _ => seen,
        })
    }
}

/// That the node image has another Kubernetes than the profile says.
fn other_version(server: &Server, declared: (u32, u32)) -> Option<Note> {
    let minor = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    (server.version != declared).then(|| {
        let text = format!(
            "the node image has Kubernetes {}, and the profile says {}: write `version: \"{}\"` under `cluster.kind`, \
             or make the cluster anew of another image",
            server.full_version,
            minor(declared),
            minor(server.version)
        );
        Note::new("warning", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_image_of_another_kubernetes_is_told_with_what_to_write() {
        let server = Server { version: (1, 36), full_version: "v1.36.3".to_string() };
        assert_eq!(other_version(&server, (1, 36)), None);
        let told = other_version(&server, (1, 34)).expect("they differ").text;
        assert!(told.contains("v1.36.3") && told.contains("write `version: \"1.36\"`"), "{told}");
    }
}

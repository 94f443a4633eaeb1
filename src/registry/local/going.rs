use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::future::try_join_all;

use super::container::title_elsewhere;
use super::make;
use super::port::{self, Port};
use super::store::{LABEL, Role, Store, title, title_of};
use super::users::users;
use super::volume::{self, Volume};
use crate::base::{Fault, Note};
use crate::containers::{Container, Engine};
use crate::engine::{Seen, State};
use crate::flow::Flow;

/// What goes with a lab: the registries that no other lab uses.
pub(super) struct Going {
    /// The cluster of the lab.
    cluster: String,
    /// The port of the registry that the profile declares.
    port: Option<u16>,
    /// Whether images go too.
    images: bool,
    /// The registries of the profile, those that the lab's nodes were seen to use, and, when images go too,
    /// those that no lab uses at all: by the name of the container, what it is for. The nodes are gone when
    /// it is the registry's turn.
    concerned: Mutex<BTreeMap<String, String>>,
}

/// A registry of the lab, as it is found.
struct Found {
    name: String,
    mark: String,
    container: Option<Container>,
    /// Other labs that use it.
    others: BTreeSet<String>,
    volume: Volume,
}

impl Going {
    /// What goes with the lab of `cluster`, whose profile declares `stores`.
    pub(super) fn new(stores: &[Store], cluster: String, images: bool) -> Self {
        let concerned = stores.iter().map(|store| (store.name(), store.mark())).collect();
        let port = stores.iter().find_map(|store| match store.role {
            Role::Own(port) => Some(port),
            Role::Cache(_) => None,
        });
        Self { cluster, port, images, concerned: Mutex::new(concerned) }
    }

    /// What is there of it.
    pub(super) async fn look(&self, engine: &Engine, flow: &Flow) -> Result<Seen, Fault> {
        let all = self.find(engine).await?;
        let goes = all.iter().any(|found| found.goes(self.images));
        let mut seen = Seen::new(if goes { State::Ready } else { State::Absent });
        seen.notes = all.iter().filter_map(|found| found.stays(self.images)).collect();
        if let Some(port) = self.port
            && let Port::Registry(by) = port::look(port, engine, flow).await?
        {
            let text = format!("{}: berth did not start it", title_elsewhere(port, &by));
            seen.notes.push(Note::new("kept", text));
        }
        Ok(seen)
    }

    /// Removes what goes.
    pub(super) async fn remove(&self, engine: &Engine) -> Result<(), Fault> {
        for found in self.find(engine).await?.iter().filter(|found| found.goes(self.images)) {
            if found.container.is_some() {
                make::remove(&found.name, engine).await?;
            }
            if self.images {
                volume::remove(&found.name, engine).await?;
            }
        }
        Ok(())
    }

    async fn find(&self, engine: &Engine) -> Result<Vec<Found>, Fault> {
        let containers = engine.containers_with(LABEL).await?;
        let mut users = users(engine, &containers).await?;
        let concerned = {
            let mut concerned = self.concerned.lock().unwrap_or_else(PoisonError::into_inner);
            for container in &containers {
                let users = users.get(&container.name);
                let is_used_here = users.is_some_and(|users| users.contains(&self.cluster));
                // Without that flag it may be of a lab that is being made right now.
                if is_used_here || (self.images && users.is_none()) {
                    let mark = container.labels.get(LABEL).cloned().unwrap_or_default();
                    concerned.insert(container.name.clone(), mark);
                }
            }
            concerned.clone()
        };
        let volumes = try_join_all(concerned.keys().map(|name| volume::look(name, engine))).await?;
        let found = concerned.into_iter().zip(volumes).map(|((name, mark), volume)| {
            let mut others = users.remove(&name).unwrap_or_default();
            others.remove(&self.cluster);
            let container = containers.iter().find(|container| container.name == name).cloned();
            Found { name, mark, container, others, volume }
        });
        Ok(found.collect())
    }
}

impl Found {
    fn title(&self) -> String {
        self.container.as_ref().map_or_else(|| title(&self.name, &self.mark), title_of)
    }

    fn goes(&self, images: bool) -> bool {
        self.others.is_empty() && (self.container.is_some() || (images && self.volume == Volume::Ours))
    }

    /// What stays of it, and why.
    fn stays(&self, images: bool) -> Option<Note> {
        if self.container.is_some() && !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|name| format!("`{name}`")).collect();
            let text = format!("{}: {} uses it too", self.title(), others.join(", "));
            return Some(Note::new("kept", text));
        }
        let volume_stays = self.others.is_empty() && !images && self.volume == Volume::Ours;
        volume_stays.then(|| {
            let text =
                format!("images of {}: volume `{}`; `--registries` removes it", self.title(), self.name);
            Note::new("kept", text)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::containers::EngineKind;
    use crate::flow::Cancel;
    use crate::profile::schema::LocalRegistry;
    use crate::registry::local::store::stores;

    /// An engine with the registry, at a port that nobody has, and a cache of Docker Hub in containers and volumes, and the node of `lab`, which
    /// uses both; where `dev` stands, its node uses the registry too. The volume of the cache is somebody else's.
    fn engine(folder: &Path, dev_stands: bool) -> Engine {
        let container = |name: &str, labels: &str| {
            format!(r#"{{"Id": "{name}", "Name": "/{name}", "Config": {{"Labels": {{{labels}}}}}}}"#)
        };
        let registries = [
            container("berth-registry-1", r#""berth.dev/registry": "localhost:1""#),
            container("berth-cache-docker-io", r#""berth.dev/registry": "docker.io""#),
        ];
        let node = |cluster: &str| {
            container(
                &format!("{cluster}-control-plane"),
                &format!(r#""io.x-k8s.kind.cluster": "{cluster}", "io.x-k8s.kind.role": "control-plane""#),
            )
        };
        let nodes: Vec<String> =
            ["lab", "dev"].into_iter().filter(|name| *name == "lab" || dev_stands).map(node).collect();
        let script = format!(
            r#"cd '{folder}'
echo "$*" >>calls
case "$*" in
*--filter\ label=berth.dev/registry) echo registries ;;
*--filter\ label=io.x-k8s.kind.cluster) echo nodes ;;
'container inspect registries') echo '[{registries}]' ;;
'container inspect nodes') echo '[{nodes}]' ;;
'container inspect berth-registry-1') echo '[{registry}]' ;;
'container inspect berth-cache-docker-io') echo '[{cache}]' ;;
'cp lab-control-plane:'*) printf '[host."http://berth-registry-1:5000"]\n[host."http://berth-cache-docker-io:5000"]\n' ;;
'cp dev-control-plane:'*) printf '[host."http://berth-registry-1:5000"]\n' ;;
'volume inspect berth-registry-1') echo '[{{"Labels": {{"berth.dev/registry": "localhost:1"}}}}]' ;;
'volume inspect '*) echo '[{{"Labels": null}}]' ;;
rm\ *|volume\ rm\ *) ;;
*) echo "not played: $*" >&2; exit 70 ;;
esac"#,
            folder = folder.display(),
            registry = registries[0],
            cache = registries[1],
            registries = registries.join(","),
            nodes = nodes.join(","),
        );
        Engine::played(EngineKind::Docker, folder, &script)
    }

    /// What `down` of `lab` removes, with its images if `images`, and what it says that stays.
    async fn removed(images: bool, dev_stands: bool) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), dev_stands);
        let declared = LocalRegistry {
            port: 1,
            pull_through: vec!["docker.io".to_string()],
            ..LocalRegistry::default()
        };
        let going = Going::new(&stores(&declared), "lab".to_string(), images);
        let stays = going.look(&engine, &Flow::new(Cancel::default())).await.expect("it answers").notes;
        going.remove(&engine).await.expect("it answers");
        let calls = fs::read_to_string(folder.path().join("calls")).expect("it was called");
        let removals = calls.lines().filter(|call| call.starts_with("rm ") || call.starts_with("volume rm "));
        (removals.map(str::to_string).collect(), stays.into_iter().map(|note| note.text).collect())
    }

    #[tokio::test]
    async fn the_last_lab_takes_its_registries_and_leaves_the_images() {
        let (removed, stays) = removed(false, false).await;
        assert_eq!(removed, ["rm --force berth-cache-docker-io", "rm --force berth-registry-1"]);
        assert_eq!(
            stays,
            ["images of registry `localhost:1`: volume `berth-registry-1`; `--registries` removes it"]
        );
    }

    #[tokio::test]
    async fn images_go_when_that_was_asked_for_and_a_volume_of_somebody_else_never() {
        let (removed, stays) = removed(true, false).await;
        let gone =
            ["rm --force berth-cache-docker-io", "rm --force berth-registry-1", "volume rm berth-registry-1"];
        assert_eq!((removed, stays), (gone.map(str::to_string).to_vec(), Vec::new()));
    }

    #[tokio::test]
    async fn images_alone_are_nothing_that_goes_unasked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = r#"case "$*" in
            'volume inspect '*) echo '[{"Labels": {"berth.dev/registry": "localhost:1"}}]' ;;
            esac"#;
        let engine = Engine::played(EngineKind::Docker, folder.path(), script);
        let stores = stores(&LocalRegistry { port: 1, ..LocalRegistry::default() });
        for (images, state) in [(false, State::Absent), (true, State::Ready)] {
            let seen = Going::new(&stores, "lab".to_string(), images)
                .look(&engine, &Flow::new(Cancel::default()))
                .await;
            assert_eq!(seen.expect("it answers").state, state);
        }
    }

    #[tokio::test]
    async fn a_registry_that_the_lab_neither_declares_nor_uses_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), true);
        Going::new(&[], "other".to_string(), false).remove(&engine).await.expect("it answers");
        let calls = fs::read_to_string(folder.path().join("calls")).expect("it was called");
        assert!(!calls.contains("rm "), "{calls}");
    }

    #[tokio::test]
    async fn what_another_lab_uses_stays_with_its_images() {
        let (removed, stays) = removed(true, true).await;
        assert_eq!(removed, ["rm --force berth-cache-docker-io"]);
        assert_eq!(stays, ["registry `localhost:1`: `dev` uses it too"]);
    }
}

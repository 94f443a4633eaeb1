use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::try_join_all;

use super::claim::Claims;
use super::container::title_elsewhere;
use super::idle::Idle;
use super::make;
use super::port::{self, Port};
use super::store::{LABEL, Origin, Role, Store, title, title_of};
use super::users::{Lab, known, users};
use super::volume::{self, Volume};
use crate::base::{Fault, Note};
use crate::containers::{Container, Engine};
use crate::engine::{Cx, Seen, State};

/// What goes with a lab: the registries that no other lab uses, also those that it used once, and those that
/// nobody uses any more.
pub(super) struct Going {
    lab: Lab,
    claims: Claims,
    /// The port of the registry that the profile declares.
    port: Option<u16>,
    /// Whether images go too.
    images: bool,
    /// The registries that it is about, by the name of the container. The nodes are gone when it is the registry's turn,
    /// so what they were seen to use is kept here.
    concerned: Mutex<BTreeMap<String, Concern>>,
    /// What the last look found: what is removed right behind it needs no other.
    found: Mutex<Option<Vec<Found>>>,
}

/// Why a registry is looked at.
#[derive(Debug, Clone)]
struct Concern {
    /// What it is for.
    mark: String,
    /// Whether the lab's nodes were seen to use it.
    was_used: bool,
    /// Whether the profile names it.
    is_declared: bool,
    /// Whether the lab made it.
    is_made_here: bool,
}

/// A registry of the lab, as it is found.
struct Found {
    name: String,
    concern: Concern,
    container: Option<Container>,
    /// Why it has to stay.
    stays: Option<String>,
    volume: Volume,
}

impl Going {
    /// What goes with `lab`, whose profile declares `stores`.
    pub(super) fn new(stores: &[Store], lab: Lab, claims: Claims, images: bool) -> Self {
        let concern = |store: &Store| Concern {
            mark: store.mark(),
            was_used: false,
            is_declared: true,
            is_made_here: false,
        };
        let concerned = stores.iter().map(|store| (store.name(), concern(store))).collect();
        let port = stores.iter().find_map(|store| match store.role {
            Role::Own(port) => Some(port),
            Role::Cache(_) => None,
        });
        Self { lab, claims, port, images, concerned: Mutex::new(concerned), found: Mutex::new(None) }
    }

    /// What is there of it.
    pub(super) async fn look(&self, engine: &Engine, cx: &Cx) -> Result<Seen, Fault> {
        let all = self.find(engine, cx).await?;
        let goes = all.iter().any(|found| found.goes(self.images));
        let mut seen = Seen::new(if goes { State::Ready } else { State::Absent });
        seen.notes = all.iter().flat_map(|found| found.notes(self.images)).collect();
        if goes && !all.iter().any(|found| found.goes(self.images) && found.container.is_some()) {
            seen.notes.push(Note::new("only a part", "only its images are there"));
        }
        if let Some(port) = self.port
            && !all.iter().any(|found| found.has(port))
            && let Port::Registry(by) = port::look(port, engine, &cx.flow).await?
        {
            let text = format!("{}: berth did not start it", title_elsewhere(port, &by));
            seen.notes.push(Note::new("kept", text));
        }
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
        Ok(seen)
    }

    /// Removes what goes, as it was found by the look just before.
    pub(super) async fn remove(&self, engine: &Engine, cx: &Cx) -> Result<(), Fault> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = match found {
            Some(found) => found,
            None => self.find(engine, cx).await?,
        };
        let going = found.iter().filter(|found| found.goes(self.images));
        try_join_all(going.map(|found| self.remove_one(found, engine))).await.map(drop)
    }

    async fn remove_one(&self, found: &Found, engine: &Engine) -> Result<(), Fault> {
        // A lab that is brought up since the look keeps it.
        if self.claims.other(&found.name)?.is_some() {
            return Ok(());
        }
        if let Some(container) = &found.container {
            make::remove_ours(container, engine).await?;
        }
        if found.images_go(self.images) && found.volume == Volume::Ours {
            volume::remove_ours(&found.name, engine).await?;
        }
        Ok(())
    }

    async fn find(&self, engine: &Engine, cx: &Cx) -> Result<Vec<Found>, Fault> {
        let label = Origin::label_of(&self.lab.owner);
        let (mut containers, known, made_here) =
            futures::try_join!(engine.containers_with(LABEL), known(engine), volume::with(&label, engine))?;
        // What goes here goes for the label alone.
        containers.retain(|container| container.labels.contains_key(LABEL));
        let users = users(&known, &containers);
        let idle = Idle { lab: &self.lab, claims: &self.claims, users: &users, now: cx.clock.now() };
        let concerned = {
            let mut concerned = self.concerned.lock().unwrap_or_else(PoisonError::into_inner);
            for container in &containers {
                let mark = container.labels.get(LABEL).cloned().unwrap_or_default();
                let users = users.get(&container.name);
                let was_used = users.is_some_and(|users| users.iter().any(|user| self.lab.is(user)));
                let is_left = users.is_none() && idle.why_it_stays(container, false)?.is_none();
                if was_used || is_left {
                    let is_made_here =
                        Origin::of(container).is_some_and(|origin| origin.by == self.lab.owner);
                    let concern = Concern { mark, was_used: false, is_declared: false, is_made_here };
                    concerned.entry(container.name.clone()).or_insert(concern).was_used |= was_used;
                }
            }
            for (name, mark) in &made_here {
                let is_there = containers.iter().any(|container| container.name == *name);
                if !is_there && !users.contains_key(name) {
                    let mark = mark.clone();
                    let concern = Concern { mark, was_used: false, is_declared: false, is_made_here: true };
                    concerned.entry(name.clone()).or_insert(concern);
                }
            }
            concerned.clone()
        };
        let volumes = concerned.keys().map(|name| async {
            if made_here.contains_key(name) { Ok(Volume::Ours) } else { volume::look(name, engine).await }
        });
        let volumes = try_join_all(volumes).await?;
        let found = concerned.into_iter().zip(volumes).map(|((name, concern), volume)| {
            let container = containers.iter().find(|container| container.name == name).cloned();
            let stays = match &container {
                Some(container) => idle.why_it_stays(container, concern.was_used)?,
                None => idle.why_images_stay(&name)?,
            };
            Ok(Found { name, concern, container, stays, volume })
        });
        found.collect()
    }
}

impl Concern {
    /// Whether its images are the lab's to remove: what others left behind keeps them.
    fn is_of_the_lab(&self) -> bool {
        self.was_used || self.is_declared || self.is_made_here
    }
}

impl Found {
    fn title(&self) -> String {
        self.container.as_ref().map_or_else(|| title(&self.name, &self.concern.mark), title_of)
    }

    /// Whether it has `port` of this machine.
    fn has(&self, port: u16) -> bool {
        let mut published = self.container.iter().flat_map(|container| &container.ports);
        published.any(|published| published.host == port)
    }

    fn goes(&self, images: bool) -> bool {
        self.stays.is_none()
            && (self.container.is_some() || (self.images_go(images) && self.volume == Volume::Ours))
    }

    fn images_go(&self, images: bool) -> bool {
        images && self.concern.is_of_the_lab()
    }

    /// What stays of it, and why; and what goes that the lab's profile does not name.
    fn notes(&self, images: bool) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some(why) = &self.stays {
            if self.container.is_some() {
                notes.push(Note::new("kept", format!("{}: {why}", self.title())));
            }
            return notes;
        }
        if self.container.is_some() && !self.concern.is_declared && !self.concern.was_used {
            let text = format!("{} goes too: no lab uses it any more", self.title());
            notes.push(Note::new("left behind", text));
        }
        if !self.images_go(images) && self.volume == Volume::Ours {
            let how = if self.concern.is_of_the_lab() { "; `--registries` removes it" } else { "" };
            let text = format!("images of {}: volume `{}`{how}", self.title(), self.name);
            notes.push(Note::new("kept", text));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::containers::EngineKind;
    use crate::engine::Outputs;
    use crate::flow::{Cancel, Flow};
    use crate::os::FileLock;
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
rm\ *|volume\ rm\ *|volume\ ls\ *) ;;
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

    fn going(stores: &[Store], lab: &str, images: bool) -> Going {
        let (lab, claims) = Lab::played(lab);
        Going::new(stores, lab, claims, images)
    }

    fn cx() -> Cx {
        let flow = Flow::new(Cancel::default());
        Cx { outputs: Outputs::default(), flow, clock: Arc::new(SystemClock) }
    }

    fn calls(folder: &Path) -> Vec<String> {
        let calls = fs::read_to_string(folder.join("calls")).expect("it was called");
        calls.lines().map(str::to_string).collect()
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
        let going = going(&stores(&declared), "lab", images);
        let stays = going.look(&engine, &cx()).await.expect("it answers").notes;
        going.remove(&engine, &cx()).await.expect("it answers");
        let mut removals = calls(folder.path());
        removals.retain(|call| call.starts_with("rm ") || call.starts_with("volume rm "));
        // They go at the same time.
        removals.sort();
        (removals, stays.into_iter().map(|note| note.text).collect())
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
    async fn what_was_found_a_moment_ago_is_removed_without_another_look() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), false);
        let stores = stores(&LocalRegistry { port: 1, ..LocalRegistry::default() });
        let going = going(&stores, "lab", true);
        going.look(&engine, &cx()).await.expect("it answers");
        let looked = calls(folder.path()).len();
        going.remove(&engine, &cx()).await.expect("it answers");
        let mut removals = calls(folder.path()).split_off(looked);
        removals.sort();
        assert_eq!(
            removals,
            ["rm --force berth-cache-docker-io", "rm --force berth-registry-1", "volume rm berth-registry-1"]
        );
        // Whoever removes again looks again.
        going.remove(&engine, &cx()).await.expect("it answers");
        assert!(calls(folder.path()).len() > looked + 2 * removals.len());
    }

    #[tokio::test]
    async fn what_a_lab_needs_that_is_brought_up_since_the_look_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), false);
        let claims = |environment: &str| {
            let (lab, _) = Lab::played(environment);
            (Claims::new(folder.path(), folder.path().join(environment), &lab), lab)
        };
        let ((claims_of_lab, lab), (claims_of_dev, _)) = (claims("lab"), claims("dev"));
        let stores = stores(&LocalRegistry { port: 1, ..LocalRegistry::default() });
        let going = Going::new(&stores, lab, claims_of_lab, true);
        going.look(&engine, &cx()).await.expect("it answers");
        let _run =
            FileLock::try_take(&folder.path().join("dev"), "berth up dev").expect("opened").expect("free");
        let _claim = claims_of_dev.hold("berth-registry-1").expect("taken");
        going.remove(&engine, &cx()).await.expect("it answers");
        let removals: Vec<String> =
            calls(folder.path()).into_iter().filter(|call| call.contains("rm ")).collect();
        assert_eq!(removals, ["rm --force berth-cache-docker-io"]);
    }

    #[tokio::test]
    async fn images_alone_are_nothing_that_goes_unasked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = r#"case "$*" in
            'volume inspect '*) echo '[{"Labels": {"berth.dev/registry": "localhost:1"}}]' ;;
            esac"#;
        let engine = Engine::played(EngineKind::Docker, folder.path(), script);
        let stores = stores(&LocalRegistry { port: 1, ..LocalRegistry::default() });
        for (images, state, told) in
            [(false, State::Absent, None), (true, State::Ready, Some("only its images are there"))]
        {
            let seen = going(&stores, "lab", images).look(&engine, &cx()).await.expect("it answers");
            assert_eq!(seen.state, state);
            let part = seen.notes.iter().find(|note| note.topic == "only a part");
            assert_eq!(part.map(|note| note.text.as_str()), told);
        }
    }

    #[tokio::test]
    async fn a_registry_that_the_lab_neither_declares_nor_uses_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), true);
        going(&[], "other", false).remove(&engine, &cx()).await.expect("it answers");
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

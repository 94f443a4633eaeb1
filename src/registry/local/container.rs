use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::SignedDuration;

use super::claim::{Claim, Claims};
use super::elsewhere::out_of_reach;
use super::going::Going;
use super::http;
use super::make::{Act, Make, Task};
use super::port::{self, Holder, Port};
use super::store::{Role, Store, host, stores};
use super::users::{Lab, nodes};
use super::verdict::{Differs, Verdict, judge};
use crate::base::{Change, ChangeKind, Conflict, Fault, FieldChange, Note, ResourceId};
use crate::containers::{Container, Engine, EngineSearch};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::Silence;
use crate::profile::schema;

/// A registry that runs and has not answered for so long never will.
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_secs(30);

/// What a run is for, as far as the registry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// It is to stand.
    Bring,
    /// The lab goes, and with it what no other lab uses.
    TakeAway {
        /// Whether its images go too.
        images: bool,
    },
}

/// The registry of this machine and its caches, each in a container that all labs share.
pub struct LocalRegistry {
    id: ResourceId,
    search: EngineSearch,
    lab: Lab,
    stores: Vec<Store>,
    going: Option<Going>,
    claims: Claims,
    /// What this run says of itself while it lasts: the registries that it uses.
    held: Mutex<BTreeMap<String, Claim>>,
    /// Of the one that runs.
    silence: Silence,
}

/// What a look at all its containers came to.
#[derive(Default)]
struct Findings {
    changes: Vec<Change>,
    notes: Vec<Note>,
    tasks: Vec<Task>,
    waiting: Option<String>,
    broken: Option<String>,
    in_the_way: bool,
    there: usize,
}

impl LocalRegistry {
    /// The id of every registry of this machine.
    pub fn resource_id() -> ResourceId {
        ResourceId::new("registry/local")
    }

    /// The registry that `declared` asks for, none without it, in the engine that `search` finds, for `lab`.
    pub fn new(
        declared: Option<&schema::LocalRegistry>,
        search: &EngineSearch,
        (lab, claims): (Lab, Claims),
        purpose: &Purpose,
    ) -> Self {
        let stores = declared.map(stores).unwrap_or_default();
        Self {
            id: Self::resource_id(),
            search: search.clone(),
            going: match purpose {
                Purpose::Bring => None,
                Purpose::TakeAway { images } => {
                    Some(Going::new(&stores, lab.clone(), claims.clone(), *images))
                }
            },
            lab,
            stores,
            claims,
            held: Mutex::default(),
            silence: Silence::default(),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let engine = self.search.find()?;
        let names: Vec<String> = self.stores.iter().map(Store::name).collect();
        // Before the look: what it finds nobody takes away from then on.
        self.hold(&names)?;
        let found = engine.inspect(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let found: BTreeMap<&str, &Container> =
            found.iter().map(|container| (container.name.as_str(), container)).collect();
        let mut findings = Findings::default();
        for (store, name) in self.stores.iter().zip(&names) {
            let container = found.get(name.as_str()).copied();
            match judge(store, container) {
                Verdict::Absent => self.absent(store, &engine, cx, &mut findings).await?,
                Verdict::Foreign => findings.foreign(store, &engine),
                Verdict::Other(differs) => findings.other(store, &differs),
                Verdict::Stopped(how) => {
                    let said = last_words(&engine, name).await;
                    let is_cache = matches!(store.role, Role::Cache(_));
                    if how.starts_with("restarting") || (is_cache && said.starts_with("panic: ")) {
                        findings.ends(store, &said);
                    } else {
                        findings.stopped(store, how);
                    }
                }
                Verdict::Running => self.running(store, &engine, cx, &mut findings).await?,
            }
        }
        Ok(findings.seen(self, engine))
    }

    fn hold(&self, names: &[String]) -> Result<(), Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if !held.contains_key(name) {
                held.extend(self.claims.hold(name)?.map(|claim| (name.clone(), claim)));
            }
        }
        Ok(())
    }

    async fn absent(
        &self,
        store: &Store,
        engine: &Engine,
        cx: &Cx,
        findings: &mut Findings,
    ) -> Result<(), Fault> {
        if let Role::Own(number) = store.role {
            match port::look(number, engine, &cx.flow).await? {
                Port::Free => {}
                Port::Registry(by) => {
                    findings.there += 1;
                    findings.notes.push(not_ours(number, &by));
                    // Once there are nodes, one of them is asked.
                    if nodes(&self.lab.cluster, engine).await?.is_empty()
                        && let Some(why) =
                            out_of_reach(number, &by, self.lab.network(engine.kind()), engine).await?
                    {
                        findings.notes.push(Note::new("warning", why));
                    }
                    return Ok(());
                }
                Port::Taken(by) => {
                    let conflict = Conflict::new(
                        format!(
                            "port {number} of this machine is taken by {by}, which does not answer like a registry"
                        ),
                        "end it, or choose another `registry.local.port`",
                    );
                    findings.changes.push(conflict.of(store.title()));
                    findings.in_the_way = true;
                    return Ok(());
                }
            }
        }
        let made = format!("container `{}` of `{}`", store.name(), store.image());
        findings.changes.push(Change::new(ChangeKind::Create, store.title()).because(made));
        findings.tasks.push(Task { store: store.clone(), act: Act::Make });
        Ok(())
    }

    /// Asks one that runs. Caches have no port of this machine, and need no more than to run.
    async fn running(
        &self,
        store: &Store,
        engine: &Engine,
        cx: &Cx,
        findings: &mut Findings,
    ) -> Result<(), Fault> {
        findings.there += 1;
        let Role::Own(port) = store.role else { return Ok(()) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answer = http::get(address, "/v2/", &cx.flow).await;
        if answer.is_ok_and(|answer| answer.is_of_a_registry()) {
            self.silence.is_over();
            return Ok(());
        }
        if !self.silence.lasts(cx.clock.now(), LONGEST_SILENCE) {
            findings.waiting = Some(format!("{} runs and does not answer yet", store.title()));
            return Ok(());
        }
        let said = last_words(engine, &store.name()).await;
        findings.broken =
            Some(format!("{} runs and does not answer at {address} like a registry: {said}", store.title()));
        Ok(())
    }
}

impl Findings {
    fn foreign(&mut self, store: &Store, engine: &Engine) {
        let name = store.name();
        let other = match store.role {
            Role::Own(_) => "choose another `registry.local.port`, or ",
            Role::Cache(_) => "",
        };
        let conflict = Conflict::new(
            format!("there is a container `{name}` that berth did not make"),
            format!(
                "{other}give it another name, which loses nothing (`{} rename {name} NAME`)",
                engine.kind()
            ),
        );
        self.changes.push(conflict.of(store.title()));
        self.in_the_way = true;
    }

    fn other(&mut self, store: &Store, differs: &[Differs]) {
        self.there += 1;
        let fields = differs.iter().map(|differs| FieldChange {
            path: differs.field.to_string(),
            from: Some(differs.from.clone()),
            to: Some(differs.to.clone()),
        });
        let change = Change::new(ChangeKind::Replace, store.title()).fields(fields.collect());
        self.changes.push(change.because("the container is made anew; its images stay"));
        self.tasks.push(Task { store: store.clone(), act: Act::Remake });
    }

    /// One that ends as soon as it is started. A cache does so for as long as it cannot reach what it
    /// caches, and nodes then pull from there themselves: it is no reason to stop.
    fn ends(&mut self, store: &Store, said: &str) {
        self.there += 1;
        match store.role {
            Role::Own(_) => self.broken = Some(format!("{} ends again and again: {said}", store.title())),
            Role::Cache(_) => {
                let text = format!(
                    "{} does not run, and nodes pull from there themselves: {said}; once that works, start it: \
                     container `{}`",
                    store.title(),
                    store.name()
                );
                self.notes.push(Note::new("warning", text));
            }
        }
    }

    fn stopped(&mut self, store: &Store, how: String) {
        self.there += 1;
        self.changes.push(Change::new(ChangeKind::Start, store.title()).because(how));
        self.tasks.push(Task { store: store.clone(), act: Act::Start });
    }

    fn seen(self, registry: &LocalRegistry, engine: Engine) -> Seen {
        let all = registry.stores.len();
        let reasons = || {
            let conflicts = self.changes.iter().filter(|change| change.kind == ChangeKind::Conflict);
            conflicts.filter_map(Change::told).collect::<Vec<_>>().join("; ")
        };
        let state = if self.in_the_way {
            if self.there > 0 { State::Broken(reasons()) } else { State::Absent }
        } else if let Some(broken) = self.broken {
            State::Broken(broken)
        } else if self.there == 0 {
            State::Absent
        } else if self.tasks.is_empty() {
            self.waiting.map_or(State::Ready, State::Progressing)
        } else {
            let first = self.tasks.first().map(|task| task.store.title()).unwrap_or_default();
            State::Broken(format!("{} of {all} run; {first} does not", all - self.tasks.len()))
        };
        let mut seen = Seen::new(state);
        seen.changes = self.changes;
        seen.notes = self.notes;
        if !self.in_the_way && !self.tasks.is_empty() {
            seen.step = Some(Box::new(Make { tasks: self.tasks, owner: registry.lab.owner.clone(), engine }));
        }
        seen
    }
}

/// That a registry is used which berth did not start.
fn not_ours(port: u16, by: &Holder) -> Note {
    let text = format!(
        "{}: berth did not start it, uses it as it is, and leaves it on `down`",
        title_elsewhere(port, by)
    );
    Note::new("not ours", text)
}

/// A registry that berth did not start, for messages.
pub(super) fn title_elsewhere(port: u16, by: &Holder) -> String {
    match by {
        Holder::Unseen => format!("registry at {}", host(port)),
        by => format!("registry at {} ({by})", host(port)),
    }
}

/// What a container said last.
async fn last_words(engine: &Engine, name: &str) -> String {
    let finished = engine.run("read its log", ["logs", "--tail", "40", name]).await;
    let text = finished.map(|finished| finished.stderr + &finished.stdout).unwrap_or_default();
    let mut said = text.lines().filter(|line| !line.trim().is_empty());
    let why = text.lines().rfind(|line| line.starts_with("panic: ") || line.contains("level=fatal"));
    why.or(said.next_back()).unwrap_or("it wrote nothing").trim().to_string()
}

impl Resource for LocalRegistry {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outline(&self) -> String {
        self.stores.iter().map(Store::title).collect::<Vec<_>>().join(", ")
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            match &self.going {
                Some(going) => going.look(&self.search.find()?, cx).await,
                None => self.look(cx).await,
            }
        }
        .boxed()
    }

    /// Removes the containers that no other lab uses, and their images when that was asked for.
    ///
    /// If this dies half way, what is left is found by its label, and the next `down` goes on.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            match &self.going {
                Some(going) => going.remove(&self.search.find()?, cx).await,
                None => Ok(()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::containers::EngineKind;
    use crate::engine::Outputs;
    use crate::flow::{Cancel, Flow};

    /// What is seen of a registry and a cache whose containers are as `inspected`, and which both said `last`.
    async fn seen(inspected: &str, last: &str) -> Seen {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = format!(
            "case \"$*\" in 'container inspect '*) echo '{inspected}' ;; 'logs '*) echo '{last}' ;; *) exit 70 ;; esac"
        );
        Engine::played(EngineKind::Docker, folder.path(), &script);
        let declared = schema::LocalRegistry {
            pull_through: vec!["docker.io".to_string()],
            ..schema::LocalRegistry::default()
        };
        let search = EngineSearch::new(Some(EngineKind::Docker), folder.path());
        let registry = LocalRegistry::new(Some(&declared), &search, Lab::played("lab"), &Purpose::Bring);
        let flow = Flow::new(Cancel::default());
        let cx = Cx { outputs: Outputs::default(), flow, clock: Arc::new(SystemClock) };
        registry.observe(&cx).await.expect("it answers")
    }

    /// One container of ours as an engine tells it.
    fn container(name: &str, mark: &str, state: &str, port: &str) -> String {
        format!(
            r#"{{"Id": "{name}", "Name": "/{name}", "State": {{"Status": "{state}", "ExitCode": 2}}, "Config": {{"Labels": {{{mark}}}}}, "HostConfig": {{"PortBindings": {{{port}}}}}}}"#
        )
    }

    const OWN: &str = r#""berth.dev/registry": "localhost:5001""#;
    const CACHE: &str = r#""berth.dev/registry": "docker.io""#;
    const PORT: &str = r#""5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5001"}]"#;

    #[tokio::test]
    async fn nothing_is_made_beside_what_is_in_the_way() {
        let theirs = container("berth-registry", "", "running", PORT);
        let seen = seen(&format!("[{theirs}]"), "").await;
        assert!(seen.step.is_none());
        let kinds: Vec<ChangeKind> = seen.changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Conflict, ChangeKind::Create]);
    }

    #[tokio::test]
    async fn a_cache_that_cannot_reach_what_it_caches_is_not_started_for_ever() {
        let own = container("berth-registry", OWN, "exited", PORT);
        let cache = container("berth-cache-docker-io", CACHE, "exited", "");
        let both = format!("[{own}, {cache}]");
        let told = seen(&both, "panic: dial tcp: lookup registry-1.docker.io: no such host").await;
        assert!(told.notes.iter().any(|note| note.text.contains("no such host")));
        let started: Vec<&str> = told.changes.iter().map(|change| change.subject.as_str()).collect();
        assert_eq!(started, ["registry `localhost:5001`"]);
        assert!(told.step.is_some());
        // One that somebody stopped is started.
        assert_eq!(seen(&both, "listening on [::]:5000").await.changes.len(), 2);
    }
}

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::args::{Leave, Live, Progress, Scope, Target};
use super::exit::{Exit, Failure};
use super::parts::{keep_only, only_tenants};
use super::profiles;
use super::record::Record;
use super::running::Running;
use super::runtime::{self, reading};
use super::settings::Settings;
use super::signals::Signals;
use super::{follow, kubernetes, logins, merge, prompt, sources};
use crate::addons::Sources;
use crate::base::{Clock, Fault, Layer, Note, RunId, SystemClock};
use crate::clouds::aws;
use crate::engine::{Direction, Events, Journal, Listener, Look, Outcome, Removal, State, Survey};
use crate::flow::{Cancel, Deadline, Flow};
use crate::k8s::Remains;
use crate::os::{FileLock, files};
use crate::plan::{self, About, Assembly};
use crate::profile::{ClusterSpec, Diagnostic, Environment, Misfit, Places};
use crate::providers::{self, Local};
use crate::ui::progress::Json;
use crate::ui::{Complaint, words};

/// Looking at an environment is mostly a moment; when it takes longer, it is said.
const LONG_LOOK: Duration = Duration::from_secs(2);
/// How long letting go of the courtesy lock in the cluster may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a last look at what is left may take when the time of the run is over.
const LAST_LOOK: Duration = Duration::from_mins(1);
/// Where the journals are, in the folder of an environment.
pub(super) const JOURNALS: &str = "journal";

/// What a command works on an environment for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make it: everything is rendered, for the Kubernetes that is there.
    Bring,
    /// To see what is to be made: as before, and what could be newer is asked for too.
    Plan,
    /// To see how it is: whether something could be made on this machine is not asked, and nobody is asked for
    /// the logins that tenants pull with.
    Look,
    /// To take away what stands: it goes by the marks in the cluster and needs neither helm nor network.
    TakeAway {
        /// Whether the images of registries go too.
        registries: bool,
    },
}

/// What a command was asked to work on.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) target: &'a Target,
    pub(super) scope: &'a Scope,
    pub(super) leave: &'a Leave,
    pub(super) purpose: Purpose,
}

/// One environment that a command works on, and everything for it.
pub(super) struct Session<'a> {
    pub(super) settings: &'a Settings,
    pub(super) environment: Environment,
    pub(super) about: About,
    pub(super) assembly: Assembly,
    /// What was fetched for its addons.
    pub(super) sources: Sources,
    pub(super) run: RunId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) began: Timestamp,
    /// berth's own folder of the environment.
    pub(super) folder: PathBuf,
    /// The profile as it can be found from any folder.
    pub(super) profile: String,
    pub(super) local: Local,
    /// Where the parts of the profile stand.
    places: Places,
    /// How the environment was typed behind the command.
    typed: String,
    /// The flags that only `up` takes, as they were given, each with a space before it.
    limits: String,
    /// How long the command may take.
    limit: Duration,
    /// When it has to be at its end: all that it waits for ends then, but for a person.
    deadline: Cell<Deadline>,
}

impl<'a> Session<'a> {
    /// Loads the profile, fetches what its addons come from, and puts its graph together. Touches no
    /// cluster and no cloud, but for the question which Kubernetes somebody else's cluster runs.
    pub(super) fn open(asked: &Asked<'_>, settings: &'a Settings) -> Result<Self, Failure> {
        let Asked { target, scope, leave, purpose } = *asked;
        let limit = scope.live.timeout.0;
        let deadline = Deadline::after(limit);
        let chosen = match purpose {
            Purpose::Bring | Purpose::Plan => profiles::load_to_make(target, settings)?,
            Purpose::Look | Purpose::TakeAway { .. } => profiles::load(target, settings)?,
        };
        let removes = matches!(purpose, Purpose::TakeAway { .. });
        let mut environment = chosen.environment;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let began = clock.now();
        let run = RunId::new(began, std::process::id());
        let mut local = settings.local(scope.live.tools.as_deref())?;
        let played = Target { rehearse: true, ..target.clone() };
        local.engine = local.engine.or_else(format!("berth up {}", typed(&played, &chosen.typed)));
        let plan_settings = plan::Settings {
            local: local.clone(),
            cluster: providers::Leave {
                recreate: leave.recreate,
                makes: matches!(purpose, Purpose::Bring | Purpose::Plan),
                asks_newer: matches!(purpose, Purpose::Plan | Purpose::Look),
                removes,
            },
            run: run.clone(),
            user: settings.user.clone(),
            host: settings.host.clone(),
            adopt: leave.adopt,
            force_conflicts: leave.force_conflicts,
            prune_namespaces: leave.prune_namespaces,
            prune_crds: leave.prune_crds,
            partial: !scope.only.is_empty(),
            removal: removes,
            registries: purpose == Purpose::TakeAway { registries: true },
            logins: match purpose {
                Purpose::Bring | Purpose::Plan => {
                    logins::read(&environment, &scope.only, deadline, settings)?
                }
                Purpose::Look | Purpose::TakeAway { .. } => None,
            },
            tenants: only_tenants(&scope.only, &environment)?,
        };
        let sources = match purpose {
            Purpose::Bring | Purpose::Plan | Purpose::Look => {
                kubernetes::settle(&mut environment)?;
                sources::fetch(&environment, &scope.only, deadline, settings)?
            }
            Purpose::TakeAway { .. } => Sources::absent(),
        };
        let mut assembly = plan::assemble(&environment, &plan_settings, &sources)
            .map_err(|fault| Failure::profile(&fault))?;
        keep_only(&mut assembly, &scope.only)?;
        assembly.notes.extend(credentials_end(&environment, began, limit, settings)?);
        if !scope.only.is_empty() {
            let parts: Vec<String> = scope.only.iter().map(|part| format!("`{part}`")).collect();
            let text = format!("{} and what it needs; nothing is pruned", words::list(&parts));
            assembly.notes.insert(0, Note::new("only a part", text));
        }
        if removes && chosen.is_shipped && !target.rehearse {
            let name = &environment.name;
            settings.printer.talk(&format!(
                "the profile {name} that ships with berth is taken, since there is no `{}`",
                target.profiles.join(format!("{name}.yaml")).display()
            ));
        }
        let shape = format!("{leave:?} {:?}", scope.only);
        let about = About {
            environment: environment.name.clone(),
            owner: environment.owner.id.clone(),
            provider: environment.cluster.provider().to_string(),
            rehearsal: environment.rehearsal,
            profile: chosen.typed.clone(),
            fingerprint: plan::fingerprint(&chosen.resolved, &shape, &assembly.content),
            version: env!("CARGO_PKG_VERSION").to_string(),
        };
        Ok(Self {
            settings,
            about,
            assembly,
            sources,
            run,
            clock,
            began,
            folder: local.dirs.environment(&environment.owner),
            profile: chosen.path,
            places: chosen.places,
            local,
            typed: typed(target, &chosen.typed),
            limits: limits(scope, leave),
            limit,
            deadline: Cell::new(deadline),
            environment,
        })
    }

    /// Takes the environment's lock on this machine, or says who has it.
    pub(super) fn lock(&self, command: &str) -> Result<FileLock, Failure> {
        files::make_private_folder(&self.folder)?;
        let holder = format!(
            "`berth {command} {}`, run by {}@{} as process {} since {}",
            self.about.environment,
            self.settings.user,
            self.settings.host,
            std::process::id(),
            self.began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        );
        match FileLock::try_take(&self.folder.join("lock"), &holder)? {
            Ok(lock) => Ok(lock),
            Err(held) => {
                let by = if held.by.is_empty() { "another run of berth".to_string() } else { held.by };
                let what = format!("cannot work on {}: another run holds it", self.about.environment);
                let complaint = Complaint::new(what)
                    .because(format!("held by {by}"))
                    .next("wait for it to end, or stop it; its lock goes with it");
                Err(Failure::new(Exit::Locked, complaint))
            }
        }
    }

    /// A flow that ends when the time of the run is over, and obeys the signals.
    pub(super) fn flow(&self, signals: &Signals) -> Flow {
        Flow::new(signals.cancel().clone()).until(self.deadline.get())
    }

    /// Asks a person, as [`prompt::ask`] does. The time until the answer is none of the run's.
    pub(super) async fn ask(&self, question: &str, signals: &Signals) -> Result<Option<String>, Failure> {
        let asked = self.clock.now();
        let answer = prompt::ask(question, self.settings, signals).await?;
        let thought = Duration::try_from(self.clock.now().duration_since(asked)).unwrap_or_default();
        self.deadline.set(self.deadline.get().later_by(thought));
        Ok(answer)
    }

    /// Looks at every resource once, and is done with the cluster.
    pub(super) fn look(&self) -> Result<Survey, Failure> {
        runtime::run(|signals| async move {
            let survey = self.survey(&signals).await;
            self.close().await;
            survey
        })
    }

    /// Looks at every resource once; the first signal ends it.
    pub(super) async fn survey(&self, signals: &Signals) -> Result<Survey, Failure> {
        let flow = self.flow(signals);
        let patience = Flow::new(signals.cancel().clone());
        let look = crate::engine::survey(&self.assembly.graph, &flow, &self.clock);
        let told = async {
            tokio::pin!(look);
            tokio::select! {
                survey = &mut look => return survey,
                _ = patience.pause(LONG_LOOK, "look") => {}
            }
            self.settings.printer.talk(&format!("looking at {} …", self.about.environment));
            look.await
        };
        let mut survey = reading(signals, told).await?;
        // Only now it is known which credentials were given.
        if let Some(aws) = &self.assembly.aws {
            survey.notes.extend(aws.expires_before(self.limit, self.began)?);
        }
        Ok(survey)
    }

    /// The run's events: to the journal, to the screen, to standard output.
    /// With `progress` as the way in which people follow it.
    pub(super) fn events(&self, running: &Running, progress: Progress) -> Result<Events, Failure> {
        let journal = Journal::open(&self.folder.join(JOURNALS), &self.run)?;
        let mut listeners: Vec<Box<dyn Listener>> = vec![Box::new(journal), Box::new(running.clone())];
        if self.settings.json() {
            listeners.push(Box::new(Json::new(std::io::stdout(), self.settings.lost.clone())));
        }
        listeners.extend(follow::on_screen(self.settings, progress));
        Ok(Events::new(Arc::clone(&self.clock), listeners))
    }

    /// `command` as it is typed for this environment.
    pub(super) fn typed(&self, command: &str) -> String {
        format!("berth {command} {}", self.typed)
    }

    /// The command that goes on where a run stopped: `up` means the same again.
    pub(super) fn again(&self, direction: Direction) -> String {
        let limits = if direction == Direction::Up { self.limits.as_str() } else { "" };
        format!("berth {direction} {}{limits}", self.typed)
    }

    /// The folders of all environments on the same provider of which runs on this machine are known.
    pub(super) fn folders(&self) -> Result<Vec<PathBuf>, Failure> {
        let Some(all) = self.folder.parent() else { return Ok(Vec::new()) };
        let mut same = Vec::new();
        for name in files::names_in(all)? {
            let folder = all.join(name);
            let record = Record::read(&folder)?;
            let is_like = |about: &About| {
                (&about.provider, about.rehearsal) == (&self.about.provider, self.about.rehearsal)
            };
            if record.is_some_and(|record| is_like(&record.about)) {
                same.push(folder);
            }
        }
        Ok(same)
    }

    /// What the user should know that concerns no single resource.
    pub(super) fn left_out(&self) -> Vec<Note> {
        self.assembly.notes.clone()
    }

    /// What lies in the profile of what failed, where it stands.
    pub(super) fn misfits(&self, outcome: &Outcome) -> Vec<Diagnostic> {
        let faults = outcome.failed.iter().map(|(_, fault)| fault);
        let misfit = |fault: &Fault| {
            let path = fault.in_profile.clone()?;
            let told = format!("`{path}`: ");
            let message = fault.reason.strip_prefix(&told).unwrap_or(&fault.reason).to_string();
            let help = fault.hint.clone().unwrap_or_else(|| "correct it there".to_string());
            self.places.tell(Misfit { path, is_key: false, message, help })
        };
        faults.filter_map(misfit).collect()
    }

    /// How long this run has taken so far.
    pub(super) fn took(&self) -> Duration {
        Duration::try_from(self.clock.now().duration_since(self.began)).unwrap_or_default()
    }

    /// Whether the cluster stays when the environment goes, so that what is left in it has to be looked for.
    pub(super) fn cluster_stays(&self) -> bool {
        let mut clusters = self.assembly.graph.removals().filter(|(id, _)| id.layer() == Layer::Cluster);
        clusters.any(|(_, removal)| removal == Removal::Kept)
    }

    /// A flow for a last look at what is left: after a signal too, and when the time of the run is over.
    pub(super) fn last_look(&self) -> Flow {
        Flow::new(Cancel::default()).until(self.deadline.get().max(Deadline::after(LAST_LOOK)))
    }

    /// Everything of the environment that is still there, in words.
    pub(super) async fn remains(&self, flow: &Flow) -> Result<Remains, Failure> {
        let in_the_graph = async {
            if self.cluster_stays() {
                self.assembly.hub.remains(flow).await
            } else {
                Ok(self.standing(flow).await)
            }
        };
        let on_this_machine = providers::remains(&self.environment, &self.local, flow);
        let both = async { futures::try_join!(in_the_graph, on_this_machine) };
        let place = providers::place(&self.environment);
        let (mut remains, local) = Box::pin(both).await?;
        remains.left.extend(local.into_iter().map(|what| (what, place.clone())));
        Ok(remains)
    }

    /// The resources that are seen to be there, with their state, and what they say is kept.
    async fn standing(&self, flow: &Flow) -> Remains {
        let survey = crate::engine::survey(&self.assembly.graph, flow, &self.clock).await;
        let notes = survey.resources.iter().flat_map(|seen| &seen.notes).filter(|note| note.topic == "kept");
        let told = |note: &Note| {
            let (what, why) = note.text.split_once(": ").unwrap_or((&note.text, ""));
            (what.to_string(), why.to_string())
        };
        let mut standing = Vec::new();
        for (id, removal) in self.assembly.graph.removals() {
            let Some(seen) = survey.resources.iter().find(|seen| seen.id == *id) else { continue };
            let state = match &seen.look {
                _ if matches!(removal, Removal::Kept | Removal::LookedAt) => continue,
                Look::Seen(State::Absent) | Look::After(_) | Look::Behind(_) => continue,
                Look::Seen(State::Ready) => "it still stands".to_string(),
                Look::Seen(State::Progressing(text) | State::Broken(text)) => text.clone(),
                Look::Failed(fault) => fault.to_string(),
            };
            standing.push((words::resource(id), state));
        }
        Remains { left: standing, kept: notes.map(told).collect() }
    }

    /// Lets go of the courtesy lock in the cluster.
    pub(super) async fn close(&self) {
        self.assembly.hub.close(&Flow::new(Cancel::default()).within_limit(GOODBYE)).await;
    }

    /// Keeps how the cluster is reached, where its provider leaves that to berth: a cluster that takes tokens.
    pub(super) fn keep_kubeconfig(&self, outcome: &Outcome) -> Result<(), Fault> {
        let Some(access) = outcome.outputs.cluster_access() else { return Ok(()) };
        let path = self.local.dirs.kubeconfig(&self.environment.owner);
        let name = merge::context_name(&self.environment.name);
        providers::keep_kubeconfig(&path, access, &name, &self.settings.plugin())
    }

    /// Removes what berth keeps of the environment's cluster, which is gone.
    pub(super) fn forget_cluster(&self) -> Result<(), Failure> {
        Ok(providers::forget(&self.environment, &self.local)?)
    }

    /// Removes what berth remembers of the environment on this machine.
    pub(super) fn forget(&self) -> Result<(), Failure> {
        files::remove_folder_if_there(&self.folder)?;
        // Empty when this was the last environment; removing what is not empty is refused.
        for folder in
            self.folder.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.local.dirs.state))
        {
            std::fs::remove_dir(folder).ok();
        }
        Ok(())
    }
}

/// What has to be known of the end of cloud credentials before a run of up to `limit`; refuses ended ones.
fn credentials_end(
    environment: &Environment,
    now: Timestamp,
    limit: Duration,
    settings: &Settings,
) -> Result<Option<Note>, Failure> {
    match &environment.cluster {
        ClusterSpec::Eks(eks) if !environment.rehearsal => {
            Ok(aws::Session::new(settings.aws(eks)).expires_before(limit, now)?)
        }
        _ => Ok(None),
    }
}

/// `lab --rehearse`: the environment, as every command takes it.
fn typed(target: &Target, environment: &str) -> String {
    let mut words = vec![environment.to_string()];
    if target.profiles != Path::new(Target::PROFILES) {
        words.push(format!("--profiles {}", target.profiles.display()));
    }
    if target.rehearse {
        words.push("--rehearse".to_string());
    }
    words.join(" ")
}

/// `--only tenants --adopt`: what `up` has to be given besides to mean the same again.
fn limits(scope: &Scope, leave: &Leave) -> String {
    let mut words: Vec<String> = scope.only.iter().map(|part| format!(" --only {part}")).collect();
    let flags = [
        (leave.adopt, " --adopt"),
        (leave.force_conflicts, " --force-conflicts"),
        (leave.prune_namespaces, " --prune-namespaces"),
        (leave.prune_crds, " --prune-crds"),
        (leave.recreate, " --recreate"),
    ];
    words.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_string()));
    words.concat()
}

/// What commands that only look need of the flags that others have.
pub(super) fn looking(live: &Live) -> Scope {
    Scope { only: Vec::new(), live: live.clone() }
}

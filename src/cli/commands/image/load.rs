use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{print, print_json};
use crate::base::{Clock, Fault, ResourceId, RunId, SystemClock};
use crate::cli::args::ImageLoad;
use crate::cli::exit::{Exit, Failure};
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::cli::{follow, profiles, runtime};
use crate::containers::Engine;
use crate::engine::{EventKind, Events, Telling};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::providers::Dirs;
use crate::providers::images::{self, Batch, Node, Wanted};
use crate::ui::Complaint;
use crate::ui::images::{Image, Images, OnNode, Outcome, SCHEMA_VERSION};

/// `berth image load IMAGE…`
pub(in crate::cli::commands) fn run(arguments: &ImageLoad, settings: &Settings) -> Result<Exit, Failure> {
    let chosen = profiles::load(&arguments.target(), settings)?;
    images::loadable(&chosen.environment)?;
    let local = settings.local(None)?;
    let engine = local.engine.find()?;
    let dirs = &local.dirs;
    let work =
        Work { arguments, settings, engine, dirs, environment: &chosen.environment, typed: &chosen.typed };
    let done = runtime::run(|signals| async move { Box::pin(work.run(&signals)).await })?;
    if settings.json() {
        print_json(settings, &done.images)?;
    } else {
        print(settings, &done.images.text(settings.printer.data_paint))?;
    }
    if done.complaints.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure { exit: done.exit, complaints: done.complaints, text: String::new(), answered: true })
}

/// What came of each image, by its title, on each node: the names that it has there.
type Fates = BTreeMap<String, Vec<(String, Result<Vec<String>, Fault>)>>;

struct Work<'a> {
    arguments: &'a ImageLoad,
    settings: &'a Settings,
    engine: Engine,
    dirs: &'a Dirs,
    environment: &'a Environment,
    typed: &'a str,
}

struct Done {
    images: Images,
    complaints: Vec<Complaint>,
    exit: Exit,
}

impl Work<'_> {
    async fn run(&self, signals: &Signals) -> Result<Done, Failure> {
        let flow = Flow::new(signals.cancel().clone()).within_limit(self.arguments.timeout.0);
        tokio::select! {
            done = self.load(&flow) => Ok(done?),
            () = signals.cancel().requested() => Err(Failure::new(
                signals.stopped_by().unwrap_or(Exit::Interrupted),
                Complaint::new("stopped by a signal")
                    .because("what was under way is on no node; what was loaded before stays")
                    .next("run the same command again: it skips what is there"),
            )),
        }
    }

    async fn load(&self, flow: &Flow) -> Result<Done, Fault> {
        let attempted = format!("load images into `{}`", self.environment.name);
        let limit = self.arguments.timeout.0;
        let (nodes, wanted) =
            flow.within(limit, &attempted, async { futures::try_join!(self.nodes(), self.wanted()) }).await?;
        for note in wanted.iter().filter_map(|image| image.note.as_ref()) {
            self.settings.printer.talk(&format!("note: {note}"));
        }
        let batches = images::batches(&wanted, &nodes);
        let events = self.events();
        for batch in &batches {
            events.send(EventKind::Planned {
                resource: id_of(batch),
                changes: Vec::new(),
                notes: Vec::new(),
            });
        }
        let mut fates = Fates::new();
        for batch in &batches {
            let landed = self.send(batch, flow, &events).await;
            for image in &batch.wanted {
                fates.insert(image.title(), landed.clone());
            }
        }
        let done = self.done(&wanted, &nodes, &fates);
        let failed = batches.iter().filter(|batch| has_failed(batch, &fates)).count();
        events.send(EventKind::RunFinished {
            exit_code: done.exit.code(),
            done: batches.len() - failed,
            failed,
            not_ready: 0,
            not_started: 0,
        });
        Ok(done)
    }

    async fn nodes(&self) -> Result<Vec<Node>, Fault> {
        let up = format!("berth up {}", self.typed);
        let nodes = images::nodes(&self.engine, &self.environment.owner, self.dirs, &up).await?;
        images::whole(self.environment, &nodes, &up)?;
        Ok(nodes)
    }

    async fn wanted(&self) -> Result<Vec<Wanted>, Fault> {
        let info = self.engine.info().await?;
        let mut wanted: Vec<Wanted> = Vec::new();
        for typed in &self.arguments.images {
            let found = if images::is_file(typed) {
                Wanted::from_archive(typed, &self.settings.folder)?
            } else {
                vec![Wanted::from_engine(&self.engine, &info, typed).await?]
            };
            // Typed twice is wanted once.
            wanted.extend(found.into_iter().filter(|image| !wanted.contains(image)).collect::<Vec<_>>());
        }
        Ok(wanted)
    }

    fn events(&self) -> Events {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let run = RunId::new(clock.now(), std::process::id());
        let listeners = follow::on_screen(self.settings, self.settings.progress).into_iter().collect();
        let events = Events::new(clock, listeners);
        events.send(EventKind::RunStarted {
            schema: crate::engine::SCHEMA_VERSION,
            run,
            command: "image load".to_string(),
            environment: self.environment.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            notes: Vec::new(),
        });
        events
    }

    /// Sends a batch and tells how it goes; what came of it, node by node.
    async fn send(
        &self,
        batch: &Batch,
        flow: &Flow,
        events: &Events,
    ) -> Vec<(String, Result<Vec<String>, Fault>)> {
        let telling = Telling::begin(id_of(batch), events, flow);
        let attempted = format!("load `{}`", batch.title());
        let sending = batch.send(&self.engine, telling.flow());
        let sent = telling.alive(flow.within(self.arguments.timeout.0, &attempted, sending)).await;
        let fates: Vec<(String, Result<Vec<String>, Fault>)> = match sent {
            Ok(landed) => landed.into_iter().map(|landed| (landed.node, landed.result)).collect(),
            Err(fault) => batch.nodes.iter().map(|node| (node.name.clone(), Err(fault.clone()))).collect(),
        };
        telling.end(fates.iter().find_map(|(_, result)| result.as_ref().err()).map_or(Ok("loaded"), Err));
        fates
    }

    fn done(&self, wanted: &[Wanted], nodes: &[Node], fates: &Fates) -> Done {
        let mut faults: Vec<Fault> = Vec::new();
        let mut loaded = false;
        let images = wanted.iter().map(|image| {
            let title = image.title();
            let mut names = image.names.clone();
            let on_node = |node: &Node| {
                let fate =
                    fates.get(&title).and_then(|fates| fates.iter().find(|(name, _)| *name == node.name));
                let (outcome, reason) = match fate {
                    None => (Outcome::Present, None),
                    Some((_, Ok(given))) => {
                        loaded = true;
                        if names.is_empty() {
                            names.clone_from(given);
                        }
                        (Outcome::Loaded, None)
                    }
                    Some((_, Err(fault))) => {
                        if !faults.contains(fault) {
                            faults.push(fault.clone());
                        }
                        (Outcome::Failed, Some(fault.reason.clone()))
                    }
                };
                OnNode { node: node.name.clone(), outcome, reason }
            };
            let nodes = nodes.iter().map(on_node).collect();
            Image { image: title, names, id: image.ids.first().cloned(), nodes }
        });
        let images: Vec<Image> = images.collect();
        let exit = match faults.first() {
            None => Exit::Done,
            Some(_) if loaded => Exit::Partly,
            Some(fault) => Exit::of_fault(fault.kind),
        };
        Done {
            images: Images { schema: SCHEMA_VERSION, environment: self.environment.name.clone(), images },
            complaints: faults.iter().map(Complaint::of).collect(),
            exit,
        }
    }
}

/// Whether what is in `batch` is not on every node.
fn has_failed(batch: &Batch, fates: &Fates) -> bool {
    let of = |image: &Wanted| fates.get(&image.title()).into_iter().flatten();
    batch.wanted.iter().flat_map(of).any(|(_, result)| result.is_err())
}

fn id_of(batch: &Batch) -> ResourceId {
    ResourceId::new(format!("image/{}", batch.title()))
}

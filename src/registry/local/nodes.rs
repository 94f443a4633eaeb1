use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::claim::Claims;
use super::container::LocalRegistry;
use super::elsewhere::elsewhere;
use super::hosts::{self, Difference, Hosts, leads_to};
use super::idle::Idle;
use super::make;
use super::store::{LABEL, Origin, Role, Store, stores, title_of};
use super::users::{Lab, known, nodes, users};
use crate::base::{Change, ChangeKind, Fault, FaultKind, Note, Owner, ResourceId};
use crate::containers::{Container, Engine, EngineSearch};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State, Step};
use crate::flow::Tally;
use crate::os::Finished;
use crate::profile::schema;

/// What the nodes of a lab know of the registry of this machine, and the way to it.
pub struct Nodes {
    id: ResourceId,
    /// The resource of the cluster.
    inside: ResourceId,
    lab: Lab,
    claims: Claims,
    search: EngineSearch,
    stores: Vec<Store>,
}

/// What a look at nodes and registries gave.
struct Sight {
    nodes: Vec<(String, Difference)>,
    /// Networks that registries have to join.
    joins: Vec<Join>,
    /// Registries that no lab uses any more once the nodes do not lead to them.
    leaving: Vec<Container>,
    /// What the lab does not use any more and others do.
    notes: Vec<Note>,
    /// Whether no node knows anything yet.
    is_new: bool,
    /// Where nodes reach the lab's registry, `HOST:PORT`, if it has one.
    inside: Option<String>,
}

/// A network that a registry has to join.
struct Join {
    store: Store,
    container: String,
    network: String,
    /// Whether it is started again on the network.
    anew: bool,
}

impl Nodes {
    /// The id of what the nodes know.
    pub fn resource_id() -> ResourceId {
        ResourceId::new("registry/local/nodes")
    }

    /// The nodes of `lab`, whose cluster is the resource `inside`, and the registries that `declared` asks for;
    /// none without it.
    pub fn new(
        declared: Option<&schema::LocalRegistry>,
        (lab, claims): (Lab, Claims),
        inside: ResourceId,
        search: &EngineSearch,
    ) -> Self {
        Self {
            id: Self::resource_id(),
            inside,
            lab,
            claims,
            search: search.clone(),
            stores: declared.map(stores).unwrap_or_default(),
        }
    }

    async fn look(&self, engine: &Engine, cx: &Cx) -> Result<Sight, Fault> {
        let ((nodes, containers), all) =
            futures::try_join!(self.containers(engine, cx), engine.names_with(LABEL))?;
        if nodes.is_empty() {
            let why =
                format!("{} has no containers of nodes of a cluster `{}`", engine.kind(), self.lab.cluster);
            return Err(Fault::new(FaultKind::Invalid, "tell the nodes of the registry", why));
        }
        let networks: BTreeSet<&str> =
            nodes.iter().flat_map(|node| node.networks.keys().map(String::as_str)).collect();
        let ours = |name: &str| {
            containers.iter().find(|found| found.name == name && found.labels.contains_key(LABEL))
        };
        let running: Vec<&Container> = nodes.iter().filter(|node| node.runs()).collect();
        let elsewhere = match (self.stores.first(), running.first()) {
            (Some(Store { role: Role::Own(port), .. }), Some(node))
                if ours(&self.stores[0].name()).is_none() =>
            {
                elsewhere(*port, node, &networks, engine, &cx.flow).await?
            }
            _ => None,
        };
        let mut joins = Vec::new();
        for (index, store) in self.stores.iter().enumerate() {
            let name = store.name();
            let joined =
                |network: &str| ours(&name).is_some_and(|container| container.networks.contains_key(network));
            if index > 0 || elsewhere.is_none() {
                let missing = networks.iter().filter(|network| !joined(network));
                // A cache that did not find what it caches is started again and again, and an engine may lose
                // it when it joins a network at such a moment.
                let anew = matches!(store.role, Role::Cache(_));
                joins.extend(missing.map(|network| Join {
                    store: store.clone(),
                    container: name.clone(),
                    network: (*network).to_string(),
                    anew,
                }));
            }
        }
        let wanted = hosts::wanted(&self.stores, elsewhere.as_deref());
        let found = try_join_all(running.iter().map(|node| read(&node.name, engine))).await?;
        let is_new = found.iter().all(|found| !found.values().any(|text| hosts::is_ours(text)));
        let led_to: BTreeSet<&str> =
            found.iter().flat_map(|found| found.values()).flat_map(|text| leads_to(text)).collect();
        let (leaving, notes) = self.leaving(&all, &led_to, engine, cx).await?;
        let nodes = running.iter().zip(found);
        let nodes = nodes.map(|(node, found)| (node.name.clone(), Difference::between(&found, &wanted)));
        let own = self.stores.first().map(Store::endpoint);
        let inside = elsewhere.or(own).map(|url| url.replace("http://", ""));
        Ok(Sight { nodes: nodes.collect(), joins, leaving, notes, is_new, inside })
    }

    /// The nodes, and the containers that have the names of the registries.
    async fn containers(&self, engine: &Engine, cx: &Cx) -> Result<(Vec<Container>, Vec<Container>), Fault> {
        let names: Vec<String> = self.stores.iter().map(Store::name).collect();
        let names = names.iter().map(String::as_str);
        let Some(known) = cx.outputs.cluster_nodes() else {
            let names: Vec<&str> = names.collect();
            return futures::try_join!(nodes(&self.lab.cluster, engine), engine.inspect(&names));
        };
        // One question for all.
        let names: Vec<&str> = names.chain(known.iter().map(String::as_str)).collect();
        let is_node = |container: &Container| {
            container.kind_cluster() == Some(self.lab.cluster.as_str()) && container.is_kind_node()
        };
        Ok(engine.inspect(&names).await?.into_iter().partition(is_node))
    }

    /// Of `all` registries those that the lab does not use any more, its nodes having been `led_to` them or it having
    /// made them: those that nobody else needs go, and of the others it is told why not.
    async fn leaving(
        &self,
        all: &[String],
        led_to: &BTreeSet<&str>,
        engine: &Engine,
        cx: &Cx,
    ) -> Result<(Vec<Container>, Vec<Note>), Fault> {
        let is_wanted = |name: &&str| self.stores.iter().any(|store| store.name() == *name);
        let unwanted: Vec<&str> = all.iter().map(String::as_str).filter(|name| !is_wanted(name)).collect();
        let made_here =
            |container: &Container| Origin::of(container).is_some_and(|origin| origin.by == self.lab.owner);
        let mut unwanted = engine.inspect(&unwanted).await?;
        unwanted.retain(|container| {
            container.labels.contains_key(LABEL)
                && (led_to.contains(container.name.as_str()) || made_here(container))
        });
        if unwanted.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let users = users(&known(engine).await?, &unwanted);
        let idle = Idle { lab: &self.lab, claims: &self.claims, users: &users, now: cx.clock.now() };
        let (mut leaving, mut notes) = (Vec::new(), Vec::new());
        for container in &unwanted {
            let was_used = led_to.contains(container.name.as_str());
            match idle.why_it_stays(container, was_used)? {
                None => leaving.push(container.clone()),
                Some(why) if was_used => {
                    notes.push(Note::new("kept", format!("{}: {why}", title_of(container))));
                }
                Some(_) => {}
            }
        }
        Ok((leaving, notes))
    }
}

impl Sight {
    fn seen(mut self, owner: &Owner, engine: Engine) -> Seen {
        let all = self.nodes.len();
        self.nodes.retain(|(_, difference)| !difference.is_empty());
        let (notes, inside) = (std::mem::take(&mut self.notes), self.inside.take());
        let mut seen = self.compared(all, owner, engine);
        seen.notes = notes;
        if let Some(inside) = inside {
            seen.outputs.insert(Outputs::REGISTRY_INSIDE, Output::Text(inside));
        }
        seen
    }

    fn compared(self, all: usize, owner: &Owner, engine: Engine) -> Seen {
        if self.nodes.is_empty() && self.joins.is_empty() && self.leaving.is_empty() {
            return Seen::new(State::Ready);
        }
        let kind = if self.is_new { ChangeKind::Create } else { ChangeKind::Update };
        let joins = self.joins.iter().map(|Join { container, network, .. }| {
            Change::new(kind, format!("network of `{container}`")).because(format!("it joins `{network}`"))
        });
        let files = self.nodes.iter().map(|(node, difference)| {
            let about = difference.names().join(", ");
            Change::new(kind, format!("registries of node `{node}`")).because(about)
        });
        let leaving = self.leaving.iter().map(|container| {
            let why = format!("no lab uses it any more; its images stay: volume `{}`", container.name);
            Change::new(ChangeKind::Delete, title_of(container)).because(why)
        });
        let changes = joins.chain(files).chain(leaving).collect();
        let state = if self.nodes.is_empty() && self.joins.is_empty() {
            State::Ready
        } else if self.is_new {
            State::Absent
        } else if self.nodes.is_empty() {
            State::Broken("the registry is not on the network of the nodes".to_string())
        } else {
            State::Broken(format!("{} of {all} nodes have to be told of the registry", self.nodes.len()))
        };
        Seen::new(state).to_change(changes, Tell { sight: self, owner: owner.clone(), engine })
    }
}

async fn read(node: &str, engine: &Engine) -> Result<Hosts, Fault> {
    let finished = engine.exec(node, ["sh", "-c", hosts::READ], None).await?;
    if !finished.succeeded() {
        return Err(engine.failed(&format!("read what node `{node}` knows of registries"), &finished));
    }
    Ok(hosts::parse(&finished.stdout))
}

/// Lets registries join the nodes' network, tells the nodes of them, and takes away those that nobody uses any more.
struct Tell {
    sight: Sight,
    owner: Owner,
    engine: Engine,
}

impl Step for Tell {
    /// If this dies half way, every file is whole, and the next run writes those that are missing. A registry that
    /// nobody uses any more is known again by who made it, or goes with the next `down`.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { sight, owner, engine } = *self;
            let origin = Origin { by: owner, at: cx.clock.now() };
            let joins = try_join_all(sight.joins.iter().map(|join| join.take(&origin, &engine)));
            let (all, mut tally) = (sight.nodes.len(), Tally::new(sight.nodes.len(), "nodes told"));
            let work = |(node, difference): (String, Difference)| {
                let engine = &engine;
                async move { tell(&node, &difference, engine).await }
            };
            let told = cx.flow.each(sight.nodes, all.max(1), &mut tally, work);
            futures::try_join!(joins, told)?;
            for container in &sight.leaving {
                make::remove(&container.name, &engine).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

impl Join {
    async fn take(&self, origin: &Origin, engine: &Engine) -> Result<(), Fault> {
        let Self { store, container, network, anew } = self;
        if !engine.moves_containers() {
            return make::move_to(store, network, origin, engine).await;
        }
        let attempted = format!("connect `{container}` to network `{network}`");
        if *anew {
            // One that is not there is made below.
            engine.run(&attempted, ["stop", "--time", "1", container]).await?;
        }
        let mut finished = self.connect(&attempted, engine).await?;
        // Another lab may have been quicker.
        let is_joined = |finished: &Finished| finished.succeeded() || finished.stderr.contains("already");
        if !is_joined(&finished) && engine.inspect(&[container]).await?.is_empty() {
            // Somebody took it away since it was looked at. Its images are in the volume.
            make::make(store, None, origin, engine).await?;
            finished = self.connect(&attempted, engine).await?;
        }
        if !is_joined(&finished) {
            return Err(engine.failed(&attempted, &finished));
        }
        if *anew {
            // One that does not come up is told by the next look at it, and is in nobody's way.
            engine.run(&attempted, ["start", container]).await?;
        }
        Ok(())
    }

    async fn connect(&self, attempted: &str, engine: &Engine) -> Result<Finished, Fault> {
        let Self { container, network, .. } = self;
        engine.run(attempted, ["network", "connect", network, container]).await
    }
}

async fn tell(node: &str, difference: &Difference, engine: &Engine) -> Result<(), Fault> {
    let finished = engine.exec(node, ["sh"], Some(difference.script().into_bytes())).await?;
    if finished.succeeded() {
        return Ok(());
    }
    Err(engine.failed(&format!("tell node `{node}` of the registry"), &finished))
}

impl Resource for Nodes {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let inside = Need::Inside(self.inside.clone());
        if self.stores.is_empty() {
            return vec![inside];
        }
        vec![Need::Ready(LocalRegistry::resource_id()), inside]
    }

    fn outline(&self) -> String {
        let names: Vec<String> = self.stores.iter().map(Store::mark).collect();
        if names.is_empty() { String::new() } else { format!("every node knows {}", names.join(", ")) }
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let engine = self.search.find()?;
            let sight = self.look(&engine, cx).await?;
            Ok(sight.seen(&self.lab.owner, engine))
        }
        .boxed()
    }

    /// It goes with the cluster: what nodes know is in their containers.
    fn delete<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move { Ok(()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::EngineKind;

    #[tokio::test]
    async fn a_node_is_told_through_the_standard_input_of_a_shell_in_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sent = folder.path().join("sent");
        let script = format!(
            "case \"$*\" in 'exec --interactive lab-worker sh') cat >'{}' ;; *) exit 70 ;; esac",
            sent.display()
        );
        let engine = Engine::played(EngineKind::Docker, folder.path(), &script);
        let difference = Difference { remove: vec!["quay.io".to_string()], ..Difference::default() };
        tell("lab-worker", &difference, &engine).await.expect("it is told");
        assert_eq!(std::fs::read_to_string(&sent).expect("it was sent"), difference.script());
    }

    #[tokio::test]
    async fn a_network_that_another_lab_was_quicker_to_join_is_no_fault() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let join = Join {
            store: Store { role: Role::Own(5001), image: None },
            container: "berth-registry".into(),
            network: "kind".into(),
            anew: false,
        };
        for (said, is_fine) in [
            (
                "Error response from daemon: endpoint with name berth-registry already exists in network kind",
                true,
            ),
            ("Error response from daemon: network kind not found", false),
        ] {
            let engine =
                Engine::played(EngineKind::Docker, folder.path(), &format!("echo '{said}' >&2; exit 1"));
            assert_eq!(join.take(&Origin::played(), &engine).await.is_ok(), is_fine, "{said}");
        }
    }
}

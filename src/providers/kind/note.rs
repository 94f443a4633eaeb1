//! What a cluster notes of its address pools where others can read it while it does not run: in its first control
//! plane, whose files an engine gives out at any time. The note goes with the cluster.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::network::own_pools;
use crate::base::{AddressRange, Change, ChangeKind, Fault, ResourceId};
use crate::containers::{Engine, EngineSearch};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::k8s::Hub;

/// Where it lies in a node.
const PLACE: &str = "/etc/berth/address-pools";
/// Its first line.
const HEAD: &str = "# Written by berth; `berth up` writes it again.";
/// What each range stands behind.
const RANGE: &str = "range ";

/// The note of the address pools of a kind cluster, as a resource.
pub struct PoolNote {
    id: ResourceId,
    needs: Vec<Need>,
    hub: Arc<Hub>,
    /// The node that it lies in.
    node: String,
    engine: EngineSearch,
}

impl PoolNote {
    /// The note in `cluster`, written once what it `needs` stands: the cluster and its pools.
    pub fn new(cluster: &str, engine: &EngineSearch, needs: Vec<Need>, hub: Arc<Hub>) -> Self {
        let node = format!("{cluster}-control-plane");
        Self { id: ResourceId::new("network/pools"), needs, hub, node, engine: engine.clone() }
    }
}

impl Resource for PoolNote {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let engine = self.engine.find()?;
            let pools = own_pools(&self.hub, cx);
            let (pools, noted) = futures::try_join!(pools, read(&engine, &self.node))?;
            let ranges: Vec<AddressRange> = pools.into_iter().map(|(_, range)| range).collect();
            let seen = Seen::new(State::Ready);
            if ranges == noted {
                return Ok(seen);
            }
            let listed: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            let why = if ranges.is_empty() { "there are none".to_string() } else { listed.join(", ") };
            let subject = format!("note of the address pools in node `{}`", self.node);
            let change = Change::new(ChangeKind::Update, subject).because(why);
            Ok(seen.to_change(vec![change], Write { engine, node: self.node.clone(), ranges }))
        }
        .boxed()
    }

    /// It goes with the cluster.
    fn delete<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// Writes the note.
struct Write {
    engine: Engine,
    node: String,
    ranges: Vec<AddressRange>,
}

impl Step for Write {
    /// If this dies half way, the old note is whole, and the next run writes the new one.
    fn take<'a>(self: Box<Self>, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { engine, node, ranges } = *self;
            let script = format!("cat >{PLACE}.new && mv {PLACE}.new {PLACE}");
            let text = render(&ranges).into_bytes();
            let finished = engine.exec(&node, ["sh", "-c", &script], Some(text)).await?;
            if finished.succeeded() {
                return Ok(());
            }
            Err(engine.failed(&format!("note the address pools in node `{node}`"), &finished))
        }
        .boxed()
    }
}

/// What is noted in a node that runs; nothing where there is no note.
async fn read(engine: &Engine, node: &str) -> Result<Vec<AddressRange>, Fault> {
    let script = format!("[ ! -e {PLACE} ] || cat {PLACE}");
    let finished = engine.exec(node, ["sh", "-c", &script], None).await?;
    if finished.succeeded() {
        return Ok(parse(&finished.stdout));
    }
    Err(engine.failed(&format!("read the note of the address pools in node `{node}`"), &finished))
}

/// What is noted in a node, whether it runs or not; `None` where there is no note, or the engine does not give it.
pub(super) async fn read_stopped(engine: &Engine, node: &str) -> Option<Vec<AddressRange>> {
    let attempted = format!("read the note of the address pools in node `{node}`");
    // An archive of the one file.
    let archive = engine.run(&attempted, ["cp", &format!("{node}:{PLACE}"), "-"]).await.ok()?;
    archive.succeeded().then(|| parse(&archive.stdout))
}

fn render(ranges: &[AddressRange]) -> String {
    let lines = ranges.iter().map(|range| format!("{RANGE}{range}\n"));
    format!("{HEAD}\n{}", lines.collect::<String>())
}

/// The ranges in a note, also in an archive of it: there, its first line stands behind the archive's own words.
fn parse(text: &str) -> Vec<AddressRange> {
    text.lines().filter_map(|line| line.strip_prefix(RANGE)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_also_from_an_archive() {
        let ranges: Vec<AddressRange> = ["172.18.255.64/27", "192.0.2.1-192.0.2.9"]
            .iter()
            .map(|text| text.parse().expect("a range"))
            .collect();
        let text = render(&ranges);
        assert_eq!(parse(&text), ranges);
        let archive = format!("address-pools\0\0000644\0ustar{}{text}\0\0\0", "\0".repeat(200));
        assert_eq!(parse(&archive), ranges);
        assert_eq!(parse(""), Vec::new());
    }
}

//! The address pools of the other clusters on a network: which there are, and which may come.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use super::mark::Mark;
use super::note;
use crate::base::{AddressRange, Fault, FaultKind, Network, Note, Owner};
use crate::containers::{Container, Engine};
use crate::flow::Flow;

/// How long a cluster may take to tell its pools.
const ANSWER: Duration = Duration::from_secs(6);

/// Another cluster on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Its name.
    pub(super) cluster: String,
    /// Its first control plane that runs.
    pub(super) control_plane: Option<String>,
    /// Its first control plane that does not.
    pub(super) stopped: Option<String>,
    /// Where its search for a free range begins, when berth made it.
    pub(super) seed: Option<String>,
}

impl Neighbour {
    /// A cluster of which nothing else is known.
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_string(), control_plane: None, stopped: None, seed: None }
    }
}

/// Where the search of an environment for a free range begins.
pub(super) fn seed(owner: &Owner) -> String {
    format!("{}/{}", owner.id, owner.environment)
}

/// The seed of the environment whose mark a node carries.
pub(super) fn seed_of(node: &Container) -> Option<String> {
    Mark::of(node).map(|mark| seed(&mark.owner))
}

/// Asks all neighbours at once for their pools, and notes in `network` which are taken and which may come.
/// What could not be known is told: it stops nobody.
pub(super) async fn ask(
    engine: &Engine,
    neighbours: &[Neighbour],
    network: &mut Network,
    flow: &Flow,
) -> Vec<Note> {
    let asked = neighbours.iter().map(|neighbour| async move {
        let attempted = format!("ask cluster `{}` for its address pools", neighbour.cluster);
        let Some(node) = &neighbour.control_plane else {
            let noted = async { note::read_stopped(engine, neighbour.stopped.as_deref()?).await };
            return Answer::of_note(noted.await, "it does not run");
        };
        match flow.within(ANSWER, &attempted, ask_one(engine, node, &attempted)).await {
            Ok(ranges) => Answer::Pools(ranges),
            Err(fault) => Answer::of_note(note::read_stopped(engine, node).await, &fault.reason),
        }
    });
    let answers = join_all(asked).await;
    settle(network, neighbours.iter().zip(answers))
}

impl Answer {
    /// What is known of a neighbour that does not answer, and `why` it does not.
    fn of_note(noted: Option<Vec<AddressRange>>, why: &str) -> Self {
        match noted {
            Some(ranges) if !ranges.is_empty() => Self::Pools(ranges),
            _ => Self::Silent(why.to_string()),
        }
    }
}

/// What a neighbour says of its pools.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Pools(Vec<AddressRange>),
    Silent(String),
}

/// An environment that has no pool yet chooses before those behind it in order; one that does not answer may
/// have the pool that it would choose.
fn settle<'a>(network: &mut Network, answers: impl Iterator<Item = (&'a Neighbour, Answer)>) -> Vec<Note> {
    let mut notes = Vec::new();
    for (neighbour, answer) in answers {
        let comes_first = match answer {
            Answer::Pools(ranges) if ranges.is_empty() => neighbour.seed.as_ref() < Some(&network.seed),
            Answer::Pools(ranges) => {
                let whose = format!("cluster `{}`", neighbour.cluster);
                network.taken.extend(ranges.into_iter().map(|range| (range, whose.clone())));
                false
            }
            Answer::Silent(why) => {
                let text =
                    format!("the address pools of cluster `{}` are not known: {why}", neighbour.cluster);
                notes.push(Note::new("address pools", text));
                true
            }
        };
        network.rivals.extend(neighbour.seed.clone().filter(|_| comes_first));
    }
    network.rivals.sort();
    notes
}

/// The pools in the cluster of `node`, by its own kubectl.
async fn ask_one(engine: &Engine, node: &str, attempted: &str) -> Result<Vec<AddressRange>, Fault> {
    const ASK: [&str; 9] = [
        "kubectl",
        "--kubeconfig",
        "/etc/kubernetes/admin.conf",
        "--request-timeout=5s",
        "get",
        "ipaddresspools.metallb.io",
        "--all-namespaces",
        "--output",
        "json",
    ];
    let finished = engine.exec(node, ASK, None).await?;
    if finished.succeeded() {
        let list: Value = serde_json::from_str(&finished.stdout)
            .map_err(|error| Fault::new(FaultKind::Transient, attempted, error.to_string()))?;
        return Ok(list["items"].as_array().into_iter().flatten().flat_map(ranges).collect());
    }
    // Without MetalLB there are no pools.
    if finished.stderr.contains("doesn't have a resource type") {
        return Ok(Vec::new());
    }
    Err(Fault::new(FaultKind::Transient, attempted, finished.stderr_tail(1)))
}

/// The ranges of an `IPAddressPool`.
pub(super) fn ranges(pool: &Value) -> Vec<AddressRange> {
    let addresses = pool["spec"]["addresses"].as_array().into_iter().flatten();
    addresses.filter_map(|text| text.as_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            title: "docker network `kind`".to_string(),
            subnets: Vec::new(),
            used: Vec::new(),
            taken: Vec::new(),
            own: Vec::new(),
            seed: "5555/lab".to_string(),
            rivals: Vec::new(),
            reachable: true,
        }
    }

    fn neighbour(cluster: &str, seed: Option<&str>) -> Neighbour {
        Neighbour { seed: seed.map(str::to_string), ..Neighbour::new(cluster) }
    }

    #[test]
    fn who_has_no_pool_yet_comes_first_by_its_id_and_who_is_silent_always() {
        let others = [
            neighbour("later", Some("9999/later")),
            neighbour("sooner", Some("1111/sooner")),
            neighbour("silent", Some("7777/silent")),
            neighbour("foreign", None),
            neighbour("settled", Some("0000/settled")),
        ];
        let range: AddressRange = "172.18.255.64/27".parse().expect("a range");
        let answers = [
            Answer::Pools(Vec::new()),
            Answer::Pools(Vec::new()),
            Answer::Silent("it does not run".to_string()),
            Answer::Pools(Vec::new()),
            Answer::Pools(vec![range]),
        ];
        let mut network = network();
        let notes = settle(&mut network, others.iter().zip(answers));
        assert_eq!(network.rivals, ["1111/sooner", "7777/silent"]);
        assert_eq!(network.taken, [(range, "cluster `settled`".to_string())]);
        let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, ["the address pools of cluster `silent` are not known: it does not run"]);
    }
}

//! One run of network and roles, in a process of its own.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use berth::base::{Change, Clock, Fault, Note, ResourceId, SystemClock};
use berth::clouds::aws::{Session, Whose};
use berth::engine::{
    Cx, Events, Graph, Look, Need, Removal, Resource, Run, Seen, State, converge, remove, survey,
};
use berth::flow::{Cancel, Flow};
use berth::profile::{ClusterSpec, Found, LoadOptions, load};
use berth::providers::Leave;
use berth::providers::eks::network::NetworkResource;
use berth::providers::eks::outputs;
use berth::providers::eks::stack::Calls;
use futures::future::BoxFuture;
use serde_json::{Value, json};

/// The variable that says what is to be played.
pub const SCRIPT: &str = "BERTH_TEST_EKS_NETWORK";
/// Before what came of it, on a line of standard output.
pub const MARK: &str = "played: ";

/// Plays what the environment of this process asks for; nothing when it asks for nothing.
#[test]
fn player() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let script: Value = serde_json::from_str(&script).expect("a script");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    std::io::stdout()
        .write_all(format!("\n{MARK}{}\n", runtime.block_on(play(&script))).as_bytes())
        .expect("a pipe");
}

async fn play(script: &Value) -> Value {
    let verb = script["verb"].as_str().expect("a verb");
    let options = LoadOptions { home: "/home/ada".into(), known_addons: Vec::new() };
    let loaded = load(&Found::file(script["profile"].as_str().expect("a path").as_ref()), &options);
    let environment = loaded.expect("a valid profile").environment;
    let ClusterSpec::Eks(spec) = &environment.cluster else { unreachable!("it is on eks") };
    let whose = Whose { region: spec.region.clone(), account: spec.account.clone(), ..Whose::default() };
    let leave = Leave { makes: matches!(verb, "up" | "plan"), removes: verb == "down", ..Leave::default() };
    let adopt = script["adopt"] == true;
    let session = Session::new(whose);
    let resource = NetworkResource::new(&environment, spec, Arc::clone(&session), leave, adopt);
    let mut graph = Graph::new();
    let network = resource.id().clone();
    graph.add(Box::new(resource), Removal::Itself);
    let witness = Arc::new(Mutex::new(String::new()));
    if script["witness"] == true {
        let (id, seen) = (ResourceId::new("witness"), Arc::clone(&witness));
        graph.add(Box::new(Witness { id, network, session, seen }), Removal::LookedAt);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let flow = Flow::new(Cancel::default()).within_limit(Duration::from_mins(5));
    let seen = survey(&graph, &flow, &clock).await;
    let first = seen.resources.first().expect("the network");
    let mut played = json!({
        "look": match &first.look {
            Look::Seen(state) => format!("{state:?}"),
            Look::Failed(fault) => told(fault),
            other => format!("{other:?}"),
        },
        "changes": first.changes.iter().map(change).collect::<Vec<_>>(),
        "notes": first.notes.iter().map(|Note { topic, text }| format!("{topic}: {text}")).collect::<Vec<_>>(),
    });
    if verb == "plan" {
        return played;
    }
    let events = Events::new(Arc::clone(&clock), Vec::new());
    let run = Run { flow, clock, events, grace: Duration::from_mins(1) };
    let outcome = match verb {
        "up" => converge(&graph, &run).await,
        _ => remove(&graph, &seen, &run).await,
    };
    played["witness"] = witness.lock().expect("no panic").as_str().into();
    played["changed"] = outcome.changed.into();
    played["done"] = outcome.done.len().into();
    played["failed"] = outcome.failed.iter().map(|(_, fault)| told(fault)).collect();
    played["outputs"] = outcome.outputs.texts().map(|(key, value)| json!([key, value])).collect();
    played
}

/// Stands for the cluster: begins once it has what that one needs, and notes how the stack is then.
struct Witness {
    id: ResourceId,
    network: ResourceId,
    session: Arc<Session>,
    seen: Arc<Mutex<String>>,
}

impl Resource for Witness {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let output = |key| Need::Output { from: self.network.clone(), key };
        vec![output(outputs::SUBNETS_PRIVATE), output(outputs::ROLE_CLUSTER)]
    }

    fn outline(&self) -> String {
        String::new()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        Box::pin(async move {
            let aws = self.session.open(&cx.flow).await?;
            let stack = Calls::new(&aws, &cx.flow, "berth-dev").stack().await?;
            *self.seen.lock().expect("no panic") = stack.map(|stack| stack.status).unwrap_or_default();
            Ok(Seen::new(State::Ready))
        })
    }

    fn delete<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}

fn told(fault: &Fault) -> String {
    format!("{:?}: {fault}; {}", fault.kind, fault.hint.as_deref().unwrap_or_default())
}

fn change(change: &Change) -> String {
    format!("{:?} {}: {}", change.kind, change.subject, change.reason.as_deref().unwrap_or_default())
}

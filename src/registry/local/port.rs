use std::net::{Ipv4Addr, SocketAddr};

use super::http;
use super::store::LABEL;
use crate::base::Fault;
use crate::containers::{Container, Engine};
use crate::flow::Flow;
use crate::os::ports::{Vacancy, listener, vacancy};

/// What is at a port of this machine that a registry is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    /// Nothing.
    Free,
    /// A registry that berth did not start, in this container if in any.
    Registry(Option<Box<Container>>),
    /// Something else; the text says what.
    Taken(String),
}

/// Looks at `port` of 127.0.0.1.
pub(super) async fn look(port: u16, engine: &Engine, flow: &Flow) -> Result<Port, Fault> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match vacancy(address, "tcp") {
        Vacancy::Taken => {}
        // Whether the engine may listen there is seen when it tries.
        _ => return Ok(Port::Free),
    }
    let holder = holder(port, engine).await?;
    // Another one of ours is never used for this: it has a port of its own.
    let is_ours = holder.as_ref().is_some_and(|holder| holder.labels.contains_key(LABEL));
    let answer = http::get(address, "/v2/", flow).await;
    if !is_ours && answer.is_ok_and(|answer| answer.is_of_a_registry()) {
        return Ok(Port::Registry(holder.map(Box::new)));
    }
    Ok(Port::Taken(match holder {
        Some(container) => format!("container `{}`", container.name),
        None => match listener(address, "tcp") {
            Some(program) => format!("`{}`, process {}", program.name, program.process),
            None => "a program that cannot be seen from here".to_string(),
        },
    }))
}

/// The running container that has `port` of this machine.
async fn holder(port: u16, engine: &Engine) -> Result<Option<Container>, Fault> {
    let has_it = |container: &Container| container.ports.iter().any(|published| published.host == port);
    Ok(engine.running().await?.into_iter().find(has_it))
}

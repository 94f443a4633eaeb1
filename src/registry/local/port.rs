use std::fmt::{Display, Formatter};
use std::net::{Ipv4Addr, SocketAddr};

use super::http;
use super::store::LABEL;
use crate::base::Fault;
use crate::containers::{Container, Engine};
use crate::flow::Flow;
use crate::os::ports::{Listener, Vacancy, listener, vacancy};

/// What is at a port of this machine that a registry is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    /// Nothing.
    Free,
    /// A registry that berth did not start.
    Registry(Holder),
    /// Something else.
    Taken(Holder),
}

/// Who has a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// A container.
    Container(Box<Container>),
    /// A program beside the containers.
    Program(Listener),
    /// Somebody whom this user may not look at.
    Unseen,
}

impl Display for Holder {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(container) => write!(formatter, "container `{}`", container.name),
            Self::Program(program) => write!(formatter, "`{}`, process {}", program.name, program.process),
            Self::Unseen => write!(formatter, "a program that cannot be seen from here"),
        }
    }
}

/// Looks at `port` of 127.0.0.1.
pub(super) async fn look(port: u16, engine: &Engine, flow: &Flow) -> Result<Port, Fault> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match vacancy(address, "tcp") {
        Vacancy::Taken => {}
        // Whether the engine may listen there is seen when it tries.
        _ => return Ok(Port::Free),
    }
    let container = container(port, engine).await?;
    // Another one of ours is never used for this: it has a port of its own.
    let is_ours = container.as_ref().is_some_and(|container| container.labels.contains_key(LABEL));
    let holder = match container {
        Some(container) => Holder::Container(Box::new(container)),
        None => listener(address, "tcp").map_or(Holder::Unseen, Holder::Program),
    };
    let answer = http::get(address, "/v2/", flow).await;
    if !is_ours && answer.is_ok_and(|answer| answer.is_of_a_registry()) {
        return Ok(Port::Registry(holder));
    }
    Ok(Port::Taken(holder))
}

/// The running container that has `port` of 127.0.0.1.
async fn container(port: u16, engine: &Engine) -> Result<Option<Container>, Fault> {
    let has_it = |container: &Container| container.ports.iter().any(|published| published.host == port);
    Ok(engine.running().await?.into_iter().find(has_it))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::containers::EngineKind;
    use crate::flow::Cancel;

    /// What is said of a port that a container has which answers nothing, by an engine that knows no filters
    /// for ports: podman and nerdctl do not.
    async fn found_by(kind: EngineKind) -> Result<Port, Fault> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = format!(
            r#"case "$*" in
            *publish=*) echo 'Error: publish is an invalid filter' >&2; exit 125 ;;
            'ps --quiet --no-trunc') echo 1f ;;
            'container inspect 1f') echo '[{{"Id": "1f", "Name": "web", "State": {{"Status": "running"}}, "HostConfig":
                {{"PortBindings": {{"80/tcp": [{{"HostIp": "0.0.0.0", "HostPort": "{port}"}}]}}}}}}]' ;;
            *) exit 70 ;;
            esac"#
        );
        let engine = Engine::played(kind, folder.path(), &script);
        let closing = async {
            loop {
                drop(listener.accept().await.expect("somebody asks"));
            }
        };
        let flow = Flow::new(Cancel::default());
        tokio::select! {
            found = look(port, &engine, &flow) => found,
            () = closing => unreachable!("it closes for ever"),
        }
    }

    #[tokio::test]
    async fn the_container_that_has_the_port_is_named_by_every_engine() {
        for kind in EngineKind::ALL {
            let found = found_by(kind).await.expect("it answers");
            assert!(
                matches!(&found, Port::Taken(holder) if holder.to_string() == "container `web`"),
                "{kind}: {found:?}"
            );
        }
    }
}

use std::net::{Ipv4Addr, SocketAddr};

use super::http;
use super::store::LABEL;
use crate::base::Fault;
use crate::containers::{Container, Engine, Publisher};
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

/// The running container that has `port` of 127.0.0.1.
async fn holder(port: u16, engine: &Engine) -> Result<Option<Container>, Fault> {
    let publishers = engine.publishers().await?;
    let has_it = |one: &&Publisher| one.holds(Ipv4Addr::LOCALHOST.into(), port, "tcp");
    let Some(found) = publishers.iter().find(has_it) else { return Ok(None) };
    Ok(engine.inspect(&[&found.container]).await?.pop())
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
            'ps --no-trunc --format '*) printf 'web\t\t0.0.0.0:{port}->80/tcp\n' ;;
            'container inspect web') echo '[{{"Id": "1f", "Name": "web", "State": {{"Status": "running"}}}}]' ;;
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
            assert_eq!(found_by(kind).await, Ok(Port::Taken("container `web`".to_string())), "{kind}");
        }
    }
}

//! The way from an API server to what runs in its cluster: the test plays kube-proxy.
//!
//! An API server with an egress selector asks a proxy for each connection to a webhook or an
//! aggregated API. This one knows the addresses of Services, and connects them to the processes that
//! play their pods. So the Services are those that berth applied, as they are.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::ControlPlane;

/// Connects to a port of a pod.
type Connect = Arc<dyn Fn(u16) -> io::Result<TcpStream> + Send + Sync>;

/// The proxy that an API server asks, on a socket of this machine.
#[derive(Clone, Default)]
pub struct Egress {
    /// `10.0.0.7:443` to the pod behind it and its port.
    routes: Arc<Mutex<HashMap<String, (Connect, u16)>>>,
}

impl Egress {
    /// Listens on `socket`, which the API server is told by [`configuration`].
    pub fn listen(socket: &Path) -> Self {
        let egress = Self::default();
        let listener = UnixListener::bind(socket).expect("the folder is ours, and the path is short");
        let accepting = egress.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let egress = accepting.clone();
                std::thread::spawn(move || egress.serve(connection));
            }
        });
        egress
    }

    /// From now on, Services of `namespace` that select the pod `name` lead to it: their ports to those
    /// ports of its containers that they name.
    ///
    /// # Panics
    /// When no Service does, or one names a port that no container has.
    pub fn lead_to(&self, plane: &ControlPlane, namespace: &str, name: &str, connect: Connect) {
        let read = |what: &[&str]| -> Value {
            let said = plane.kubectl(&[&["-n", namespace, "get", "-o", "json"], what].concat()).expect(0);
            serde_json::from_str(&said.stdout).expect("kubectl writes JSON")
        };
        let pod = read(&["pod", name]);
        let services = read(&["services"]);
        let mut routes = self.routes.lock().expect("nobody panics with it");
        let before = routes.len();
        for service in services["items"].as_array().into_iter().flatten() {
            let Some(selector) = service["spec"]["selector"].as_object() else { continue };
            if selector.iter().any(|(key, value)| pod["metadata"]["labels"][key] != *value) {
                continue;
            }
            let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
            for port in service["spec"]["ports"].as_array().into_iter().flatten() {
                let target = container_port(&pod, &port["targetPort"]);
                routes.insert(format!("{address}:{}", port["port"]), (connect.clone(), target));
            }
        }
        assert!(routes.len() > before, "no Service of `{namespace}` selects the pod {name}");
    }

    /// Nothing leads anywhere any more.
    pub fn forget(&self) {
        self.routes.lock().expect("nobody panics with it").clear();
    }

    fn serve(&self, mut asking: UnixStream) {
        let Ok(target) = asked_for(&mut asking) else { return };
        let route = self.routes.lock().expect("nobody panics with it").get(&target).cloned();
        let pod = match route {
            Some((connect, port)) => connect(port),
            None => Err(io::Error::other("no pod is ready")),
        };
        let Ok(pod) = pod else {
            // Who asks may have gone.
            asking.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").ok();
            return;
        };
        if asking.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
            join(asking, pod);
        }
    }
}

/// The configuration of an API server that sends what is for its cluster through `socket`.
pub fn configuration(socket: &Path) -> String {
    format!(
        "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n\
         - name: cluster\n  connection: {{proxyProtocol: HTTPConnect, transport: {{uds: {{udsName: {}}}}}}}\n",
        socket.display()
    )
}

/// The number of the port of a container that `target` names or is.
fn container_port(pod: &Value, target: &Value) -> u16 {
    let ports = pod["spec"]["containers"].as_array().into_iter().flatten();
    let ports: Vec<&Value> =
        ports.flat_map(|container| container["ports"].as_array().into_iter().flatten()).collect();
    let port = ports.iter().find(|port| port["name"] == *target || port["containerPort"] == *target);
    let number = port.unwrap_or_else(|| panic!("no container has the port {target}: {ports:?}"));
    number["containerPort"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port is a number")
}

/// Reads `CONNECT TARGET HTTP/1.1` and its headers.
fn asked_for(asking: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        asking.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).unwrap_or_default().to_string())
}

/// Passes on what each says until both have ended.
fn join(one: UnixStream, other: TcpStream) {
    let (Ok(mut one_in), Ok(mut other_out)) = (one.try_clone(), other.try_clone()) else { return };
    let (mut one_out, mut other_in) = (one, other);
    let back = std::thread::spawn(move || {
        // An end in the middle is an end too.
        io::copy(&mut other_in, &mut one_out).ok();
        one_out.shutdown(Shutdown::Write).ok();
    });
    io::copy(&mut one_in, &mut other_out).ok();
    other_out.shutdown(Shutdown::Write).ok();
    back.join().expect("it only copies");
}

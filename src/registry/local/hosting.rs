use serde_json::{Value, json};

use super::store::{Role, Store, host};

/// The `ConfigMap` by which tools such as Tilt and Skaffold find the registry at `port` of this machine, which nodes
/// reach at `inside`, `HOST:PORT`: unless that is known, where they reach berth's own.
/// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry>
pub fn hosting(port: u16, inside: Option<&str>) -> Value {
    let own = Store { role: Role::Own(port), image: None }.address();
    let inside = inside.unwrap_or(&own);
    let text = format!(
        "host: \"{}\"\nhostFromContainerRuntime: \"{inside}\"\nhostFromClusterNetwork: \"{inside}\"\n",
        host(port)
    );
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": text},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(port: u16, inside: Option<&str>) -> String {
        let body = hosting(port, inside);
        body["data"]["localRegistryHosting.v1"].as_str().expect("text").to_string()
    }

    #[test]
    fn the_three_names_of_the_registry_are_told() {
        let told = text(5002, None);
        assert!(told.contains("host: \"localhost:5002\""), "{told}");
        assert!(told.contains("hostFromContainerRuntime: \"berth-registry-5002:5000\""), "{told}");
        assert!(told.contains("hostFromClusterNetwork: \"berth-registry-5002:5000\""), "{told}");
    }

    #[test]
    fn of_somebody_elses_registry_it_is_told_where_nodes_reach_that() {
        let told = text(5002, Some("172.18.0.1:5002"));
        assert!(told.contains("host: \"localhost:5002\""), "{told}");
        assert!(told.contains("hostFromClusterNetwork: \"172.18.0.1:5002\""), "{told}");
        assert!(!told.contains("berth-registry"), "{told}");
    }
}

use serde_json::{Value, json};

use super::store::{Role, Store, host};
use crate::profile::schema::LocalRegistry;

/// The `ConfigMap` by which tools such as Tilt and Skaffold find the registry of a cluster.
/// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry>
pub fn hosting(declared: &LocalRegistry) -> Value {
    let port = declared.port;
    let store = Store { role: Role::Own(port), image: None };
    let inside = store.endpoint().replace("http://", "");
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

    #[test]
    fn the_three_names_of_the_registry_are_told() {
        let body = hosting(&LocalRegistry { port: 5002, ..LocalRegistry::default() });
        let text = body["data"]["localRegistryHosting.v1"].as_str().expect("text");
        assert!(text.contains("host: \"localhost:5002\""), "{text}");
        assert!(text.contains("hostFromClusterNetwork: \"berth-registry-5002:5000\""), "{text}");
    }
}

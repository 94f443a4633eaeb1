use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::base::{ClusterAccess, Credential, Fault, FaultKind, Secret, Tokens};
use crate::os::files;

/// The parts of a kubeconfig that kwokctl and kind write: certificates, in files or in the text itself.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Kubeconfig {
    #[serde(rename = "apiVersion", default = "version")]
    api_version: String,
    #[serde(default = "kind")]
    kind: String,
    current_context: String,
    clusters: Vec<NamedCluster>,
    contexts: Vec<NamedContext>,
    users: Vec<NamedUser>,
}

#[derive(Serialize, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_authority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Serialize, Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Serialize, Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Serialize, Deserialize)]
struct User {
    #[serde(rename = "client-certificate", default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(rename = "client-certificate-data", default, skip_serializing_if = "Option::is_none")]
    certificate_data: Option<String>,
    #[serde(rename = "client-key", default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(rename = "client-key-data", default, skip_serializing_if = "Option::is_none")]
    key_data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exec: Option<Exec>,
}

/// The program that gives tokens (Kubernetes, "Client authentication: client-go credential plugins").
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    api_version: String,
    command: String,
    args: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    env: Vec<Variable>,
    interactive_mode: String,
}

#[derive(Serialize, Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// How programs that read a kubeconfig get tokens from berth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plugin {
    /// What they have to start: `berth`, or where it is.
    pub program: String,
    /// The variables that it needs, though whoever starts it may have none of them.
    pub variables: BTreeMap<String, String>,
}

fn version() -> String {
    "v1".to_string()
}

fn kind() -> String {
    "Config".to_string()
}

impl Kubeconfig {
    /// The file at `path`; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Fault> {
        match files::read_if_there(path)? {
            Some(text) => Self::parse(&text, &format!("`{}`", path.display())).map(Some),
            None => Ok(None),
        }
    }

    /// The kubeconfig in `text`, which came from `source`.
    pub(super) fn parse(text: &str, source: &str) -> Result<Self, Fault> {
        serde_saphyr::from_str(text).map_err(|error| unreadable(source, &error.to_string()))
    }

    /// How to reach the cluster that its current context names.
    pub(super) fn access(&self) -> Result<ClusterAccess, Fault> {
        let source = "the cluster's kubeconfig";
        let missing = || unreadable(source, "its current context names nothing in it");
        let context = self
            .contexts
            .iter()
            .find(|one| one.name == self.current_context)
            .map(|one| &one.context)
            .ok_or_else(missing)?;
        let cluster = self
            .clusters
            .iter()
            .find(|one| one.name == context.cluster)
            .map(|one| &one.cluster)
            .ok_or_else(missing)?;
        let user = self
            .users
            .iter()
            .find(|one| one.name == context.user)
            .map(|one| &one.user)
            .ok_or_else(missing)?;
        let ca = pem(cluster.certificate_authority.as_ref(), cluster.certificate_authority_data.as_ref())?;
        let certificate = pem(user.certificate.as_ref(), user.certificate_data.as_ref())?;
        let key = pem(user.key.as_ref(), user.key_data.as_ref())?;
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Err(unreadable(source, "it has no client certificate"));
        };
        Ok(ClusterAccess {
            server: cluster.server.clone(),
            ca,
            credential: Credential::ClientCertificate { certificate, key: Secret::new(key) },
        })
    }
}

/// The kubeconfig that gives `access` by its client certificate in the one context `name`, everything in the text
/// itself.
pub(super) fn render(access: &ClusterAccess, name: &str) -> Option<String> {
    let Credential::ClientCertificate { certificate, key } = &access.credential else { return None };
    let user = User {
        certificate_data: Some(STANDARD.encode(certificate)),
        key_data: Some(STANDARD.encode(key.reveal())),
        ..User::default()
    };
    written(access, name, user)
}

/// The kubeconfig that gives `access` in the one context `name`, where its tokens come from `plugin`; `None` where
/// it has none.
fn render_with(plugin: &Plugin, access: &ClusterAccess, name: &str) -> Option<String> {
    let Credential::Tokens(tokens) = &access.credential else { return None };
    written(access, name, User { exec: Some(exec(tokens, plugin)), ..User::default() })
}

/// Keeps the private kubeconfig of a cluster that takes tokens at `path`. Nothing is written where there are none,
/// and nothing that is there already.
pub fn keep_kubeconfig(
    path: &Path,
    access: &ClusterAccess,
    name: &str,
    plugin: &Plugin,
) -> Result<(), Fault> {
    let Some(text) = render_with(plugin, access, name) else { return Ok(()) };
    if files::read_if_there(path)?.as_ref() == Some(&text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        files::make_private_folder(folder)?;
    }
    files::write_private(path, text.as_bytes())
}

fn written(access: &ClusterAccess, name: &str, user: User) -> Option<String> {
    let kubeconfig = Kubeconfig {
        api_version: version(),
        kind: kind(),
        current_context: name.to_string(),
        clusters: vec![NamedCluster {
            name: name.to_string(),
            cluster: Cluster {
                server: access.server.clone(),
                certificate_authority: None,
                certificate_authority_data: access.ca.as_ref().map(|ca| STANDARD.encode(ca)),
            },
        }],
        contexts: vec![NamedContext {
            name: name.to_string(),
            context: Context { cluster: name.to_string(), user: name.to_string() },
        }],
        users: vec![NamedUser { name: name.to_string(), user }],
    };
    serde_saphyr::to_string(&kubeconfig).ok()
}

fn exec(tokens: &Tokens, plugin: &Plugin) -> Exec {
    let variable = |(name, value): (&String, &String)| Variable { name: name.clone(), value: value.clone() };
    Exec {
        api_version: "client.authentication.k8s.io/v1".to_string(),
        command: plugin.program.clone(),
        args: tokens.arguments(),
        env: plugin.variables.iter().map(variable).collect(),
        // Nothing is asked: standard input may be a manifest.
        interactive_mode: "Never".to_string(),
    }
}

fn pem(path: Option<&String>, data: Option<&String>) -> Result<Option<String>, Fault> {
    if let Some(data) = data {
        let bytes = STANDARD
            .decode(data.trim())
            .map_err(|error| unreadable("the cluster's kubeconfig", &error.to_string()))?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let Some(path) = path else { return Ok(None) };
    std::fs::read_to_string(path).map(Some).map_err(|error| files::fault("read", Path::new(path), &error))
}

fn unreadable(source: &str, reason: &str) -> Fault {
    let first_line = reason.lines().next().unwrap_or_default();
    Fault::new(FaultKind::Invalid, format!("read {source}"), first_line)
        .hint("remove that file: it is written again by the next `berth up`")
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;

    use super::*;
    use crate::base::{Token, TokenSource};

    const BY_KWOKCTL: &str = "\
apiVersion: v1
kind: Config
current-context: kwok-lab
clusters:
- name: kwok-lab
  cluster: {certificate-authority-data: Y2E=, server: 'https://127.0.0.1:6443'}
contexts:
- name: kwok-lab
  context: {cluster: kwok-lab, user: kwok-lab}
users:
- name: kwok-lab
  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
preferences: {}
";

    #[test]
    fn what_kwokctl_wrote_becomes_a_kubeconfig_of_our_own() {
        let access = Kubeconfig::parse(BY_KWOKCTL, "test").and_then(|it| it.access()).expect("whole");
        assert_eq!(access.server, "https://127.0.0.1:6443");
        assert_eq!(access.ca.as_deref(), Some("ca"));
        let ours = render(&access, "berth-lab").expect("rendered");
        let read = Kubeconfig::parse(&ours, "test").expect("read");
        assert_eq!(read.current_context, "berth-lab");
        assert_eq!(read.access(), Ok(access));
    }

    /// Gives nothing: what is written down is how to get one.
    struct Named;

    impl TokenSource for Named {
        fn title(&self) -> &'static str {
            "tokens for EKS cluster `dev`"
        }

        fn arguments(&self) -> Vec<String> {
            ["token", "--cluster", "dev", "--region", "eu-west-1"].map(str::to_string).to_vec()
        }

        fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>> {
            Box::pin(async { Err(Fault::new(FaultKind::Bug, "write a kubeconfig", "it needs no token")) })
        }
    }

    #[test]
    fn a_cluster_that_takes_tokens_gets_the_program_that_makes_them_and_no_secret() {
        let access = ClusterAccess {
            server: "https://ABC.gr7.eu-west-1.eks.amazonaws.com".to_string(),
            ca: Some("ca".to_string()),
            credential: Credential::Tokens(Tokens::new(Arc::new(Named))),
        };
        let variables = BTreeMap::from([("AWS_PROFILE".to_string(), "work".to_string())]);
        let plugin = Plugin { program: "berth".to_string(), variables };
        let text = render_with(&plugin, &access, "berth-dev").expect("rendered");
        let written: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(
            written["users"][0]["user"],
            serde_json::json!({"exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "berth",
                "args": ["token", "--cluster", "dev", "--region", "eu-west-1"],
                "env": [{"name": "AWS_PROFILE", "value": "work"}],
                "interactiveMode": "Never",
            }})
        );
        assert_eq!(written["clusters"][0]["cluster"]["server"], access.server);
    }

    #[test]
    fn a_context_without_a_cluster_is_a_fault_that_says_so() {
        let broken = BY_KWOKCTL.replace("current-context: kwok-lab", "current-context: other");
        let fault = Kubeconfig::parse(&broken, "test").and_then(|it| it.access()).expect_err("broken");
        assert_eq!(fault.reason, "its current context names nothing in it");
    }
}

//! The profile that `berth init` writes.

use std::fmt::Write;

/// What `berth init` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitAnswers {
    /// The name of the environment.
    pub name: String,
    /// The owner mark, new and random.
    pub id: String,
    /// The cluster.
    pub cluster: InitCluster,
    /// The name of the first tenant, if there is to be one.
    pub tenant: Option<String>,
    /// Where the JSON Schema of profiles is, for editors: a path or an address.
    pub schema: String,
}

/// The cluster that `berth init` was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitCluster {
    /// Amazon EKS.
    Eks {
        /// The region.
        region: String,
        /// The account, if it is known.
        account: Option<String>,
    },
    /// Google GKE.
    Gke {
        /// The project.
        project: String,
        /// A region or zone.
        location: String,
    },
    /// kind.
    Kind,
    /// A real control plane with simulated nodes.
    Kwok,
    /// A cluster that somebody else made.
    Existing {
        /// The kubeconfig file.
        kubeconfig: String,
        /// The context in it.
        context: String,
    },
}

/// The text of a first profile. It loads as it stands, and with the examples in its comments as well.
pub fn starter(answers: &InitAnswers) -> String {
    let InitAnswers { name, id, cluster, tenant, schema } = answers;
    let mut text = format!(
        "# yaml-language-server: $schema={schema}\n\
         apiVersion: berth.dev/v1alpha1\n\
         kind: Environment\n\
         name: {name}\n\
         # The mark on everything that berth makes for this environment: never change it.\n\
         id: {}\n\
         # protected: true            # `berth down` refuses until this is taken out\n\n",
        scalar(id)
    );
    text.push_str(&cluster_lines(cluster));
    text.push_str(access_lines(cluster));
    text.push_str(node_group_lines(cluster));
    text.push_str(registry_lines(cluster));
    text.push_str(addon_lines(cluster));
    // A lab is there to run something in.
    let first = matches!(cluster, InitCluster::Kind).then_some("checkout");
    text.push_str(&tenant_lines(tenant.as_deref().or(first), cluster));
    text
}

/// In quotes when it could be read as something else than text.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '~' && text.len() > 1 || c == '/')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.contains(['{', '}', '[', ']', ',', '"'])
        && !matches!(text.to_lowercase().as_str(), "true" | "false" | "null");
    if plain { text.to_string() } else { serde_json::Value::from(text).to_string() }
}

fn cluster_lines(cluster: &InitCluster) -> String {
    let mut text = String::from("cluster:\n");
    let written = match cluster {
        InitCluster::Eks { region, account } => {
            let account = match account {
                // In quotes: an account is no number.
                Some(account) => format!("    account: \"{account}\"\n"),
                None => {
                    "    # account: \"123456789012\"   # berth refuses to work in another one\n".to_string()
                }
            };
            write!(
                text,
                "  eks:\n{account}    region: {}\n    version: \"1.36\"\n\
                 \x20   # endpoint: {{public: [203.0.113.0/24]}}   # who may reach the API server\n\
                 \x20   network: {{nat: single}}\n\n",
                scalar(region)
            )
        }
        InitCluster::Gke { project, location } => write!(
            text,
            "  gke:\n    project: {}\n    location: {}\n    channel: regular\n    endpoint: dns\n\n",
            scalar(project),
            scalar(location)
        ),
        InitCluster::Kind => {
            write!(text, "  kind:\n    version: \"1.36\"\n    # ports: [{{host: 8080, node: 80}}]\n\n")
        }
        InitCluster::Kwok => write!(text, "  kwok:\n    version: \"1.36\"\n\n"),
        InitCluster::Existing { kubeconfig, context } => {
            write!(
                text,
                "  existing: {{kubeconfig: {}, context: {}}}\n\n",
                scalar(kubeconfig),
                scalar(context)
            )
        }
    };
    written.expect("writing to a String does not fail");
    text
}

fn access_lines(cluster: &InitCluster) -> &'static str {
    match cluster {
        InitCluster::Eks { .. } => {
            "# Who is who: the groups of admins and tenants.\n\
             # access:\n\
             #   admins: [platform]\n\
             #   groups: {platform: {eks: [\"arn:aws:iam::123456789012:role/platform\"]}}\n\n"
        }
        InitCluster::Gke { .. } => {
            "# Who is who: the groups of admins and tenants.\n\
             # access:\n\
             #   admins: [platform]\n\
             #   groups: {platform: {gke: platform@example.com}}\n\n"
        }
        _ => "",
    }
}

fn node_group_lines(cluster: &InitCluster) -> &'static str {
    match cluster {
        InitCluster::Eks { .. } => {
            "nodeGroups:\n  \
             - {name: general, machine: m7i.large, nodes: 2, zones: [a, b]}\n  \
             # - {name: gpu, machine: g6.xlarge, nodes: 1, disk: 200Gi}\n\n"
        }
        InitCluster::Gke { .. } => {
            "nodeGroups:\n  \
             - {name: general, machine: e2-standard-4, nodes: {min: 2, max: 4}}\n  \
             # - {name: gpu, machine: g2-standard-4, nodes: {min: 0, max: 2}, disk: 200Gi}\n\n"
        }
        InitCluster::Kind | InitCluster::Kwok => "nodeGroups:\n  - {name: general, nodes: 2}\n\n",
        InitCluster::Existing { .. } => "",
    }
}

fn registry_lines(cluster: &InitCluster) -> &'static str {
    match cluster {
        InitCluster::Kind => {
            "# `docker push localhost:5001/NAME` from here, and pods run it. All labs of this machine share it.\n\
             registry:\n  local: {port: 5001}\n\n"
        }
        _ => "",
    }
}

fn addon_lines(cluster: &InitCluster) -> &'static str {
    match cluster {
        InitCluster::Kind => "addons:\n  metrics-server: {}\n  traefik: {}\n  metallb: {addresses: auto}\n\n",
        InitCluster::Gke { .. } => "addons:            # GKE brings a metrics-server\n  traefik: {}\n\n",
        _ => "addons:\n  metrics-server: {}\n  traefik: {}\n\n",
    }
}

fn tenant_lines(tenant: Option<&str>, cluster: &InitCluster) -> String {
    let name = tenant.unwrap_or("checkout");
    // Without a tenant the lines stay as an example.
    let off = if tenant.is_some() { "" } else { "# " };
    // As in the profile `lab`, on which the page about labs is written.
    let (namespace, hosts) = match cluster {
        InitCluster::Kind => (format!("{name}-ns"), format!("    hosts: [{name}.lab.test]\n")),
        _ => (name.to_string(), String::new()),
    };
    format!(
        "tenantDefaults: {{size: small, podSecurity: restricted}}\n\
         {off}tenants:\n\
         {off}  - name: {name}\n\
         {off}    namespaces: [{namespace}]\n\
         {off}    quota: {{requests.cpu: 2, limits.memory: 8Gi}}\n\
         {hosts}\
         #     groups: {{admin: [platform]}}       # on eks and gke, `access` says who that is\n"
    )
}

//! What a cluster of kind may say: what kind, its engine or kubeadm would refuse, or ignore, later on.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use super::Check;
use crate::base::{AddressRange, RangeError};
use crate::profile::schema::{EnvironmentFile, KindCluster, KindIpFamily, KindPort, PortProtocol};
use crate::profile::tree::{Step, shorten};

const KIND: [Step<'static>; 2] = [Step::Key("cluster"), Step::Key("kind")];
/// The parts of kubeadm's configuration that a patch can change, those of kubeadm itself first.
const PATCHED: [&str; 5] = [
    "ClusterConfiguration",
    "InitConfiguration",
    "JoinConfiguration",
    "KubeletConfiguration",
    "KubeProxyConfiguration",
];
/// Folders of a node in which nothing may be mounted.
const OF_THE_NODE: [&str; 3] = ["/etc/berth", "/kind", "/proc"];
/// Folders of a node that it needs, and in which something of one's own may be mounted all the same.
const AS_A_WHOLE: [&str; 10] = [
    "/dev",
    "/etc/containerd",
    "/etc/kubernetes",
    "/run",
    "/sys",
    "/tmp",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
];
/// Blocks that nobody on the internet has.
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"];

pub(super) fn check(check: &mut Check<'_>, fields: &KindCluster) {
    if !(1..=9).contains(&fields.control_planes) || fields.control_planes.is_multiple_of(2) {
        check.error(
            &[KIND[0], KIND[1], Step::Key("controlPlanes")],
            format!("{} control planes cannot agree", fields.control_planes),
            "use an odd number from 1 to 9: `controlPlanes: 1`",
        );
    }
    check_ports(check, &fields.ports);
    check_mounts(check, fields);
    check_subnets(check, fields);
    for gate in fields.feature_gates.keys().filter(|gate| !is_feature_gate(gate)) {
        let place = check.key_place(&[KIND[0], KIND[1], Step::Key("featureGates")], gate);
        check.error_at(
            place,
            format!("`{}` cannot be a feature gate", shorten(gate)),
            "write its name as Kubernetes does: letters and digits, an upper-case letter first",
        );
    }
    for (index, patch) in fields.kubeadm_patches.iter().enumerate() {
        check_patch(check, index, patch);
    }
}

fn is_feature_gate(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_ports(check: &mut Check<'_>, ports: &[KindPort]) {
    for (index, port) in ports.iter().enumerate() {
        let at = [KIND[0], KIND[1], Step::Key("ports"), Step::Item(index), Step::Key("host")];
        let clash = ports[..index].iter().position(|other| clash(other, port));
        if port.host == 0 || port.node == 0 {
            check.error(&at[..4], "port 0 is no port", "use ports from 1 to 65535");
        } else if let Some(first) = clash {
            let other = check.tree.place_of(&[KIND[0], KIND[1], Step::Key("ports"), Step::Item(first)]);
            let place = check.tree.place_of(&at);
            let help = format!("it is taken {}: choose another one", check.files.refer(other, place));
            check.error_at(place, format!("host port {} is taken twice", port.host), help);
        }
        if port.listen.parse::<IpAddr>().is_err() {
            check.error(
                &[at[0], at[1], at[2], at[3], Step::Key("listen")],
                format!("`{}` is no address", shorten(&port.listen)),
                "write `127.0.0.1` for this machine alone, `0.0.0.0` for everybody",
            );
        }
    }
}

/// Whether two ports of this machine are in each other's way.
fn clash(one: &KindPort, other: &KindPort) -> bool {
    let everywhere = |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    (one.host, one.protocol) == (other.host, other.protocol)
        && (one.listen == other.listen || everywhere(&one.listen) || everywhere(&other.listen))
}

/// The registry's port on 127.0.0.1 cannot lead to a node as well.
pub(super) fn check_registry_port(check: &mut Check<'_>, file: &EnvironmentFile, kind: &KindCluster) {
    let Some(registry) = file.registry.as_ref().and_then(|registry| registry.local.as_ref()) else { return };
    let own = KindPort {
        host: registry.port,
        node: 0,
        listen: "127.0.0.1".to_string(),
        protocol: PortProtocol::Tcp,
    };
    // Port 0 is told about already.
    let clashing = kind.ports.iter().position(|port| port.host != 0 && clash(port, &own));
    if let Some(index) = clashing {
        let other = check.tree.place_of(&[KIND[0], KIND[1], Step::Key("ports"), Step::Item(index)]);
        let registry_path = [Step::Key("registry"), Step::Key("local"), Step::Key("port")];
        let place = check.tree.place_of(&registry_path);
        let help =
            format!("a node has it {}: choose another one for either", check.files.refer(other, place));
        check.error_at(place, format!("host port {} is taken twice", registry.port), help);
    }
}

fn check_mounts(check: &mut Check<'_>, fields: &KindCluster) {
    let mut seen = HashSet::new();
    for (index, mount) in fields.mounts.iter().enumerate() {
        let at = [KIND[0], KIND[1], Step::Key("mounts"), Step::Item(index), Step::Key("node")];
        let node = mount.node.trim_end_matches('/');
        let parts = || node.split('/').skip(1);
        if !mount.node.starts_with('/') {
            check.error(
                &at,
                format!("`{}` is no absolute path", shorten(&mount.node)),
                "write where the nodes see it, from `/` on",
            );
        } else if parts().any(|part| matches!(part, "" | "." | "..")) {
            check.error(
                &at,
                format!("`{}` is no plain path", shorten(&mount.node)),
                "write it without `.`, `..` and `//`",
            );
        } else if node.contains(':') {
            check.error(
                &at,
                format!("`{}` has a `:` in it", shorten(&mount.node)),
                "container engines cannot mount there: choose another path",
            );
        } else if let Some(owned) = owned_by_node(node) {
            check.error(
                &at,
                format!("a mount at `{}` would hide `{owned}`, which the nodes need", shorten(&mount.node)),
                "choose a folder of your own: `/data`",
            );
        } else if !seen.insert(node) {
            check.error(
                &at,
                format!("two mounts are at `{}`", shorten(&mount.node)),
                "choose another path for one of them",
            );
        }
        if mount.host.0.to_string_lossy().contains(':') {
            check.error(
                &[at[0], at[1], at[2], at[3], Step::Key("host")],
                "the path of this folder has a `:` in it",
                "container engines cannot mount it: rename the folder",
            );
        }
    }
}

/// What a mount at `path` would hide.
fn owned_by_node(path: &str) -> Option<&'static str> {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let hidden = OF_THE_NODE.iter().find(|owned| within(path, owned) || within(owned, path));
    hidden.or_else(|| AS_A_WHOLE.iter().find(|owned| within(owned, path))).copied()
}

fn check_subnets(check: &mut Check<'_>, fields: &KindCluster) {
    let family = fields.ip_family.unwrap_or(KindIpFamily::Ipv4);
    let pods = subnet(check, "podSubnet", fields.pod_subnet.as_deref(), family);
    let services = subnet(check, "serviceSubnet", fields.service_subnet.as_deref(), family);
    for range in &pods {
        let (longest, each) = if range.is_ipv4() { (24, "/24") } else { (64, "/64") };
        if prefix(range).is_none_or(|prefix| prefix > longest) {
            check.error(
                &[KIND[0], KIND[1], Step::Key("podSubnet")],
                format!("`{range}` is too small"),
                format!("each node gets {each} of it: use /16 for IPv4, /56 for IPv6"),
            );
        }
    }
    for range in &services {
        let (shortest, longest) = if range.is_ipv4() { (12, 28) } else { (108, 124) };
        let length = prefix(range).unwrap_or(longest + 1);
        if !(shortest..=longest).contains(&length) {
            let size = if length < shortest { "large" } else { "small" };
            check.error(
                &[KIND[0], KIND[1], Step::Key("serviceSubnet")],
                format!("`{range}` is too {size}"),
                format!("Kubernetes takes /{shortest} to /{longest}"),
            );
        }
    }
    check_apart(check, fields);
}

/// Pods and services cannot share addresses, also where only one of them is given and kind takes the other.
fn check_apart(check: &mut Check<'_>, fields: &KindCluster) {
    let ranges = |texts: Vec<&str>| texts.into_iter().filter_map(|text| text.parse().ok()).collect();
    let (pods, services): (Vec<AddressRange>, Vec<AddressRange>) =
        (ranges(fields.pod_subnets()), ranges(fields.service_subnets()));
    let mut pairs = pods.iter().flat_map(|pods| services.iter().map(move |services| (pods, services)));
    let Some((pods, services)) = pairs.find(|(pods, services)| pods.overlaps(services)) else { return };
    let (field, problem) = if fields.service_subnet.is_some() {
        ("serviceSubnet", format!("`{services}` overlaps the pods' `{pods}`"))
    } else {
        ("podSubnet", format!("`{pods}` overlaps the services' `{services}`"))
    };
    check.error(
        &[KIND[0], KIND[1], Step::Key(field)],
        problem,
        "use ranges that have nothing in common: `10.244.0.0/16` for pods, `10.96.0.0/16` for services",
    );
}

/// The ranges of a field; those of two families stand side by side with a comma.
fn subnet(check: &mut Check<'_>, field: &str, text: Option<&str>, family: KindIpFamily) -> Vec<AddressRange> {
    let Some(text) = text else { return Vec::new() };
    let path = [KIND[0], KIND[1], Step::Key(field)];
    let example = match (family, field) {
        (KindIpFamily::Ipv4, "podSubnet") => "`10.244.0.0/16`",
        (KindIpFamily::Ipv4, _) => "`10.96.0.0/16`",
        (KindIpFamily::Ipv6, "podSubnet") => "`fd00:10:244::/56`",
        (KindIpFamily::Ipv6, _) => "`fd00:10:96::/112`",
        (KindIpFamily::Dual, "podSubnet") => "`10.244.0.0/16,fd00:10:244::/56`",
        (KindIpFamily::Dual, _) => "`10.96.0.0/16,fd00:10:96::/112`",
    };
    let mut ranges: Vec<AddressRange> = Vec::new();
    for part in text.split(',') {
        match part.parse::<AddressRange>() {
            Ok(range) if prefix(&range).is_some() && part.contains('/') => ranges.push(range),
            Err(RangeError::Crooked { text, first }) => {
                check.error(
                    &path,
                    format!("`{text}` does not begin where its block begins, at {first}"),
                    format!("write `{first}`"),
                );
            }
            _ => check.error(&path, format!("`{}` is no CIDR", shorten(part)), format!("write {example}")),
        }
    }
    let count = |ipv4: bool| ranges.iter().filter(|range| range.is_ipv4() == ipv4).count();
    let fits = match family {
        KindIpFamily::Ipv4 => count(true) <= 1 && count(false) == 0,
        KindIpFamily::Ipv6 => count(true) == 0 && count(false) <= 1,
        KindIpFamily::Dual => count(true) <= 1 && count(false) <= 1,
    };
    if !fits {
        check.error(
            &path,
            format!("`{}` does not fit `ipFamily: {}`", shorten(text), family.as_str()),
            format!("write {example}, or another `ipFamily`"),
        );
    }
    let private = |range: &AddressRange| {
        PRIVATE
            .iter()
            .filter_map(|block| block.parse::<AddressRange>().ok())
            .any(|block| block.encloses(range))
    };
    for range in ranges.iter().filter(|range| !private(range)) {
        check.error(
            &path,
            format!("`{range}` belongs to others on the internet, whom pods would no longer reach"),
            format!("use private addresses: {example}"),
        );
    }
    ranges
}

/// The length of the prefix of a block; `None` of a range that is none.
fn prefix(range: &AddressRange) -> Option<u32> {
    range.to_string().split_once('/')?.1.parse().ok()
}

fn check_patch(check: &mut Check<'_>, index: usize, patch: &str) {
    let path = [KIND[0], KIND[1], Step::Key("kubeadmPatches"), Step::Item(index)];
    let example = "write `kind: KubeletConfiguration` and what it changes";
    let Ok(parsed) = serde_saphyr::from_str::<Value>(patch) else {
        check.error(&path, "this patch is not one YAML document", example);
        return;
    };
    let Some(kind) = parsed["kind"].as_str() else {
        check.error(&path, "this patch has no `kind`", example);
        return;
    };
    if !PATCHED.contains(&kind) {
        check.error(
            &path,
            format!("kubeadm has no `{}`: this patch would be ignored", shorten(kind)),
            format!("use one of {}", PATCHED.map(|kind| format!("`{kind}`")).join(", ")),
        );
    } else if PATCHED[..3].contains(&kind) && !parsed["apiVersion"].is_null() {
        check.error(
            &path,
            format!("this patch of `{kind}` is of one `apiVersion`, and ignored where kind writes another"),
            "take `apiVersion` out",
        );
    }
}

//! The cluster's own fields, the version and the owner mark.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Check;
use crate::base::{AddressRange, ProviderKind, RangeError};
use crate::profile::ClusterSpec;
use crate::profile::schema::{Cluster, EksCluster, EnvironmentFile, GkeCluster, GkeEndpoint, Nat};
use crate::profile::tree::{Step, shorten};

/// The oldest Kubernetes that is supported.
pub const OLDEST: (u32, u32) = (1, 33);
/// The newest Kubernetes that is supported.
pub const NEWEST: (u32, u32) = (1, 37);
/// What a profile gets that names none.
const DEFAULT: (u32, u32) = (1, 36);

pub(super) fn provider(cluster: &Cluster) -> ProviderKind {
    match cluster {
        Cluster::Eks(_) => ProviderKind::Eks,
        Cluster::Gke(_) => ProviderKind::Gke,
        Cluster::Kind(_) => ProviderKind::Kind,
        Cluster::Kwok(_) => ProviderKind::Kwok,
        Cluster::Existing(_) => ProviderKind::Existing,
    }
}

pub(super) fn spec(cluster: Cluster) -> ClusterSpec {
    match cluster {
        Cluster::Eks(fields) => ClusterSpec::Eks(fields),
        Cluster::Gke(fields) => ClusterSpec::Gke(fields),
        Cluster::Kind(fields) => ClusterSpec::Kind(fields),
        Cluster::Kwok(fields) => ClusterSpec::Kwok(fields),
        Cluster::Existing(fields) => ClusterSpec::Existing(fields),
    }
}

/// The owner mark: the profile's own, or for a local cluster one that follows from its path.
pub(super) fn id(check: &mut Check<'_>, file: &EnvironmentFile, identity: &Path) -> String {
    let derived = id_from_path(identity);
    let path = [Step::Key("id")];
    if let Some(id) = &file.id {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(6..=20).contains(&id.len()) || !id.chars().all(allowed) {
            check.error(
                &path,
                format!("`{}` cannot be an id", shorten(id)),
                format!("use 6 to 20 lower-case letters and digits: add `id: {derived}` instead"),
            );
        }
        return id.clone();
    }
    if check.is_cloud() || check.provider == ProviderKind::Existing {
        let place = check.key_place(&[], "name");
        let message = match check.provider {
            ProviderKind::Existing => "an environment on an existing cluster needs an `id`".to_string(),
            provider => format!("an environment on {provider} needs an `id`"),
        };
        let help = format!("it marks what berth owns there: add `id: {derived}` and never change it");
        check.error_at(place, message, help);
    }
    derived
}

/// Eight letters and digits that follow from a path.
fn id_from_path(path: &Path) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let digest = Sha256::digest(path.to_string_lossy().as_bytes());
    digest.iter().take(8).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Checks the provider's fields; the Kubernetes minor, which is written into `cluster` as well.
pub(super) fn check(check: &mut Check<'_>, cluster: &mut Cluster) -> (u32, u32) {
    let version = match cluster {
        // In a cloud, no version means what is there or what the cloud offers: none is written.
        Cluster::Eks(fields) => {
            check_eks(check, fields);
            return fields.version.as_ref().map_or(DEFAULT, |text| minor(check, text));
        }
        Cluster::Gke(fields) => {
            check_gke(check, fields);
            return fields.version.as_ref().map_or(DEFAULT, |text| minor(check, text));
        }
        Cluster::Kind(fields) => {
            super::kind::check(check, fields);
            &mut fields.version
        }
        Cluster::Kwok(fields) => &mut fields.version,
        Cluster::Existing(fields) => {
            if fields.context.is_empty() {
                let path = [Step::Key("cluster"), Step::Key("existing"), Step::Key("context")];
                check.error(&path, "the context is empty", "`kubectl config get-contexts` lists them");
            }
            return fields.version.as_ref().map_or(DEFAULT, |text| minor(check, text));
        }
    };
    let minor = version.as_ref().map_or(DEFAULT, |text| minor(check, text));
    *version = Some(format!("{}.{}", minor.0, minor.1));
    minor
}

fn minor(check: &mut Check<'_>, text: &str) -> (u32, u32) {
    let parsed = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let provider = check.provider.to_string();
    let path = [Step::Key("cluster"), Step::Key(&provider), Step::Key("version")];
    let range = format!("{}.{} to {}.{}", OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1);
    match parsed {
        Some(minor) if (OLDEST..=NEWEST).contains(&minor) => minor,
        Some(_) => {
            let message = format!("Kubernetes {} is not supported", shorten(text));
            check.error(&path, message, format!("use {range}: `version: \"{}.{}\"`", DEFAULT.0, DEFAULT.1));
            DEFAULT
        }
        None => {
            let message = format!("`{}` is no Kubernetes minor", shorten(text));
            check.error(&path, message, format!("write {range}: `version: \"{}.{}\"`", DEFAULT.0, DEFAULT.1));
            DEFAULT
        }
    }
}

fn check_eks(check: &mut Check<'_>, fields: &EksCluster) {
    let eks = [Step::Key("cluster"), Step::Key("eks")];
    if let Some(account) = &fields.account
        && !(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
    {
        check.error(
            &[eks[0], eks[1], Step::Key("account")],
            format!("`{}` is no AWS account", shorten(account)),
            "an account is 12 digits: `aws sts get-caller-identity` shows yours",
        );
    }
    if let Some((why, help)) = why_no_aws_region(&fields.region) {
        let message = format!("`{}` {why}", shorten(&fields.region));
        check.error(&[eks[0], eks[1], Step::Key("region")], message, help);
    }
    let public = [eks[0], eks[1], Step::Key("endpoint"), Step::Key("public")];
    check_cidrs(check, &public, &fields.endpoint.public);
    check_public(check, &public, &fields.endpoint.public);
    if fields.endpoint.public.is_empty() && !fields.endpoint.private {
        check.error(&public, "nobody can reach this API server", "add a CIDR here, or set `private: true`");
    }
    if let Some(cidr) = &fields.network.cidr {
        let path = [eks[0], eks[1], Step::Key("network"), Step::Key("cidr")];
        match parse_cidr(cidr) {
            Some((address, bits)) if (16..=20).contains(&bits) && address.is_ipv4() => {
                check_block(check, &path, cidr);
            }
            Some((address, _)) if address.is_ipv6() => {
                check.error(&path, format!("`{}` is of IPv6", shorten(cidr)), "write `10.0.0.0/16`");
            }
            Some((_, bits)) => check.error(
                &path,
                format!("a network of /{bits} does not fit"),
                "use /16 to /20: smaller ones run out of addresses, larger ones AWS refuses",
            ),
            None => check.error(&path, format!("`{}` is no CIDR", shorten(cidr)), "write `10.0.0.0/16`"),
        }
        if !fields.network.subnets.is_empty() {
            check.error(
                &path,
                "`cidr` and `subnets` exclude each other",
                "keep `cidr` for a network that berth makes, `subnets` for one that is there",
            );
        }
    }
    for (index, subnet) in fields.network.subnets.iter().enumerate() {
        if !subnet.starts_with("subnet-") {
            check.error(
                &[eks[0], eks[1], Step::Key("network"), Step::Key("subnets"), Step::Item(index)],
                format!("`{}` is no subnet id", shorten(subnet)),
                "write ids such as `subnet-0a1b2c3d4e5f60718`",
            );
        }
    }
    if fields.auto_mode && fields.network.nat == Nat::None && fields.network.subnets.is_empty() {
        check.error(
            &[eks[0], eks[1], Step::Key("network"), Step::Key("nat")],
            "EKS Auto Mode makes nodes in private subnets, and without a gateway they reach no registry",
            "write `nat: single`, or name `subnets` of your own that have another way out",
        );
    }
    if fields.auto_mode && check.tree.get("nodeGroups").is_some_and(|groups| !groups.items().is_empty()) {
        let place = check.key_place(&[], "nodeGroups");
        check.error_at(
            place,
            "EKS Auto Mode makes the nodes of this cluster",
            "take `nodeGroups` out, or `autoMode`",
        );
    }
    if let Some(key) = &fields.secrets_key {
        let path = [eks[0], eks[1], Step::Key("secretsKey")];
        if key.starts_with("arn:aws") && key.contains(":kms:") {
            check_arn_region(check, &path, key, &fields.region);
        } else {
            let message = format!("`{}` is no ARN of a KMS key", shorten(key));
            check.error(&path, message, "write `arn:aws:kms:REGION:ACCOUNT:key/ID`");
        }
    }
}

/// A key or a secret has to be of the `region` of what it is for. A key may be of another account.
/// Sources: <https://docs.aws.amazon.com/eks/latest/APIReference/API_Provider.html>,
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html>.
pub(super) fn check_arn_region(check: &mut Check<'_>, path: &[Step<'_>], arn: &str, region: &str) {
    let Some(of) = arn.split(':').nth(3).filter(|of| *of != region) else { return };
    // A region that is none is told where it stands.
    if why_no_aws_region(region).is_none() {
        let message = format!("`{}` is of {}, and has to be of {region}", shorten(arn), shorten(of));
        check.error(path, message, format!("write the ARN of one in {region}"));
    }
}

/// What regions begin with whose accounts, ARNs and host names are of a part of AWS that berth does not know.
/// Source: botocore, `partitions.json` (1.43): `aws-eusc`, `aws-iso`, `aws-iso-b`, `aws-iso-e`, `aws-iso-f`.
const UNKNOWN_PARTITIONS: [&str; 3] = ["eusc-", "us-iso", "eu-iso"];

/// Why berth cannot work in `region` of AWS (`is no AWS region`), and what to write instead.
pub fn why_no_aws_region(region: &str) -> Option<(&'static str, &'static str)> {
    if !looks_like_aws_region(region) {
        return Some(("is no AWS region", "write a region such as `eu-central-1`"));
    }
    UNKNOWN_PARTITIONS.iter().any(|start| region.starts_with(start)).then_some((
        "lies in a partition of AWS that berth does not know",
        "write a region of the partitions `aws`, `aws-cn` or `aws-us-gov`, such as `eu-central-1`",
    ))
}

/// Whether `region` looks like a region of AWS: `eu-central-1`.
fn looks_like_aws_region(region: &str) -> bool {
    let parts: Vec<&str> = region.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            (2..=3).contains(&words.len())
                && words.iter().all(letters)
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    }
}

fn is_gcp_region(region: &str) -> bool {
    region.split_once('-').is_some_and(|(continent, rest)| {
        !continent.is_empty()
            && continent.bytes().all(|byte| byte.is_ascii_lowercase())
            && rest.ends_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// Whether `region` looks like a region of the provider.
pub(super) fn is_region(provider: ProviderKind, region: &str) -> bool {
    if provider == ProviderKind::Gke { is_gcp_region(region) } else { looks_like_aws_region(region) }
}

/// The region of a Google location: the location itself, or what its zone lies in.
pub(super) fn gke_region(location: &str) -> &str {
    match location.rsplit_once('-') {
        Some((region, zone)) if zone.len() == 1 && zone.bytes().all(|b| b.is_ascii_lowercase()) => region,
        _ => location,
    }
}

fn check_gke(check: &mut Check<'_>, fields: &GkeCluster) {
    let gke = [Step::Key("cluster"), Step::Key("gke")];
    let project = &fields.project;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | ':' | '.');
    if project.is_empty() || project.len() > 63 || !project.chars().all(allowed) {
        check.error(
            &[gke[0], gke[1], Step::Key("project")],
            format!("`{}` is no project id", shorten(project)),
            "write the id, not the name or number: `gcloud projects list` shows them",
        );
    }
    if !is_gcp_region(gke_region(&fields.location)) {
        check.error(
            &[gke[0], gke[1], Step::Key("location")],
            format!("`{}` is no Google Cloud location", shorten(&fields.location)),
            "write a region such as `europe-west4`, or a zone such as `europe-west4-a`",
        );
    }
    let networks = [gke[0], gke[1], Step::Key("authorizedNetworks")];
    check_cidrs(check, &networks, &fields.authorized_networks);
    if fields.endpoint == GkeEndpoint::Dns && !fields.authorized_networks.is_empty() {
        check.error(
            &networks,
            "`authorizedNetworks` guard the `ip` endpoint, this cluster has the `dns` one",
            "take them out, or write `endpoint: ip`",
        );
    }
}

fn check_cidrs(check: &mut Check<'_>, list: &[Step<'_>], cidrs: &[String]) {
    for (index, cidr) in cidrs.iter().enumerate() {
        if parse_cidr(cidr).is_none() {
            let path: Vec<Step<'_>> = list.iter().copied().chain([Step::Item(index)]).collect();
            let help = if cidr.parse::<std::net::Ipv4Addr>().is_ok() {
                format!("write `{cidr}/32` for this address alone")
            } else {
                "write an address and the length of its prefix: `203.0.113.0/24`".to_string()
            };
            check.error(&path, format!("`{}` is no CIDR", shorten(cidr)), help);
        }
    }
}

/// What docker takes on every node of EKS.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const DOCKER: &str = "172.17.0.0/16";

/// A block of addresses that is to be a network on AWS.
fn check_block(check: &mut Check<'_>, path: &[Step<'_>], cidr: &str) {
    match (cidr.parse::<AddressRange>(), DOCKER.parse::<AddressRange>()) {
        (Err(error), _) => check.error(path, error.to_string(), error.hint()),
        (Ok(block), Ok(docker)) if block.overlaps(&docker) => check.error(
            path,
            format!("{block} overlaps {DOCKER}, which nodes use inside"),
            "use other private addresses: `10.0.0.0/16`",
        ),
        (Ok(block), _) if !is_private(cidr) => {
            let place = check.tree.place_of(path);
            check.warn_at(
                place,
                format!("{block} are addresses of the internet: what has them there cannot be reached from the cluster"),
                "use private addresses: `10.0.0.0/16`",
            );
        }
        _ => {}
    }
}

/// Blocks from which nothing comes over the internet.
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry/>.
const NOT_PUBLIC: [([u8; 4], u8); 9] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// How many of [`NOT_PUBLIC`], without those of loopback, of links and of all, a network may be made of: those that
/// nobody has on the internet.
const FOR_NETWORKS: [[u8; 4]; 4] = [[10, 0, 0, 0], [100, 64, 0, 0], [172, 16, 0, 0], [192, 168, 0, 0]];

/// The block of [`NOT_PUBLIC`] that `cidr` lies in.
fn not_public(cidr: &str) -> Option<([u8; 4], u8)> {
    let Some((std::net::IpAddr::V4(address), bits)) = parse_cidr(cidr) else { return None };
    let within = |(block, length): &([u8; 4], u8)| {
        let shift = 32 - u32::from(*length);
        bits >= *length && (u32::from(address) >> shift) == (u32::from_be_bytes(*block) >> shift)
    };
    NOT_PUBLIC.into_iter().find(within)
}

/// Whether a network of `cidr` hides nothing of the internet.
fn is_private(cidr: &str) -> bool {
    not_public(cidr).is_some_and(|(block, _)| FOR_NETWORKS.contains(&block))
}

/// How many blocks of addresses EKS lets in to one cluster.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html>.
const MOST_PUBLIC: usize = 40;

/// Addresses that may connect to a public endpoint. EKS refuses those that never come over the internet.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/config-cluster-endpoint.html>.
fn check_public(check: &mut Check<'_>, list: &[Step<'_>], cidrs: &[String]) {
    if cidrs.len() > MOST_PUBLIC {
        let path: Vec<Step<'_>> = list.iter().copied().chain([Step::Item(MOST_PUBLIC)]).collect();
        check.error(
            &path,
            format!("EKS takes {MOST_PUBLIC} of these at most"),
            "join neighbours to larger blocks",
        );
    }
    for (index, cidr) in cidrs.iter().enumerate() {
        let path: Vec<Step<'_>> = list.iter().copied().chain([Step::Item(index)]).collect();
        match &cidr.parse::<AddressRange>() {
            Err(error @ RangeError::Crooked { first, .. }) => {
                check.error(&path, error.to_string(), format!("write `{first}`"));
            }
            Ok(range) if !range.is_ipv4() => check.error(
                &path,
                "EKS lets nobody in by IPv6 where the cluster has addresses of IPv4",
                "write addresses of IPv4",
            ),
            _ => {}
        }
        let Some((block, bits)) = not_public(cidr) else { continue };
        check.error(
            &path,
            format!(
                "EKS refuses `{}`: nobody comes over the internet from {}/{bits}",
                shorten(cidr),
                std::net::Ipv4Addr::from(block)
            ),
            "write addresses as the internet sees them (`curl https://checkip.amazonaws.com`), or `public: []`",
        );
    }
}

fn parse_cidr(text: &str) -> Option<(std::net::IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_stable_and_follows_the_path() {
        let id = id_from_path(Path::new("/home/ada/profiles/lab.yaml"));
        assert_eq!(id.len(), 8);
        assert_eq!(id, id_from_path(Path::new("/home/ada/profiles/lab.yaml")));
        assert_ne!(id, id_from_path(Path::new("/home/bob/profiles/lab.yaml")));
    }

    #[test]
    fn only_addresses_that_never_come_over_the_internet_are_told_from_others() {
        for public in ["0.0.0.0/0", "203.0.113.0/24", "172.32.0.0/16", "8.8.0.0/16", "192.0.0.0/8"] {
            assert_eq!(not_public(public), None, "{public}");
        }
        for private in ["127.0.0.1/32", "10.0.0.0/8", "172.31.4.0/24", "100.127.0.0/16", "192.168.1.1/32"] {
            assert!(not_public(private).is_some(), "{private}");
        }
        assert!(is_private("100.64.0.0/16") && !is_private("8.8.0.0/16") && !is_private("169.254.0.0/16"));
    }

    #[test]
    fn regions_look_like_regions() {
        for region in ["eu-central-1", "us-gov-west-1", "cn-north-1", "us-west-2", "eu-west-3", "us-east-1"] {
            assert_eq!(why_no_aws_region(region), None, "{region}");
        }
        let why = |region: &str| why_no_aws_region(region).expect("none of ours").0;
        for region in ["eu-central-1a", "frankfurt", ""] {
            assert_eq!(why(region), "is no AWS region", "{region}");
        }
        for region in
            ["eusc-de-east-1", "us-iso-east-1", "us-isob-west-1", "us-isof-south-1", "eu-isoe-west-1"]
        {
            assert!(why(region).ends_with("that berth does not know"), "{region}");
        }
        assert_eq!(gke_region("europe-west4-a"), "europe-west4");
        assert_eq!(gke_region("europe-west4"), "europe-west4");
    }
}

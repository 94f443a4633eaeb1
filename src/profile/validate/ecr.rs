//! What Amazon ECR takes.

use super::Check;
use super::cluster::{check_arn_region, why_no_aws_region};
use crate::base::ProviderKind;
use crate::profile::nearest::nearest;
use crate::profile::schema::{Cluster, EcrCache, EcrRegistry, EcrRepository, EnvironmentFile};
use crate::profile::tree::{Step, shorten};

/// Registries that ECR pulls through without a login.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html>
const OPEN: [&str; 3] = ["public.ecr.aws", "quay.io", "registry.k8s.io"];
/// Those that it logs in to; those of Azure besides.
const CLOSED: [&str; 4] = ["cgr.dev", "docker.io", "ghcr.io", "registry.gitlab.com"];
/// What Azure's registries end with.
const AZURE: &str = ".azurecr.io";
/// The longest prefix of a cache (API reference, `CreatePullThroughCacheRule`).
const LONGEST_PREFIX: usize = 30;

pub(super) fn check(check: &mut Check<'_>, file: &EnvironmentFile, fields: &EcrRegistry) {
    let ecr = [Step::Key("registry"), Step::Key("ecr")];
    let path = [ecr[0], ecr[1], Step::Key("region")];
    match &fields.region {
        Some(region) => {
            if let Some((why, help)) = why_no_aws_region(region) {
                check.error(&path, format!("`{}` {why}", shorten(region)), help);
            }
        }
        None if check.provider == ProviderKind::Existing => {
            let place = check.key_place(&[ecr[0]], "ecr");
            let help = "add it: `ecr: {region: eu-central-1, …}`";
            check.error_at(place, "`ecr` does not say in which region its repositories are", help);
        }
        _ => {}
    }
    for (index, repository) in fields.repositories.iter().enumerate() {
        let path = [ecr[0], ecr[1], Step::Key("repositories"), Step::Item(index)];
        check_repository(check, file, repository, &path);
    }
    check_caches(check, fields);
    let of_cluster = match &file.cluster {
        Cluster::Eks(cluster) => Some(&cluster.region),
        _ => None,
    };
    if let Some(region) = fields.region.as_ref().or(of_cluster) {
        check_regions(check, fields, region);
    }
}

/// That keys and secrets are of the region of the repositories.
fn check_regions(check: &mut Check<'_>, fields: &EcrRegistry, region: &str) {
    let at = |list, index, key| {
        [Step::Key("registry"), Step::Key("ecr"), Step::Key(list), Step::Item(index), Step::Key(key)]
    };
    for (index, repository) in fields.repositories.iter().enumerate() {
        if let Some(key) = repository.kms_key.as_deref().filter(|key| is_arn(key, "kms", "key/")) {
            check_arn_region(check, &at("repositories", index, "kmsKey"), key, region);
        }
    }
    for (index, cache) in fields.pull_through.iter().enumerate() {
        if let Some(secret) = cache.secret.as_deref().filter(|secret| is_secret(secret)) {
            check_arn_region(check, &at("pullThrough", index, "secret"), secret, region);
        }
    }
}

fn check_repository(
    check: &mut Check<'_>,
    file: &EnvironmentFile,
    repository: &EcrRepository,
    path: &[Step<'_>],
) {
    let at = |key: &'static str| path.iter().copied().chain([Step::Key(key)]).collect::<Vec<_>>();
    let item = |key: &'static str, index: usize| {
        path.iter().copied().chain([Step::Key(key), Step::Item(index)]).collect::<Vec<_>>()
    };
    if has_doubled_mark(&repository.name) {
        let message = format!(
            "`{}` has two of `- _ .` beside each other, which ECR refuses",
            shorten(&repository.name)
        );
        check.error(&at("name"), message, "leave one of them: `checkout/my-api`");
    }
    let patterns = &repository.immutable_except;
    if !patterns.is_empty() && !repository.immutable {
        let help = "add `immutable: true`, or take `immutableExcept` out";
        check.error(&at("immutableExcept"), "every tag of this repository can be moved", help);
    }
    if patterns.len() > 5 {
        let message = format!("there are {} patterns, and ECR takes 5", patterns.len());
        check.error(&at("immutableExcept"), message, "join some of them with `*`");
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if !is_tag_pattern(pattern) {
            let help = "use letters, digits and `. _ -`, at most 128, and at most two `*`: `dev-*`";
            check.error(
                &item("immutableExcept", index),
                format!("`{}` is no pattern of tags", shorten(pattern)),
                help,
            );
        }
    }
    if let Some(key) = repository.kms_key.as_deref().filter(|key| !is_arn(key, "kms", "key/")) {
        let message = format!("`{}` is no ARN of a KMS key", shorten(key));
        let help = "write `arn:aws:kms:REGION:ACCOUNT:key/ID`: `aws kms describe-key --key-id KEY` shows it";
        check.error(&at("kmsKey"), message, help);
    }
    for (field, principals) in [("pull", &repository.pull), ("push", &repository.push)] {
        for (index, principal) in principals.iter().enumerate().filter(|(_, one)| !is_principal(one)) {
            check.error(
                &item(field, index),
                format!("`{}` is no AWS account, and no ARN of an IAM role or user", shorten(principal)),
                "write the 12 digits of an account, or `arn:aws:iam::ACCOUNT:role/NAME`",
            );
        }
    }
    let can_know = matches!(file.cluster, Cluster::Eks(_));
    for (index, tenant) in repository.tenants.iter().enumerate() {
        let path = item("tenants", index);
        if !can_know {
            let message = format!("who the tenant `{}` is in AWS is known on eks alone", shorten(tenant));
            check.error(&path, message, "name the ARNs of its roles in `push` and `pull`");
        } else if !file.tenants.iter().any(|known| known.name == *tenant) && check.is_complete("tenants") {
            let near = nearest(tenant, file.tenants.iter().map(|known| known.name.as_str()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to `tenants`, or name roles in `push` and `pull`".to_string(),
            };
            check.error(&path, format!("there is no tenant `{}`", shorten(tenant)), help);
        }
    }
}

fn check_caches(check: &mut Check<'_>, fields: &EcrRegistry) {
    let mut seen = std::collections::HashMap::new();
    for (index, cache) in fields.pull_through.iter().enumerate() {
        let path = [Step::Key("registry"), Step::Key("ecr"), Step::Key("pullThrough"), Step::Item(index)];
        let at = |key: &'static str| path.iter().copied().chain([Step::Key(key)]).collect::<Vec<_>>();
        if let Some((message, help)) = upstream_problem(cache) {
            check.error(&at("from"), message, help);
            continue;
        }
        let prefix = cache.prefix();
        if !is_prefix(prefix) {
            check.error(
                &at("prefix"),
                format!("`{}` cannot begin the names of repositories", shorten(prefix)),
                format!(
                    "use lower-case letters, digits and `- _ . /`, 2 to {LONGEST_PREFIX}, a letter or digit first"
                ),
            );
        }
        if let Some(secret) = cache.secret.as_deref().filter(|secret| !is_secret(secret)) {
            check.error(
                &at("secret"),
                format!("`{}` is no ARN of a secret that ECR reads", shorten(secret)),
                "write `arn:aws:secretsmanager:REGION:ACCOUNT:secret:ecr-pullthroughcache/NAME-SUFFIX`",
            );
        }
        if let Some(first) = seen.insert(prefix, index) {
            let list = [path[0], path[1], path[2], Step::Item(first)];
            let (other, place) = (check.tree.place_of(&list), check.tree.place_of(&path));
            let help =
                format!("the first one is {}: choose another `prefix`", check.files.refer(other, place));
            let message = format!("there are two caches whose repositories begin with `{}`", shorten(prefix));
            check.error_at(place, message, help);
        }
    }
}

/// What is wrong with a registry that is to be pulled through, and what to write.
fn upstream_problem(cache: &EcrCache) -> Option<(String, String)> {
    let from = cache.from.as_str();
    let is_azure = from.strip_suffix(AZURE).is_some_and(|name| {
        (5..=50).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    let is_closed = CLOSED.contains(&from) || is_azure;
    match &cache.secret {
        _ if !is_closed && !OPEN.contains(&from) => {
            let known = || OPEN.into_iter().chain(CLOSED);
            let help = match nearest(from, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use {}, or NAME{AZURE}", known().collect::<Vec<_>>().join(", ")),
            };
            Some((format!("ECR cannot pull through `{}`", shorten(from)), help))
        }
        None if is_closed => {
            let help = "add `secret:` with the ARN of a secret in Secrets Manager, whose name begins with \
                        `ecr-pullthroughcache/`";
            Some((format!("ECR pulls through `{}` with a login alone", shorten(from)), help.to_string()))
        }
        Some(_) if !is_closed => {
            Some((format!("`{}` takes no login", shorten(from)), "take `secret` out".to_string()))
        }
        _ => None,
    }
}

/// Whether two of the marks between letters stand beside each other (API reference, `CreateRepository`).
fn has_doubled_mark(name: &str) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
    name.as_bytes().windows(2).any(|pair| is_mark(pair[0]) && is_mark(pair[1]))
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html>
fn is_tag_pattern(pattern: &str) -> bool {
    (1..=128).contains(&pattern.len())
        && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte))
        && pattern.bytes().filter(|byte| *byte == b'*').count() <= 2
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(is_plain)
            && part.bytes().last().is_some_and(is_plain)
            && part.bytes().all(|byte| is_plain(byte) || b"-_.".contains(&byte))
    };
    (2..=LONGEST_PREFIX).contains(&prefix.len())
        && prefix.split('/').all(is_part)
        && !has_doubled_mark(prefix)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` is an ARN of `service` with an account, whose resource begins with `resource`.
fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, of, _, account, name]
        if partition.starts_with("aws")
            && *of == service
            && is_account(account)
            && name.strip_prefix(resource).is_some_and(|id| !id.is_empty()))
}

fn is_principal(text: &str) -> bool {
    is_account(text) || is_arn(text, "iam", "role/") || is_arn(text, "iam", "user/")
}

fn is_secret(text: &str) -> bool {
    is_arn(text, "secretsmanager", "secret:ecr-pullthroughcache/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_against_the_patterns_of_ecr() {
        assert!(
            has_doubled_mark("shop/my--api") && has_doubled_mark("a._b") && !has_doubled_mark("a-b_c/d.e")
        );
        assert!(is_tag_pattern("latest") && is_tag_pattern("*-dev-*"));
        assert!(!is_tag_pattern("") && !is_tag_pattern("a*b*c*") && !is_tag_pattern("a/b"));
        assert!(is_prefix("docker-hub") && is_prefix("team/quay") && !is_prefix("q") && !is_prefix("Quay"));
        assert!(!is_prefix("quay/") && !is_prefix(&"q".repeat(31)));
    }

    #[test]
    fn accounts_roles_and_users_are_principals() {
        let arn = |rest: &str| format!("arn:aws:iam::123456789012:{rest}");
        assert!(is_principal("123456789012") && is_principal(&arn("role/teams/dev")));
        assert!(!is_principal("12345") && !is_principal(&arn("group/dev")) && !is_principal("*"));
        assert!(!is_principal("arn:aws:sts::123456789012:assumed-role/dev/ann"));
    }

    #[test]
    fn registries_that_want_a_login_are_pulled_through_with_a_secret_alone() {
        let cache = |from: &str, secret: Option<&str>| EcrCache {
            from: from.to_string(),
            prefix: None,
            secret: secret.map(str::to_string),
        };
        assert_eq!(upstream_problem(&cache("quay.io", None)), None);
        assert_eq!(upstream_problem(&cache("docker.io", Some("arn"))), None);
        assert_eq!(upstream_problem(&cache("company.azurecr.io", Some("arn"))), None);
        for (from, secret) in [("docker.io", None), ("quay.io", Some("arn")), ("example.org", None)] {
            assert!(upstream_problem(&cache(from, secret)).is_some(), "{from}");
        }
    }
}

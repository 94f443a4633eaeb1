//! Least rights, both ways round: what the real program of an addon asked the API server for is
//! compared with what our roles allow it.
//!
//! A request that was refused fails the proof, and so does a rule that nobody used, unless
//! `addons/NAME/rights.yaml` says why it stands. The outcome is a section of
//! docs/reference/addon-rights.md; `UPDATE_EXPECTED=1` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Proof;

/// What docs/reference/addon-rights.md begins with.
const HEAD: &str = "<!-- Made by the proofs of the addons: UPDATE_EXPECTED=1 cargo test --test it proof_ -->\n\
# Rights of the addons

What each addon may do in the Kubernetes API, and what the real program did in its proof (tests/it/proof_*.rs): the same
binary with the arguments of our manifests and the token of our ServiceAccount against a real API server. A rule that the
proof saw nobody use stands only with a reason, from `addons/NAME/rights.yaml`; a request that is refused fails the proof.
Roles that Kubernetes brings itself are listed when an addon is bound to them. Where nothing is under *Used*, there is no
proof: the program cannot be built here from Go modules, and every rule stands with what was read of it.
";

/// One verb on one resource that a role allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// `ClusterRole traefik`, `Role kube-system/x`.
    pub role: String,
    /// `pods`, `ingresses.networking.k8s.io/status`, `secrets[memberlist]`, `GET /metrics`.
    resource: String,
    verb: String,
}

/// A reason in `addons/NAME/rights.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    role: String,
    resource: String,
    verbs: Vec<String>,
    because: String,
    /// Whether the proof may see it used as well, since it depends on chance.
    #[serde(default)]
    sometimes: bool,
    /// The options of proofs that it is for; all when there are none.
    #[serde(default)]
    options: Vec<String>,
}

/// One request of an addon, as the API server's audit log has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    verb: String,
    /// As in [`Grant`], without a name.
    resource: String,
    name: String,
    /// The role that allowed it, without a namespace: `Role x`; empty when it was refused.
    role: String,
    allowed: bool,
}

/// What is told of one resource of one role: verbs that were used, and verbs with reasons.
#[derive(Debug, Default)]
struct Row<'a> {
    used: Vec<&'a str>,
    explained: Vec<(&'a str, &'a str)>,
}

/// What an addon may do and what it did, in one proof.
pub struct Rights {
    addon: String,
    options: String,
    grants: Vec<Grant>,
    asked: BTreeSet<Asked>,
}

impl Rights {
    /// Reads the roles that berth has applied for `addon`, and what its service accounts
    /// have asked for so far. Call it while both are there, before `berth down`.
    ///
    /// `options` names the options it runs with: `default`, `gateway`.
    pub fn of(proof: &Proof, addon: &str, options: &str) -> Self {
        let bindings = objects_of(proof, addon, "clusterrolebindings,rolebindings");
        let mut roles: BTreeMap<(String, String), Value> = BTreeMap::new();
        let mut users = BTreeSet::new();
        for binding in &bindings {
            for subject in binding["subjects"].as_array().into_iter().flatten() {
                users.insert(format!(
                    "system:serviceaccount:{}:{}",
                    text(&subject["namespace"]),
                    text(&subject["name"])
                ));
            }
            let (kind, name) = (text(&binding["roleRef"]["kind"]), text(&binding["roleRef"]["name"]));
            let namespace = if kind == "Role" { text(&binding["metadata"]["namespace"]) } else { "" };
            let live = proof.kubectl(&["get", kind, name, "-n", namespace, "-o", "json"]).expect(0);
            let role = serde_json::from_str(&live.stdout).expect("kubectl writes JSON");
            roles.insert((kind.to_string(), format!("{namespace}/{name}")), role);
        }
        // A role that nobody is bound to is for others: they hold it through `view` and the like.
        for role in objects_of(proof, addon, "clusterroles,roles") {
            let namespace = text(&role["metadata"]["namespace"]);
            let key =
                (text(&role["kind"]).to_string(), format!("{namespace}/{}", text(&role["metadata"]["name"])));
            roles.entry(key).or_insert(role);
        }
        let mut grants: Vec<Grant> = roles.values().flat_map(Grant::all_of).collect();
        grants.dedup();
        // What `view` and the like take over from a role of ours is used by whoever has them.
        let mut taken_over = BTreeSet::new();
        for ((_, name), role) in &roles {
            for label in role["metadata"]["labels"].as_object().into_iter().flat_map(|labels| labels.keys()) {
                if let Some(into) = label.strip_prefix("rbac.authorization.k8s.io/aggregate-to-") {
                    taken_over.insert((format!("ClusterRole {into}"), format!("ClusterRole {}", &name[1..])));
                }
            }
        }
        let mut asked: BTreeSet<Asked> = BTreeSet::new();
        for event in proof.audit_log() {
            let Some(read) = Asked::read(&event) else { continue };
            if users.contains(text(&event["user"]["username"])) {
                asked.insert(read);
                continue;
            }
            let ours = taken_over.iter().filter(|(into, _)| *into == read.role);
            let ours = ours.map(|(_, role)| Asked { role: role.clone(), ..read.clone() });
            asked.extend(ours.filter(|asked| grants.iter().any(|grant| asked.uses(grant))));
        }
        Self { addon: addon.to_string(), options: options.to_string(), grants, asked }
    }

    /// Requests that were refused, as sentences.
    fn refused(&self) -> Vec<String> {
        let refused = self.asked.iter().filter(|asked| !asked.allowed);
        refused.map(|asked| format!("refused: {} {} `{}`", asked.verb, asked.resource, asked.name)).collect()
    }

    /// Those of an addon whose program cannot be run here: each of them needs a reason.
    pub fn unproven(addon: &str, roles: &[Value]) -> Self {
        let grants = roles.iter().flat_map(Grant::all_of).collect();
        Self { addon: addon.to_string(), options: "default".to_string(), grants, asked: BTreeSet::new() }
    }

    fn is_used(&self, grant: &Grant) -> bool {
        self.asked.iter().any(|asked| asked.uses(grant))
    }

    /// Compares what was used with what is allowed, and the table with both.
    ///
    /// # Panics
    /// With everything that is wrong.
    pub fn check(&self) {
        let mut wrong = self.refused();
        let reasons = self.reasons();
        let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
        for grant in &self.grants {
            let used = self.is_used(grant);
            let reason = reasons.iter().find(|reason| reason.is_about(grant));
            let row = rows.entry((&grant.role, &grant.resource)).or_default();
            match (used, reason) {
                (true, Some(reason)) if !reason.sometimes => {
                    wrong.push(format!("explained, but the proof used it: {grant:?}"));
                }
                (false, None) => {
                    wrong.push(format!("nobody used it, so remove it or say why it stands: {grant:?}"));
                }
                (_, Some(reason)) => row.explained.push((&grant.verb, &reason.because)),
                (true, None) => row.used.push(&grant.verb),
            }
        }
        for reason in &reasons {
            for verb in &reason.verbs {
                let grant = Grant {
                    role: reason.role.clone(),
                    resource: reason.resource.clone(),
                    verb: verb.clone(),
                };
                if !self.grants.contains(&grant) {
                    wrong.push(format!("explained, but not granted: {grant:?}"));
                }
            }
        }
        let title = if self.options == "default" {
            self.addon.clone()
        } else {
            format!("{}: {}", self.addon, self.options)
        };
        assert!(
            wrong.is_empty(),
            "the rights of {title} (reasons: {})\n{}\nit asked for:\n{:#?}",
            reasons_file(&self.addon).display(),
            wrong.join("\n"),
            self.asked
        );
        let mut section = "| Role | Resource | Used | Needed anyway |\n|---|---|---|---|\n".to_string();
        for ((role, resource), row) in rows {
            let (used, explained) = (row.used.join(", "), told(&row.explained));
            section.push_str(&format!("| {role} | {resource} | {used} | {explained} |\n"));
        }
        compare_section(&title, &section);
    }

    /// What the page says is granted, in its section of this title.
    pub fn told_in(title: &str) -> BTreeSet<Grant> {
        let page = fs::read_to_string(page()).expect("the page is there");
        let section = sections(&page).remove(title).unwrap_or_default();
        let mut grants = BTreeSet::new();
        for line in section.lines().skip(2) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let &[role, resource, used, explained] = cells.as_slice() else { panic!("{title}: `{line}`") };
            let explained = explained.split("; ").filter_map(|part| part.split_once(": "));
            let verbs = explained.map(|(verbs, _)| verbs).chain([used]).flat_map(|verbs| verbs.split(", "));
            for verb in verbs.filter(|verb| !verb.is_empty()) {
                let (role, resource) = (role.to_string(), resource.to_string());
                grants.insert(Grant { role, resource, verb: verb.to_string() });
            }
        }
        grants
    }

    fn reasons(&self) -> Vec<Reason> {
        let Ok(text) = fs::read_to_string(reasons_file(&self.addon)) else { return Vec::new() };
        let reasons: Vec<Reason> = serde_saphyr::from_str(&text).expect("rights.yaml is a list of reasons");
        let is_for = |reason: &Reason| reason.options.is_empty() || reason.options.contains(&self.options);
        reasons.into_iter().filter(is_for).collect()
    }
}

impl Grant {
    /// Every grant of a role, in the order of its rules.
    pub fn all_of(role: &Value) -> Vec<Self> {
        let namespace = role["metadata"]["namespace"].as_str().map(|namespace| format!("{namespace}/"));
        let title = format!(
            "{} {}{}",
            text(&role["kind"]),
            namespace.unwrap_or_default(),
            text(&role["metadata"]["name"])
        );
        let mut grants = Vec::new();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let names = texts(&rule["resourceNames"]).join(", ");
            let names = if names.is_empty() { names } else { format!("[{names}]") };
            for verb in texts(&rule["verbs"]) {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
                        let resource = format!("{}{names}", resource_name(group, resource, sub));
                        grants.push(Self { role: title.clone(), resource, verb: verb.to_string() });
                    }
                }
                for path in texts(&rule["nonResourceURLs"]) {
                    let resource = format!("{} {path}", verb.to_uppercase());
                    grants.push(Self { role: title.clone(), resource, verb: verb.to_string() });
                }
            }
        }
        grants
    }

    /// Whether it is of a role that Kubernetes brings itself.
    pub fn is_of_kubernetes(&self) -> bool {
        ["ClusterRole system:auth-delegator", "Role kube-system/extension-apiserver-authentication-reader"]
            .contains(&self.role.as_str())
    }
}

impl Reason {
    fn is_about(&self, grant: &Grant) -> bool {
        self.role == grant.role && self.resource == grant.resource && self.verbs.contains(&grant.verb)
    }
}

impl Asked {
    /// None for what every program that has logged in may read: which APIs there are.
    fn read(event: &Value) -> Option<Self> {
        let object = &event["objectRef"];
        let decision = text(&event["annotations"]["authorization.k8s.io/decision"]);
        let reason = text(&event["annotations"]["authorization.k8s.io/reason"]);
        let allowed = decision == "allow" && event["responseStatus"]["code"] != 403;
        let resource = if object["resource"].is_string() {
            resource_name(text(&object["apiGroup"]), text(&object["resource"]), text(&object["subresource"]))
        } else {
            let path = text(&event["requestURI"]).split('?').next().unwrap_or_default();
            format!("{} {path}", text(&event["verb"]).to_uppercase())
        };
        // `RBAC: allowed by RoleBinding "x/ns" of Role "x" to ServiceAccount "x/ns"`
        let role = reason.split_once("\" of ").map_or("", |(_, rest)| rest).split(" to ").next();
        let role = role.unwrap_or_default().replace('"', "");
        if allowed && (role == "ClusterRole system:discovery" || role == "ClusterRole system:basic-user") {
            return None;
        }
        let verb = text(&event["verb"]).to_string();
        Some(Self { verb, resource, name: text(&object["name"]).to_string(), role, allowed })
    }

    fn uses(&self, grant: &Grant) -> bool {
        let (kind, name) = grant.role.split_once(' ').expect("a role has a kind");
        let role = format!("{kind} {}", name.rsplit('/').next().unwrap_or(name));
        let (resource, names) = match grant.resource.split_once('[') {
            Some((resource, names)) => (resource, Some(names.trim_end_matches(']'))),
            None => (grant.resource.as_str(), None),
        };
        self.allowed
            && self.role == role
            && self.verb == grant.verb
            && self.resource == resource
            && names.is_none_or(|names| names.split(", ").any(|name| name == self.name))
    }
}

/// The live objects of these kinds that berth has applied for `addon`.
fn objects_of(proof: &Proof, addon: &str, kinds: &str) -> Vec<Value> {
    let selector = format!("berth.dev/set=addon-{addon}");
    let said = proof.kubectl(&["get", kinds, "-A", "-l", &selector, "-o", "json"]).expect(0);
    let list: Value = serde_json::from_str(&said.stdout).expect("kubectl writes JSON");
    list["items"].as_array().cloned().unwrap_or_default()
}

/// `ingresses.networking.k8s.io/status`.
fn resource_name(group: &str, resource: &str, sub: &str) -> String {
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let sub = if sub.is_empty() { String::new() } else { format!("/{sub}") };
    format!("{resource}{group}{sub}")
}

/// `get, list: the reason`, each reason once.
fn told(explained: &[(&str, &str)]) -> String {
    let mut told: Vec<(Vec<&str>, &str)> = Vec::new();
    for (verb, because) in explained {
        match told.iter_mut().find(|(_, known)| known == because) {
            Some((verbs, _)) => verbs.push(verb),
            None => told.push((vec![verb], because)),
        }
    }
    let told: Vec<String> =
        told.iter().map(|(verbs, because)| format!("{}: {because}", verbs.join(", "))).collect();
    told.join("; ")
}

/// Passes when the page's section of this title is `wanted`; writes it when `UPDATE_EXPECTED` is set.
fn compare_section(title: &str, wanted: &str) {
    let path = page();
    // Proofs run side by side.
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("addon-rights.lock")).expect("ours");
    lock.lock().expect("a lock can be waited for");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let mut sections = sections(&page);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        sections.insert(title.to_string(), wanted.to_string());
        let sections: Vec<String> =
            sections.iter().map(|(title, body)| format!("\n## {title}\n\n{body}")).collect();
        fs::write(&path, format!("{HEAD}{}", sections.concat())).expect("the checkout is writable");
        return;
    }
    assert!(
        page.starts_with(HEAD),
        "{} begins with other words: UPDATE_EXPECTED=1 rewrites it",
        path.display()
    );
    assert_eq!(
        sections.get(title).map(String::as_str),
        Some(wanted),
        "{}, section `{title}`: UPDATE_EXPECTED=1 rewrites it",
        path.display()
    );
}

/// The tables of the page, by their titles.
fn sections(page: &str) -> BTreeMap<String, String> {
    let sections = page.split("\n## ").skip(1).filter_map(|section| section.split_once("\n\n"));
    sections.map(|(title, body)| (title.to_string(), format!("{}\n", body.trim_end()))).collect()
}

fn page() -> PathBuf {
    repository().join("docs/reference/addon-rights.md")
}

fn reasons_file(addon: &str) -> PathBuf {
    repository().join("addons").join(addon).join("rights.yaml")
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rights(asked: &[Asked]) -> Rights {
        let role = json!({
            "kind": "Role",
            "metadata": {"name": "keeper", "namespace": "here"},
            "rules": [
                {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["update"]},
                {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
            ],
        });
        Rights {
            addon: "unknown".to_string(),
            options: "default".to_string(),
            grants: Grant::all_of(&role),
            asked: asked.iter().cloned().collect(),
        }
    }

    fn asked(verb: &str, resource: &str, name: &str) -> Asked {
        Asked {
            verb: verb.to_string(),
            resource: resource.to_string(),
            name: name.to_string(),
            role: "Role keeper".to_string(),
            allowed: true,
        }
    }

    #[test]
    fn a_grant_with_a_name_is_used_by_requests_for_that_name() {
        let rights =
            rights(&[asked("update", "secrets", "two"), asked("get", "deployments.apps/scale", "web")]);
        let used: Vec<bool> = rights.grants.iter().map(|grant| rights.is_used(grant)).collect();
        assert_eq!(used, [false, true, false], "{:?}", rights.grants);
        assert!(self::rights(&[asked("update", "secrets", "one")]).is_used(&rights.grants[0]));
    }

    #[test]
    fn what_another_role_allows_is_not_a_use() {
        let other = Asked { role: "ClusterRole keeper".to_string(), ..asked("update", "secrets", "one") };
        let rights = rights(&[other]);
        assert!(!rights.is_used(&rights.grants[0]));
    }

    #[test]
    fn a_request_is_read_from_the_audit_log() {
        let event = json!({
            "verb": "list",
            "requestURI": "/apis/apps/v1/namespaces/here/deployments/web/scale?x=y",
            "objectRef": {"resource": "deployments", "apiGroup": "apps", "subresource": "scale", "name": "web"},
            "responseStatus": {"code": 200},
            "annotations": {
                "authorization.k8s.io/decision": "allow",
                "authorization.k8s.io/reason":
                    "RBAC: allowed by RoleBinding \"keeper/here\" of Role \"keeper\" to ServiceAccount \"a/here\"",
            },
        });
        assert_eq!(Asked::read(&event), Some(asked("list", "deployments.apps/scale", "web")));
        let mut refused = event.clone();
        refused["annotations"]["authorization.k8s.io/decision"] = json!("forbid");
        assert_eq!(Asked::read(&refused).map(|asked| asked.allowed), Some(false));
    }

    #[test]
    #[should_panic(expected = "nobody used it")]
    fn a_rule_that_nobody_used_fails() {
        rights(&[asked("update", "secrets", "one"), asked("get", "deployments.apps/scale", "web")]).check();
    }

    #[test]
    #[should_panic(expected = "refused: delete secrets `one`")]
    fn a_refused_request_fails() {
        rights(&[Asked { allowed: false, ..asked("delete", "secrets", "one") }]).check();
    }
}

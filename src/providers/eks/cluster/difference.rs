use std::collections::BTreeSet;

use super::live::Live;
use super::wanted::{LOGS, Wanted, listed, minor};
use crate::base::{Conflict, FieldChange};

/// One kind of change that EKS makes at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// The owner mark.
    Tags,
    /// Whether AWS refuses to delete it.
    Protection(bool),
    /// Who may log in: by access entries, and where it only knew its `ConfigMap`, by both for a step.
    Authentication(&'static str),
    /// Who may connect.
    Endpoint { public: BTreeSet<String>, private: bool },
    /// Which logs are kept, and which are not.
    Logs { on: BTreeSet<String>, off: BTreeSet<String> },
    /// Whether the version is kept beyond its standard support.
    Support { extended: bool },
    /// Whether EKS makes the nodes.
    AutoMode(bool),
    /// The key of the Secrets. It cannot be taken back.
    SecretsKey(String),
    /// The next Kubernetes.
    Version((u32, u32)),
}

/// How a cluster differs from what is wanted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// The fields that differ and can be changed.
    pub fields: Vec<FieldChange>,
    /// What changes them, in order, one at a time.
    pub updates: Vec<Update>,
    /// What cannot be changed, each with what to do.
    pub refused: Vec<Conflict>,
}

/// How `live` differs from what is `wanted`, in `subnets` where they are known.
pub(super) fn diff(wanted: &Wanted, live: &Live, subnets: Option<&BTreeSet<String>>) -> Difference {
    let mut found = Difference::default();
    if wanted.tags.iter().any(|(key, value)| live.tags.get(key) != Some(value)) {
        found.change("tags", None::<String>, Some("the owner mark".to_string()), Update::Tags);
    }
    if live.protected != wanted.protected {
        let update = Update::Protection(wanted.protected);
        found.change("deletionProtection", Some(live.protected), Some(wanted.protected), update);
    }
    if live.authentication != "API" {
        let next = if live.authentication == "CONFIG_MAP" { "API_AND_CONFIG_MAP" } else { "API" };
        let from = Some(live.authentication.clone());
        found.change("authentication", from, Some("API".to_string()), Update::Authentication(next));
    }
    diff_endpoint(wanted, live, &mut found);
    if live.logs != wanted.logs {
        let off = LOGS.iter().filter(|log| !wanted.logs.contains(**log)).map(ToString::to_string).collect();
        let update = Update::Logs { on: wanted.logs.clone(), off };
        found.change("logging", some(&live.logs), some(&wanted.logs), update);
    }
    if live.extended != wanted.extended {
        let word = |extended| if extended { "extended" } else { "standard" };
        let update = Update::Support { extended: wanted.extended };
        found.change("support", Some(word(live.extended)), Some(word(wanted.extended)), update);
    }
    if live.auto_mode != wanted.auto_mode {
        let update = Update::AutoMode(wanted.auto_mode);
        found.change("autoMode", Some(live.auto_mode), Some(wanted.auto_mode), update);
    }
    diff_key(wanted, live, &mut found);
    if let Some(subnets) = subnets
        && !subnets.is_empty()
        && live.subnets.is_disjoint(subnets)
    {
        let has = listed(&live.subnets);
        found.refused.push(Conflict::new(
            format!(
                "it lives in the subnets {has}, the profile has {}, and a cluster cannot move",
                listed(subnets)
            ),
            format!("write `network: {{subnets: [{has}]}}`, or give the environment another `name`"),
        ));
    }
    diff_version(wanted, live, &mut found);
    found
}

fn diff_endpoint(wanted: &Wanted, live: &Live, found: &mut Difference) {
    if live.public == wanted.public && live.private == wanted.private {
        return;
    }
    if live.public != wanted.public {
        found.field("endpoint.public", some(&live.public), some(&wanted.public));
    }
    if live.private != wanted.private {
        found.field("endpoint.private", Some(live.private), Some(wanted.private));
    }
    found.updates.push(Update::Endpoint { public: wanted.public.clone(), private: wanted.private });
}

/// Source: `docs/eks` "Encrypt Kubernetes secrets with AWS KMS on existing clusters": once on, it stays on, with
/// the same key.
fn diff_key(wanted: &Wanted, live: &Live, found: &mut Difference) {
    match (&wanted.secrets_key, &live.secrets_key) {
        (wanted, live) if wanted == live => {}
        (Some(key), None) => {
            found.change("secretsKey", None::<String>, Some(key.clone()), Update::SecretsKey(key.clone()));
        }
        (Some(key), Some(has)) => found.refused.push(Conflict::new(
            format!("its Secrets are encrypted with `{has}`, which cannot become `{key}`"),
            format!("write `secretsKey: {has}`, or give the environment another `name`"),
        )),
        (None, Some(has)) => found.refused.push(Conflict::new(
            format!("its Secrets are encrypted with `{has}`, which cannot be taken back"),
            format!("write `secretsKey: {has}`"),
        )),
        (None, None) => {}
    }
}

fn diff_version(wanted: &Wanted, live: &Live, found: &mut Difference) {
    let ((_, has), (_, wants)) = (live.version, wanted.version);
    if !wanted.names_version || live.version == wanted.version {
        return;
    }
    let (from, to) = (minor(live.version), minor(wanted.version));
    if live.version > wanted.version {
        found.refused.push(Conflict::new(
            format!("it runs Kubernetes {from}, which cannot become {to}"),
            format!("write `version: \"{from}\"`, or make a second environment"),
        ));
    } else if wants > has + 1 {
        found.refused.push(Conflict::new(
            format!(
                "it runs Kubernetes {from}, and EKS upgrades one minor at a time: {to} is {} upgrades away",
                wants - has
            ),
            format!("write `version: \"{}\"` first", minor((live.version.0, has + 1))),
        ));
    } else {
        found.change("version", Some(from), Some(to), Update::Version(wanted.version));
    }
}

impl Difference {
    fn change(&mut self, path: &str, from: Option<impl ToString>, to: Option<impl ToString>, update: Update) {
        self.field(path, from, to);
        self.updates.push(update);
    }

    fn field(&mut self, path: &str, from: Option<impl ToString>, to: Option<impl ToString>) {
        let (from, to) = (from.map(|value| value.to_string()), to.map(|value| value.to_string()));
        self.fields.push(FieldChange { path: path.to_string(), from, to });
    }
}

fn some(texts: &BTreeSet<String>) -> Option<String> {
    (!texts.is_empty()).then(|| listed(texts))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::live::Status;
    use super::*;
    use crate::base::label;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn wanted() -> Wanted {
        Wanted {
            name: "dev".to_string(),
            version: (1, 36),
            names_version: true,
            public: set(&["0.0.0.0/0"]),
            private: true,
            logs: BTreeSet::new(),
            secrets_key: None,
            extended: false,
            protected: false,
            auto_mode: false,
            subnets: BTreeSet::new(),
            tags: BTreeMap::from([(label::OWNER.to_string(), "7f3k2q9d".to_string())]),
        }
    }

    fn live() -> Live {
        Live {
            status: Status::Active,
            version: (1, 36),
            endpoint: None,
            ca: None,
            subnets: set(&["subnet-a", "subnet-b"]),
            public: set(&["0.0.0.0/0"]),
            private: true,
            logs: BTreeSet::new(),
            secrets_key: None,
            extended: false,
            protected: false,
            auto_mode: false,
            authentication: "API".to_string(),
            tags: wanted().tags,
            issues: Vec::new(),
        }
    }

    #[test]
    fn a_cluster_as_wanted_does_not_differ() {
        assert_eq!(diff(&wanted(), &live(), Some(&set(&["subnet-a", "subnet-b"]))), Difference::default());
    }

    #[test]
    fn each_kind_of_change_is_an_update_of_its_own_and_the_version_comes_last() {
        let wanted = Wanted {
            protected: true,
            public: set(&["203.0.113.0/24"]),
            logs: set(&["audit"]),
            secrets_key: Some("arn:aws:kms:r:1:key/k".to_string()),
            version: (1, 37),
            ..wanted()
        };
        let found = diff(&wanted, &live(), None);
        let paths: Vec<&str> = found.fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["deletionProtection", "endpoint.public", "logging", "secretsKey", "version"]);
        assert_eq!(found.updates.len(), 5);
        assert_eq!(found.updates.last(), Some(&Update::Version((1, 37))));
        assert!(found.refused.is_empty());
    }

    #[test]
    fn a_private_endpoint_is_one_update_with_its_networks() {
        let wanted = Wanted { public: BTreeSet::new(), ..wanted() };
        let found = diff(&wanted, &Live { private: false, ..live() }, None);
        assert_eq!(found.fields.len(), 2);
        assert_eq!(found.updates, [Update::Endpoint { public: BTreeSet::new(), private: true }]);
    }

    #[test]
    fn what_eks_cannot_do_is_refused_with_what_to_write() {
        let refused = |wanted: Wanted, live: Live| {
            let found = diff(&wanted, &live, Some(&set(&["subnet-a"])));
            assert!(found.updates.is_empty(), "{found:?}");
            found.refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let skipped = refused(wanted(), Live { version: (1, 34), ..live() });
        assert!(skipped.contains("write `version: \"1.35\"`"), "{skipped}");
        let back = refused(wanted(), Live { version: (1, 37), ..live() });
        assert!(back.contains("write `version: \"1.37\"`"), "{back}");
        let encrypted = refused(wanted(), Live { secrets_key: Some("arn:k".to_string()), ..live() });
        assert!(encrypted.contains("write `secretsKey: arn:k`"), "{encrypted}");
        let elsewhere = refused(wanted(), Live { subnets: set(&["subnet-x"]), ..live() });
        assert!(elsewhere.contains("subnets: [subnet-x]"), "{elsewhere}");
    }

    #[test]
    fn a_version_that_nobody_named_is_left_as_it_is() {
        let wanted = Wanted { names_version: false, ..wanted() };
        assert_eq!(diff(&wanted, &Live { version: (1, 33), ..live() }, None), Difference::default());
    }

    #[test]
    fn a_cluster_with_a_config_map_comes_to_access_entries_in_two_steps() {
        let mode = |mode: &str| {
            let live = Live { authentication: mode.to_string(), ..live() };
            diff(&wanted(), &live, None).updates
        };
        assert_eq!(mode("CONFIG_MAP"), [Update::Authentication("API_AND_CONFIG_MAP")]);
        assert_eq!(mode("API_AND_CONFIG_MAP"), [Update::Authentication("API")]);
    }
}

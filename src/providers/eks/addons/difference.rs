use serde_json::Value;

use super::wanted::Wanted;
use crate::base::{FieldChange, Note};

/// An addon as EKS describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    /// `v1.20.1-eksbuild.3`.
    pub version: String,
    /// As JSON; `None` when there is none.
    pub configuration: Option<Value>,
    /// Whether its pods have a role.
    pub has_role: bool,
}

/// How an addon differs from what is wanted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub fields: Vec<FieldChange>,
    /// The version that it should become.
    pub version: Option<String>,
    pub notes: Vec<Note>,
}

/// How `live` differs from what is `wanted`, where EKS gives `default` for the cluster's Kubernetes and can run
/// the `offered` versions there.
pub(super) fn diff(wanted: &Wanted, live: &Live, default: &str, offered: &[String]) -> Difference {
    let mut found = Difference::default();
    let fits = offered.is_empty() || offered.contains(&live.version);
    if live.version != default && !default.is_empty() {
        if !fits || is_older(&live.version, default) {
            found.fields.push(FieldChange {
                path: "version".to_string(),
                from: Some(live.version.clone()),
                to: Some(default.to_string()),
            });
            found.version = Some(default.to_string());
        } else {
            let text = format!(
                "EKS addon {}: {} is newer than {default}, which EKS gives by itself; it is left as it is",
                wanted.name, live.version
            );
            found.notes.push(Note::new("newer", text));
        }
    }
    let empty = |configuration: &Option<Value>| {
        configuration.clone().filter(|value| value.as_object().is_none_or(|map| !map.is_empty()))
    };
    let (has, wants) = (empty(&live.configuration), empty(&wanted.configuration));
    if has != wants {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        found.fields.push(FieldChange {
            path: "configuration".to_string(),
            from: text(has),
            to: text(wants),
        });
    }
    if wanted.role.is_some() && !live.has_role {
        found.fields.push(FieldChange {
            path: "role".to_string(),
            from: None,
            to: wanted.role.map(|role| role.as_str().to_string()),
        });
    }
    found
}

/// Whether `one` comes before `other`: `v1.20.1-eksbuild.3` before `v1.20.1-eksbuild.10`.
fn is_older(one: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    numbers(one) < numbers(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::names::PodRole;
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            name: "vpc-cni",
            configuration: Some(json!({"enableNetworkPolicy": "true"})),
            role: Some(PodRole::VpcCni),
            needs_node: false,
            in_profile: true,
        }
    }

    fn live(version: &str) -> Live {
        Live { version: version.to_string(), configuration: wanted().configuration, has_role: true }
    }

    const DEFAULT: &str = "v1.20.1-eksbuild.3";

    #[test]
    fn an_addon_as_wanted_does_not_differ() {
        assert_eq!(diff(&wanted(), &live(DEFAULT), DEFAULT, &[]), Difference::default());
    }

    #[test]
    fn an_older_version_becomes_the_default_and_a_newer_one_stays() {
        let older = diff(&wanted(), &live("v1.9.9-eksbuild.9"), DEFAULT, &[]);
        assert_eq!(older.version.as_deref(), Some(DEFAULT));
        let newer = diff(&wanted(), &live("v1.20.1-eksbuild.10"), DEFAULT, &[]);
        assert!(newer.fields.is_empty() && newer.notes.len() == 1, "{newer:?}");
        let unfit = diff(&wanted(), &live("v1.21.0-eksbuild.1"), DEFAULT, &[DEFAULT.to_string()]);
        assert_eq!(unfit.version.as_deref(), Some(DEFAULT));
    }

    #[test]
    fn a_configuration_that_somebody_changed_is_told() {
        let off = Live { configuration: Some(json!({"enableNetworkPolicy": "false"})), ..live(DEFAULT) };
        let found = diff(&wanted(), &off, DEFAULT, &[]);
        assert_eq!(found.fields[0].path, "configuration");
        assert_eq!(found.fields[0].to.as_deref(), Some("{\"enableNetworkPolicy\":\"true\"}"));
        let plain = Wanted { configuration: None, role: None, ..wanted() };
        let empty = Live { configuration: Some(json!({})), has_role: false, ..live(DEFAULT) };
        assert_eq!(diff(&plain, &empty, DEFAULT, &[]), Difference::default());
    }
}

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
    /// The ARN of that, where it was asked for.
    pub role: Option<String>,
}

/// How an addon differs from what is wanted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub fields: Vec<FieldChange>,
    /// The version that it should become.
    pub version: Option<String>,
    pub notes: Vec<Note>,
}

/// How `live` differs from what is `wanted`, with `role` for its pods, where EKS gives `default` for the cluster's
/// Kubernetes and can run the `offered` versions there.
pub(super) fn diff(
    wanted: &Wanted,
    role: Option<&str>,
    live: &Live,
    default: &str,
    offered: &[String],
) -> Difference {
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
    let is_another = live.role.is_some() && role.is_some() && live.role.as_deref() != role;
    if wanted.role.is_some() && (!live.has_role || is_another) {
        let name = wanted.role.map(|role| role.as_str().to_string());
        found.fields.push(FieldChange {
            path: "role".to_string(),
            from: live.role.clone(),
            to: role.map(str::to_string).or(name),
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
        Live {
            version: version.to_string(),
            configuration: wanted().configuration,
            has_role: true,
            role: Some(ROLE.to_string()),
        }
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/berth-dev-eu-central-1-vpc-cni";
    const DEFAULT: &str = "v1.20.1-eksbuild.3";

    #[test]
    fn an_addon_as_wanted_does_not_differ() {
        assert_eq!(diff(&wanted(), Some(ROLE), &live(DEFAULT), DEFAULT, &[]), Difference::default());
    }

    #[test]
    fn an_older_version_becomes_the_default_and_a_newer_one_stays() {
        let older = diff(&wanted(), Some(ROLE), &live("v1.9.9-eksbuild.9"), DEFAULT, &[]);
        assert_eq!(older.version.as_deref(), Some(DEFAULT));
        let newer = diff(&wanted(), Some(ROLE), &live("v1.20.1-eksbuild.10"), DEFAULT, &[]);
        assert!(newer.fields.is_empty() && newer.notes.len() == 1, "{newer:?}");
        let unfit = diff(&wanted(), Some(ROLE), &live("v1.21.0-eksbuild.1"), DEFAULT, &[DEFAULT.to_string()]);
        assert_eq!(unfit.version.as_deref(), Some(DEFAULT));
    }

    #[test]
    fn a_configuration_that_somebody_changed_is_told() {
        let off = Live { configuration: Some(json!({"enableNetworkPolicy": "false"})), ..live(DEFAULT) };
        let found = diff(&wanted(), Some(ROLE), &off, DEFAULT, &[]);
        assert_eq!(found.fields[0].path, "configuration");
        assert_eq!(found.fields[0].to.as_deref(), Some("{\"enableNetworkPolicy\":\"true\"}"));
        let plain = Wanted { configuration: None, role: None, ..wanted() };
        let empty = Live { configuration: Some(json!({})), has_role: false, role: None, ..live(DEFAULT) };
        assert_eq!(diff(&plain, None, &empty, DEFAULT, &[]), Difference::default());
    }

    #[test]
    fn a_role_that_somebody_changed_is_told() {
        let other = |role: Option<&str>| Live {
            has_role: role.is_some(),
            role: role.map(str::to_string),
            ..live(DEFAULT)
        };
        for role in [Some("arn:aws:iam::123456789012:role/other"), None] {
            let found = diff(&wanted(), Some(ROLE), &other(role), DEFAULT, &[]);
            assert_eq!((found.fields[0].from.as_deref(), found.fields[0].to.as_deref()), (role, Some(ROLE)));
        }
        // What the network has not told is nobody's drift.
        assert_eq!(diff(&wanted(), None, &live(DEFAULT), DEFAULT, &[]), Difference::default());
    }
}

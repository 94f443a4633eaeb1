use std::sync::Arc;

use serde_json::{Value, json};

use super::super::args::{Target, Token};
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::super::{profiles, runtime};
use super::print;
use crate::base::{self, Clock, Fault, FaultKind, SystemClock};
use crate::clouds::aws::{Session, Whose};
use crate::profile::ClusterSpec;

/// The group of the interface between kubectl and programs that have credentials.
const GROUP: &str = "client.authentication.k8s.io";

/// `berth token [ENV]`
pub(super) fn run(arguments: &Token, settings: &Settings) -> Result<Exit, Failure> {
    let version = version(settings.exec_info.as_deref())?;
    let (cluster, region) = place(arguments, settings)?;
    let whose = Whose {
        region,
        profile: arguments.profile.clone(),
        role: arguments.role_arn.clone(),
        ..Whose::default()
    };
    let token = runtime::run(|_| async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Session::new(whose).tokens(&cluster, &clock).await?.token().await?)
    })?;
    print(settings, &credential(version, &token).to_string())?;
    Ok(Exit::Done)
}

/// The cluster that is meant, and its region.
fn place(arguments: &Token, settings: &Settings) -> Result<(String, String), Failure> {
    if let (Some(cluster), Some(region)) = (&arguments.cluster, &arguments.region) {
        return Ok((cluster.clone(), region.clone()));
    }
    let target = Target {
        environment: arguments.environment.clone(),
        profiles: arguments.profiles.clone(),
        rehearse: false,
    };
    let environment = profiles::load(&target, settings)?.environment;
    match &environment.cluster {
        ClusterSpec::Eks(eks) => Ok((environment.name, eks.region.clone())),
        other => Err(Failure::usage(
            format!(
                "`berth token {}`: its cluster is made by {}, and takes no such tokens",
                environment.name,
                other.provider()
            ),
            format!("`berth kubeconfig {}` shows how it is reached", environment.name),
        )),
    }
}

/// The version of the interface that whoever started us speaks (`KUBERNETES_EXEC_INFO`); the newest for a person.
fn version(info: Option<&str>) -> Result<&'static str, Fault> {
    let Some(info) = info else { return Ok("v1") };
    let attempted = "read KUBERNETES_EXEC_INFO";
    let info: Value = serde_json::from_str(info)
        .map_err(|error| Fault::new(FaultKind::Invalid, attempted, format!("it is no JSON: {error}")))?;
    let asked = info["apiVersion"].as_str().unwrap_or_default();
    match asked.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')) {
        Some("v1") => Ok("v1"),
        Some("v1beta1") => Ok("v1beta1"),
        _ => Err(Fault::new(FaultKind::Invalid, attempted, format!("it asks for `{asked}`")).hint(format!(
            "write `apiVersion: {GROUP}/v1` under `exec` in the kubeconfig, or use a newer kubectl"
        ))),
    }
}

/// What kubectl reads.
fn credential(version: &str, token: &base::Token) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{version}"),
        "kind": "ExecCredential",
        "spec": {"interactive": false},
        "status": {
            "expirationTimestamp": token.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "token": token.secret.reveal(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_in_the_version_that_was_asked_for() {
        let asked = |version: &str| {
            version_of(&format!(
                "{{\"apiVersion\":\"client.authentication.k8s.io/{version}\",\"kind\":\"ExecCredential\"}}"
            ))
        };
        assert_eq!(asked("v1"), Ok("v1"));
        assert_eq!(asked("v1beta1"), Ok("v1beta1"));
        assert_eq!(version(None), Ok("v1"));
        let refused = asked("v1alpha1").expect_err("too old");
        assert_eq!(refused.reason, "it asks for `client.authentication.k8s.io/v1alpha1`");
        assert!(version_of("no json").is_err());
    }

    fn version_of(info: &str) -> Result<&'static str, Fault> {
        version(Some(info))
    }
}

use std::sync::Arc;

use aws_sdk_eks::types::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Clock, ClusterAccess, Credential, Fault, FaultKind, Owner, TokenSource, Tokens, label};
use crate::clouds::aws::{Refusal, Session};
use crate::flow::Flow;

/// How `cluster` is reached with `tokens`; `None` while it has no address or no authority yet.
fn access(cluster: &Cluster, tokens: Arc<dyn TokenSource>) -> Option<ClusterAccess> {
    let data = cluster.certificate_authority().and_then(|authority| authority.data())?;
    let ca = String::from_utf8(STANDARD.decode(data.trim()).ok()?).ok()?;
    Some(ClusterAccess {
        server: cluster.endpoint()?.to_string(),
        ca: Some(ca),
        credential: Credential::Tokens(Tokens::new(tokens)),
    })
}

/// How the cluster of `owner` is reached, asked from AWS: for a machine that did not make it. `None` when there is
/// none, or none that can be reached yet.
pub async fn ask_access(
    session: &Session,
    owner: &Owner,
    clock: &Arc<dyn Clock>,
    flow: &Flow,
) -> Result<Option<ClusterAccess>, Fault> {
    let aws = session.open(flow).await?;
    let name = &owner.environment;
    let attempted = format!("describe EKS cluster `{name}`");
    let answer = aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from);
    let cluster = match answer {
        Ok(answer) => answer.cluster,
        Err(refusal) if refusal.is_absent() => None,
        Err(refusal) => return Err(refusal.fault(attempted)),
    };
    let Some(cluster) = cluster else { return Ok(None) };
    let mark = cluster.tags().and_then(|tags| tags.get(label::OWNER));
    if mark != Some(&owner.id) {
        let reason = format!("the EKS cluster of this name in {} is somebody else's", session.region());
        return Err(Fault::new(FaultKind::Conflict, attempted, reason)
            .hint(format!("`berth up {name}` says what can be done about it")));
    }
    Ok(access(&cluster, aws.tokens(name, clock)))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use aws_sdk_eks::types::Certificate;

    use super::*;
    use crate::base::Token;

    struct None;

    impl TokenSource for None {
        fn title(&self) -> &'static str {
            "none"
        }

        fn arguments(&self) -> Vec<String> {
            Vec::new()
        }

        fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>> {
            Box::pin(async { Err(Fault::new(FaultKind::Bug, "give a token", "there is none")) })
        }
    }

    #[test]
    fn a_cluster_is_reached_once_it_has_address_and_authority() {
        let begun = Cluster::builder().name("dev");
        assert_eq!(access(&begun.clone().build(), Arc::new(None)), Option::None);
        let authority = Certificate::builder().data("LS0tCg==").build();
        let made = begun.endpoint("https://ABC.eks.amazonaws.com").certificate_authority(authority).build();
        let access = access(&made, Arc::new(None)).expect("reached");
        assert_eq!(access.server, "https://ABC.eks.amazonaws.com");
        assert_eq!(access.ca.as_deref(), Some("---\n"));
    }
}

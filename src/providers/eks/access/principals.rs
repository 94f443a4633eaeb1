use futures::future::join_all;

use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Aws, Params, Service};
use crate::flow::Flow;

/// Fails for the first of `arns` that is no role of this account: EKS would say so only once the control plane stands.
/// Of roles of other accounts, and where IAM may not be asked, EKS itself has to tell.
pub(super) async fn check(arns: impl Iterator<Item = &String>, aws: &Aws, flow: &Flow) -> Result<(), Fault> {
    let account = &aws.identity().account;
    let asked = arns.filter_map(|arn| Some((arn, role_of(arn, account)?))).map(|(arn, name)| async move {
        let iam = aws.query(Service::Iam);
        let answer = iam.call(flow, "GetRole", &Params::new().with("RoleName", name)).await;
        let told = answer.map(|role| role.text("Role/Arn").map(str::to_string));
        match told {
            Ok(Some(known)) if known != *arn => Some(wrong(arn, Some(&known))),
            Err(refusal) if refusal.is_absent() => Some(wrong(arn, None)),
            _ => None,
        }
    });
    join_all(asked).await.into_iter().flatten().next().map_or(Ok(()), Err)
}

/// The name, without its path, of the role with this ARN, where `account` has it.
fn role_of<'a>(arn: &'a str, account: &str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (of, principal) = (parts.next()?, parts.next()?);
    let path = principal.strip_prefix("role/").filter(|_| of == account)?;
    path.rsplit('/').next()
}

/// That `arn` is no role; `known` is the one of that name, in another path.
fn wrong(arn: &str, known: Option<&str>) -> Fault {
    let (reason, hint) = match known {
        Some(known) => {
            (format!("the ARN of that role is {known}"), "write that one under `access.groups`".to_string())
        }
        None => (
            "IAM has no such role".to_string(),
            "make it, or write the ARN of one that is there under `access.groups` (`aws iam list-roles`)"
                .to_string(),
        ),
    };
    Fault::new(FaultKind::Invalid, format!("give {arn} access"), reason)
        .hint(hint)
        .in_profile("access.groups")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_of_the_account_can_be_asked_for() {
        let of = |arn| role_of(arn, "123456789012");
        assert_eq!(of("arn:aws:iam::123456789012:role/teams/web/dev"), Some("dev"));
        assert_eq!(of("arn:aws:iam::123456789012:user/ann"), None);
        assert_eq!(of("arn:aws:iam::210987654321:role/dev"), None);
    }

    #[test]
    fn a_role_in_another_path_is_told_by_its_own_arn() {
        let fault = wrong("arn:aws:iam::1:role/dev", Some("arn:aws:iam::1:role/teams/dev"));
        assert!(fault.reason.ends_with("is arn:aws:iam::1:role/teams/dev"), "{}", fault.reason);
    }
}

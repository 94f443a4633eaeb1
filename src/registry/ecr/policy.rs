use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What pulling takes; the right to a token is given by IAM alone.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html>
const PULL: [&str; 3] =
    ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
/// What pushing takes besides.
const PUSH: [&str; 4] =
    ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"];
/// The statements of berth.
const SIDS: [&str; 2] = ["BerthPull", "BerthPush"];
/// After so many days an image without a tag goes.
const UNTAGGED_DAYS: u32 = 7;

/// The policy of a repository that `pull` may pull from and `push` may push to, ARNs both; none where nobody is
/// named: then IAM alone decides.
pub(super) fn rights(pull: &BTreeSet<String>, push: &BTreeSet<String>) -> Option<Value> {
    let pushed: Vec<&str> = PULL.iter().chain(&PUSH).copied().collect();
    let only_pull: BTreeSet<String> = pull.difference(push).cloned().collect();
    let sets = [(SIDS[0], &only_pull, PULL.to_vec()), (SIDS[1], push, pushed)];
    let statements: Vec<Value> = sets
        .into_iter()
        .filter(|(_, principals, _)| !principals.is_empty())
        .map(|(sid, principals, actions)| {
            json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions})
        })
        .collect();
    (!statements.is_empty()).then(|| json!({"Version": "2012-10-17", "Statement": statements}))
}

/// `rights`, with the statements of `live` that let services of AWS in: those write them themselves, and stop working
/// without. Lambda does, once a function is made of an image.
/// <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#configuration-images-permissions>
pub(super) fn with_services(rights: Option<&Value>, live: Option<&Value>) -> Option<Value> {
    let of = |policy: Option<&Value>| policy.map(|policy| listed(&policy["Statement"])).unwrap_or_default();
    let kept = of(live).into_iter().filter(|statement| service(statement).is_some());
    let statements: Vec<Value> = of(rights).into_iter().chain(kept).collect();
    let version = &rights.or(live)?["Version"];
    (!statements.is_empty()).then(|| json!({"Version": version, "Statement": statements}))
}

/// The services of AWS that `statement` lets in, and nobody else.
fn service(statement: &Value) -> Option<String> {
    let principal = statement["Principal"].as_object()?;
    let services = principal.get("Service").filter(|_| principal.len() == 1)?;
    let names: Vec<String> = listed(services).iter().filter_map(Value::as_str).map(str::to_string).collect();
    (statement["Effect"] == "Allow" && !names.is_empty()).then(|| names.join(" and "))
}

/// Whether berth wrote `policy`, every statement of it but those of services.
pub(super) fn is_ours(policy: &Value) -> bool {
    let is_of_berth = |one: &Value| one["Sid"].as_str().is_some_and(|sid| SIDS.contains(&sid));
    listed(&policy["Statement"]).iter().all(|one| is_of_berth(one) || service(one).is_some())
}

/// `policy` in one form of the many that mean the same: IAM gives lists of one as the one, in any order, and
/// accounts as ARNs.
pub(super) fn normal(policy: &Value) -> Value {
    let mut statements: Vec<Value> = listed(&policy["Statement"]).into_iter().map(statement).collect();
    statements.sort_by_key(Value::to_string);
    json!({"Version": policy["Version"], "Statement": statements})
}

fn statement(mut statement: Value) -> Value {
    for member in ["Action", "NotAction", "Resource"] {
        if !statement[member].is_null() {
            statement[member] = sorted(&statement[member], str::to_string);
        }
    }
    if !statement["Principal"]["AWS"].is_null() {
        statement["Principal"]["AWS"] = sorted(&statement["Principal"]["AWS"], account);
    }
    statement
}

fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn sorted(value: &Value, form: impl Fn(&str) -> String) -> Value {
    let all: BTreeSet<String> = listed(value).iter().filter_map(Value::as_str).map(form).collect();
    json!(all)
}

/// The account of which `principal` is all.
fn account(principal: &str) -> String {
    let whole = principal.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next());
    whole.unwrap_or(principal).to_string()
}

/// What becomes of old images: those without a tag go after a while, and of all others the newest `keep` stay. A
/// rule about any image has to come last.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>
pub(super) fn lifecycle(keep: Option<u32>) -> Value {
    let untagged = json!({
        "rulePriority": 1,
        "description": format!("images without a tag go after {UNTAGGED_DAYS} days"),
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days",
            "countNumber": UNTAGGED_DAYS},
        "action": {"type": "expire"},
    });
    let newest = keep.map(|keep| {
        json!({
            "rulePriority": 2,
            "description": format!("the newest {keep} images stay"),
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep},
            "action": {"type": "expire"},
        })
    });
    let rules: Vec<Value> = [untagged].into_iter().chain(newest).collect();
    json!({ "rules": rules })
}

/// What `lifecycle` does, in a few words: `untagged after 7 days, any beyond 30`.
pub(super) fn lifecycle_in_words(lifecycle: &Value) -> String {
    let rule = |rule: &Value| {
        let selection = &rule["selection"];
        let which = selection["tagStatus"].as_str().unwrap_or("?");
        let count = &selection["countNumber"];
        match selection["countType"].as_str() {
            Some("sinceImagePushed") => format!("{which} after {count} days"),
            _ => format!("{which} beyond {count}"),
        }
    };
    listed(&lifecycle["rules"]).iter().map(rule).collect::<Vec<_>>().join(", ")
}

/// Who may do what by `policy`, in a few words: `3 may pull, 1 may push`.
pub(super) fn rights_in_words(policy: &Value) -> String {
    let of = |one: &Value| {
        let who = listed(&one["Principal"]["AWS"]).len();
        match (one["Sid"].as_str(), service(one)) {
            (Some(sid), _) if sid == SIDS[0] => format!("{who} may pull"),
            (Some(sid), _) if sid == SIDS[1] => format!("{who} may push"),
            (_, Some(service)) => format!("that of {service}"),
            _ if is_for_anybody(one) => "a statement of somebody else for anybody".to_string(),
            _ => "a statement of somebody else".to_string(),
        }
    };
    listed(&policy["Statement"]).iter().map(of).collect::<Vec<_>>().join(", ")
}

/// Whether nobody is named whom it is for.
fn is_for_anybody(statement: &Value) -> bool {
    let principal = &statement["Principal"];
    *principal == "*" || listed(&principal["AWS"]).iter().any(|one| one == "*")
}

/// The same with their names, for policies that differ in nothing else: `role/ci may push`.
pub(super) fn rights_by_name(policy: &Value) -> String {
    let of = |one: &Value| {
        if let Some(service) = service(one) {
            return format!("that of {service}");
        }
        let short = |arn: &str| arn.splitn(6, ':').nth(5).unwrap_or(arn).to_string();
        let principals = sorted(&one["Principal"]["AWS"], |principal| short(&account(principal)));
        let names: Vec<&str> =
            principals.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let may = if one["Sid"].as_str() == Some(SIDS[0]) { "pull" } else { "push" };
        format!("{} may {may}", names.join(" and "))
    };
    listed(&policy["Statement"]).iter().map(of).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    #[test]
    fn who_may_push_may_pull_and_stands_there_once() {
        let policy = rights(&set(&["a", "b"]), &set(&["b"])).expect("a policy");
        assert_eq!(policy["Statement"][0]["Principal"]["AWS"], json!(["a"]));
        assert_eq!(policy["Statement"][1]["Principal"]["AWS"], json!(["b"]));
        assert_eq!(policy["Statement"][1]["Action"].as_array().map(Vec::len), Some(7));
        assert!(is_ours(&policy) && !is_ours(&json!({"Statement": [{"Effect": "Deny"}]})));
        assert_eq!(rights_in_words(&policy), "1 may pull, 1 may push");
        assert_eq!(rights(&set(&[]), &set(&[])), None);
    }

    #[test]
    fn of_what_others_wrote_only_the_statements_of_services_are_kept() {
        let lambda = json!({"Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"}, "Action": PULL});
        let anybody = json!({"Sid": "open", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"});
        let both = json!({"Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"}, "Effect": "Allow"});
        let live = json!({"Statement": [lambda, anybody, both]});
        let rights = rights(&set(&["a"]), &set(&[])).expect("a policy");
        let whole = with_services(Some(&rights), Some(&live)).expect("a policy");
        assert_eq!(whole["Statement"], json!([rights["Statement"][0], lambda]));
        assert_eq!(rights_in_words(&whole), "1 may pull, that of lambda.amazonaws.com");
        assert!(is_ours(&whole) && !is_ours(&live));
        assert_eq!(
            with_services(None, Some(&json!({"Statement": lambda}))).map(|one| one["Statement"].clone()),
            Some(json!([lambda]))
        );
        assert_eq!(with_services(None, Some(&json!({"Statement": [anybody]}))), None);
        assert_eq!(
            rights_in_words(&json!({"Statement": anybody})),
            "a statement of somebody else for anybody"
        );
    }

    #[test]
    fn a_policy_is_the_same_in_each_form_that_aws_gives_it() {
        let ours = json!({"Version": "1", "Statement": [
            {"Sid": "BerthPull", "Principal": {"AWS": ["123456789012"]}, "Action": ["b", "a"]},
            {"Sid": "BerthPush", "Principal": {"AWS": ["x", "y"]}, "Action": ["a"]}]});
        let theirs = json!({"Version": "1", "Statement": [
            {"Sid": "BerthPush", "Principal": {"AWS": ["y", "x"]}, "Action": "a"},
            {"Sid": "BerthPull", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": ["a", "b"]}]});
        assert_eq!(normal(&ours), normal(&theirs));
        let mut other = theirs;
        other["Statement"][0]["Principal"]["AWS"] = json!(["y"]);
        assert_ne!(normal(&ours), normal(&other));
    }

    #[test]
    fn a_rule_about_any_image_comes_last() {
        let policy = lifecycle(Some(30));
        let priorities = [&policy["rules"][0]["rulePriority"], &policy["rules"][1]["rulePriority"]];
        assert_eq!(priorities, [&json!(1), &json!(2)]);
        assert_eq!(policy["rules"][1]["selection"]["tagStatus"], "any");
        assert_eq!(lifecycle_in_words(&policy), "untagged after 7 days, any beyond 30");
        assert_eq!(lifecycle_in_words(&lifecycle(None)), "untagged after 7 days");
    }
}

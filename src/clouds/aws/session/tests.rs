use super::super::played::{Played, credentials, flow};
use super::super::{Params, Service};
use std::sync::Mutex;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;

use super::*;

const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/ann</Arn><UserId>AIDA</UserId>
<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
const THROTTLED: (u16, &str, &str) =
    (400, "x-amzn-errortype: ThrottlingException\r\n", "{\"message\":\"Rate exceeded\"}");

fn whose(region: &str, account: &str) -> Session {
    let whose = Whose { region: region.to_string(), account: Some(account.to_string()), ..Whose::default() };
    Session { whose, opened: OnceCell::new(), failed: Mutex::default(), ends: Ends::default() }
}

/// What [`Session::open`] does, with keys of its own and `server` as the endpoint of all services.
async fn opened(session: &Session, server: &Played, flow: &Flow) -> Result<Aws, Fault> {
    let loader = session.loader().credentials_provider(credentials()).endpoint_url(server.address.as_str());
    let (config, credentials) = session.configured(loader).await?;
    let identity = session.identified(flow, &config).await?;
    session.pinned(&identity)?;
    Ok(Aws::new(identity, &session.whose, config, credentials))
}

#[tokio::test]
async fn who_we_are_is_asked_once_and_another_account_is_refused() {
    let (server, (flow, _)) = (Played::new().await, flow());
    let ours = whose("eu-central-1", "123456789012");
    let aws = server
        .while_running(&[(200, "", CALLER)], Box::pin(opened(&ours, &server, &flow)))
        .await
        .expect("open");
    assert_eq!(aws.identity().account, "123456789012");
    let asked = server.asked().concat();
    assert!(asked.contains("Action=GetCallerIdentity"), "{asked}");
    assert!(asked.contains("app/berth-"), "{asked}");

    let other = whose("eu-central-1", "210987654321");
    let fault = server
        .while_running(&[(200, "", CALLER)], Box::pin(opened(&other, &server, &flow)))
        .await
        .expect_err("another account");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.reason.contains("account 123456789012, and the profile says 210987654321"), "{fault}");
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_told_from_wrong_keys() {
    const UNKNOWN: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>
<Message>The security token included in the request is invalid.</Message></Error>
<RequestId>r-7</RequestId></ErrorResponse>";
    let (server, (flow, _)) = (Played::new().await, flow());
    for (region, words, other) in [
        ("eu-south-2", "enable-region --region-name eu-south-2", "shows what AWS makes"),
        ("eu-central-1", "shows what AWS makes", "enable-region"),
    ] {
        let session = whose(region, "123456789012");
        let fault = server
            .while_running(&[(403, "", UNKNOWN)], Box::pin(opened(&session, &server, &flow)))
            .await
            .expect_err("refused");
        assert_eq!(fault.kind, FaultKind::Denied);
        assert!(fault.reason.contains("InvalidClientTokenId"), "{fault}");
        let hint = fault.hint.expect("a hint");
        assert!(hint.contains(words) && !hint.contains(other), "{hint}");
    }
}

#[tokio::test]
async fn what_an_sdk_repeats_is_told() {
    let (server, (flow, told)) = (Played::new().await, flow());
    let session = whose("eu-central-1", "123456789012");
    let aws = server
        .while_running(&[(200, "", CALLER)], Box::pin(opened(&session, &server, &flow)))
        .await
        .expect("open");
    let found = "{\"clusters\":[\"dev\"]}";
    let clusters = server
        .while_running(&[THROTTLED, (200, "", found)], aws.eks(&flow).list_clusters().send())
        .await
        .expect("listed");
    assert_eq!(clusters.clusters(), ["dev"]);
    assert_eq!(*told.lock().expect("nobody panicked"), [(FaultKind::Throttled, 1)]);
}

#[tokio::test]
async fn a_refusal_of_an_sdk_names_right_and_request() {
    let (server, (flow, _)) = (Played::new().await, flow());
    let session = whose("eu-central-1", "123456789012");
    let aws = server
        .while_running(&[(200, "", CALLER)], Box::pin(opened(&session, &server, &flow)))
        .await
        .expect("open");
    let headers = "x-amzn-errortype: AccessDeniedException\r\nx-amzn-requestid: r-8\r\n";
    let error = server
        .while_running(
            &[(403, headers, "{\"message\":\"ann may not\"}")],
            aws.eks(&flow).describe_cluster().name("dev").send(),
        )
        .await
        .expect_err("refused");
    let fault = super::super::fault("describe cluster `dev`", &error);
    assert_eq!(fault.kind, FaultKind::Denied);
    assert_eq!(fault.reason, "AccessDeniedException: ann may not (request r-8)");
    assert!(fault.hint.is_some_and(|hint| hint.contains("eks:DescribeCluster")));
}

#[tokio::test]
async fn calls_without_an_sdk_are_signed_repeated_and_told_too() {
    let (server, (flow, told)) = (Played::new().await, flow());
    let session = whose("eu-central-1", "123456789012");
    let aws = server
        .while_running(&[(200, "", CALLER)], Box::pin(opened(&session, &server, &flow)))
        .await
        .expect("open");
    let busy = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error>\
                    </Errors><RequestID>r-1</RequestID></Response>";
    let first =
        "<R><subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet><nextToken>t/1</nextToken></R>";
    let second = "<R><subnetSet><item><subnetId>subnet-2</subnetId></item></subnetSet></R>";
    let query = aws.query(Service::Ec2);
    let params = Params::new();
    let subnets = server
        .while_running(
            &[(503, "", busy), (200, "", first), (200, "", second)],
            query.all(&flow, "DescribeSubnets", &params, "subnetSet"),
        )
        .await
        .expect("listed");
    let ids: Vec<_> = subnets.iter().filter_map(|one| one.text("subnetId")).collect();
    assert_eq!(ids, ["subnet-1", "subnet-2"]);
    assert_eq!(*told.lock().expect("nobody panicked"), [(FaultKind::Throttled, 1)]);
    let asked = server.asked();
    let last = asked.last().expect("asked");
    assert!(last.ends_with("Action=DescribeSubnets&Version=2016-11-15&NextToken=t%2F1"), "{last}");
    let scope =
        "/eu-central-1/ec2/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token";
    assert!(last.contains(scope), "{last}");

    let quota = server
        .while_running(
            &[(200, "", "{\"Quota\":{\"Value\":64}}")],
            aws.json(Service::Quotas).call(
                &flow,
                "GetServiceQuota",
                &serde_json::json!({"QuotaCode": "L-1"}),
            ),
        )
        .await
        .expect("answered");
    assert_eq!(quota["Quota"]["Value"], 64);
    let last = server.asked().pop().expect("asked").to_lowercase();
    assert!(last.contains("x-amz-target: servicequotasv20190624.getservicequota\r\n"), "{last}");
}

#[test]
fn credentials_that_end_on_the_way_are_told_before_a_run_and_ended_ones_refused() {
    let now: Timestamp = "2026-01-02T03:00:00Z".parse().expect("a time");
    let ending = |minutes: u64| {
        let ends = Some(now + Duration::from_mins(minutes));
        Session::new(Whose { region: "eu-central-1".to_string(), ends, ..Whose::default() })
    };
    let limit = Duration::from_mins(45);
    assert_eq!(ending(60).expires_before(limit, now), Ok(None));
    let note =
        ending(20).expires_before(limit, now).expect("not ended").expect("that they end on the way is told");
    assert!(note.text.contains("end at 03:20 UTC, in 20 min"), "{}", note.text);
    let fault = ending(0).expires_before(limit, now).expect_err("ended");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert_eq!(Session::new(Whose::default()).expires_before(limit, now), Ok(None));
}

#[tokio::test]
async fn credentials_of_the_chain_that_end_on_the_way_are_told_once_they_are_given() {
    let now: Timestamp = "2026-01-02T03:00:00Z".parse().expect("a time");
    let given = async |minutes: u64| {
        let session = Session::new(Whose { region: "eu-central-1".to_string(), ..Whose::default() });
        let ends = std::time::SystemTime::from(now + Duration::from_mins(minutes));
        let credentials = Credentials::new("AKID", "secret", None, Some(ends), "a login");
        let held = Held::new(SharedCredentialsProvider::new(credentials), None, session.ends.clone());
        held.provide_credentials().await.expect("given");
        session
    };
    let limit = Duration::from_mins(45);
    assert_eq!(given(60).await.expires_before(limit, now), Ok(None));
    let note = given(12)
        .await
        .expires_before(limit, now)
        .expect("not ended")
        .expect("that they end on the way is told");
    assert!(note.text.contains("end at 03:12 UTC, in 12 min: unless they are renewed"), "{}", note.text);
    assert_eq!(given(0).await.expires_before(limit, now).expect_err("ended").kind, FaultKind::Denied);
}

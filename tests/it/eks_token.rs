//! Tokens for the API servers of EKS clusters: that they are those of awscli, that nothing is asked for them, and
//! that kubectl gets in with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use berth::clouds::aws::token::mint;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::support::eks::kubectl_as;
use super::support::{Berth, FakeAws, Web, eventually};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
];
const CLUSTER: [&str; 5] = ["token", "--cluster", "demo", "--region", "eu-central-1"];
/// The file in which the AWS CLI keeps the login of the SSO session `corp`: the SHA-1 of its name.
const SSO_LOGIN: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

/// The query of the request in an `ExecCredential`.
fn query(credential: &str) -> BTreeMap<String, String> {
    let credential: Value = serde_json::from_str(credential).expect("JSON");
    let token = credential["status"]["token"].as_str().expect("a token").strip_prefix("k8s-aws-v1.");
    let url = URL_SAFE_NO_PAD.decode(token.expect("the prefix")).expect("base64url");
    let url = String::from_utf8(url).expect("text");
    let (address, query) = url.split_once('?').expect("a query");
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a pair"));
    let pairs = pairs.map(|(key, value)| (key.to_string(), value.to_string()));
    pairs.chain([("address".to_string(), address.to_string())]).collect()
}

fn exec_info(version: &str) -> String {
    json!({"apiVersion": format!("client.authentication.k8s.io/{version}"), "kind": "ExecCredential"})
        .to_string()
}

/// berth with keys, where `endpoint` is the only AWS that there is.
fn berth(endpoint: &str) -> Berth {
    let berth = KEYS.iter().fold(Berth::new(), |berth, (key, value)| berth.with_variable(key, value));
    berth.with_variable("AWS_ENDPOINT_URL", endpoint).with_variable("AWS_EC2_METADATA_DISABLED", "true")
}

#[test]
fn a_token_is_that_of_awscli_at_the_same_second() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-fake");
    for (region, session) in
        [("eu-west-1", None), ("cn-north-1", None), ("eu-west-1", Some("FwoGZXIvYXdzEXAMPLE+/=="))]
    {
        let finished = Command::new(&script)
            .args(["--run", "aws", "eks", "get-token", "--cluster-name", "demo", "--region", region])
            .envs(KEYS)
            .envs(session.map(|session| ("AWS_SESSION_TOKEN", session)))
            .env("AWS_CONFIG_FILE", "/nowhere/config")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
            .output()
            .expect("awscli starts");
        let theirs = query(&String::from_utf8_lossy(&finished.stdout));
        let date = DateTime::strptime("%Y%m%dT%H%M%SZ", &theirs["X-Amz-Date"]).expect("a date");
        let now = date.to_zoned(TimeZone::UTC).expect("a moment").timestamp();
        let mut credentials = Credentials::builder().access_key_id(KEYS[0].1).secret_access_key(KEYS[1].1);
        credentials.set_session_token(session.map(str::to_string));
        let token = mint("demo", region, &credentials.provider_name("test").build(), now).expect("minted");
        let ours = query(&json!({"status": {"token": token.secret.reveal()}}).to_string());
        assert_eq!(ours, theirs, "{region}");
    }
}

#[test]
fn a_token_is_printed_in_the_version_that_is_asked_for_and_nobody_is_asked_for_it() {
    let web = Web::new();
    let berth = berth(&web.url(""));
    for version in ["v1", "v1beta1"] {
        let mut command = berth.command(&CLUSTER);
        let finished = super::support::run({
            command.env("KUBERNETES_EXEC_INFO", exec_info(version));
            command
        })
        .expect(0);
        let printed: Value = serde_json::from_str(&finished.stdout).expect("JSON");
        assert_eq!(printed["apiVersion"], format!("client.authentication.k8s.io/{version}"));
        assert_eq!(printed["kind"], "ExecCredential");
        let ends = printed["status"]["expirationTimestamp"].as_str().expect("a time");
        let ends: Timestamp = ends.parse().expect("RFC 3339");
        let query = query(&finished.stdout);
        assert_eq!(query["address"], "https://sts.eu-central-1.amazonaws.com/");
        let made = DateTime::strptime("%Y%m%dT%H%M%SZ", &query["X-Amz-Date"]).expect("a date");
        let made = made.to_zoned(TimeZone::UTC).expect("a moment").timestamp();
        assert_eq!(ends.duration_since(made).as_mins(), 14);
        assert_eq!(finished.stderr, "");
    }
    assert_eq!(web.asked(), [""; 0]);

    let mut old = berth.command(&CLUSTER);
    old.env("KUBERNETES_EXEC_INFO", exec_info("v1alpha1"));
    let refused = super::support::run(old).expect(1);
    assert!(
        refused.stderr.contains("asks for `client.authentication.k8s.io/v1alpha1`"),
        "{}",
        refused.said()
    );
}

#[test]
fn an_environment_names_its_cluster_and_one_that_is_not_on_eks_has_no_tokens() {
    let berth = berth("http://127.0.0.1:9");
    berth.profile("dev", EKS);
    let finished = berth.run(&["token", "dev"]).expect(0);
    assert_eq!(query(&finished.stdout)["address"], "https://sts.eu-central-1.amazonaws.com/");
    let refused = berth.run(&["token", "lab"]).expect(3);
    assert!(refused.stderr.contains("its cluster is made by kind"), "{}", refused.said());
    assert_eq!(refused.stdout, "");
}

/// berth with this AWS configuration and no keys in its environment.
fn configured(endpoint: &str, configuration: &str) -> Berth {
    let berth = Berth::new().with_variable("AWS_ENDPOINT_URL", endpoint);
    let berth = berth.with_variable("AWS_EC2_METADATA_DISABLED", "true");
    fs::create_dir_all(berth.home().join(".aws/sso/cache")).expect("the folder is ours");
    fs::write(berth.home().join(".aws/config"), configuration).expect("the folder is ours");
    berth
}

#[test]
fn credentials_come_from_where_the_aws_configuration_says() {
    const CONFIGURATION: &str = "[profile base]
aws_access_key_id = AKIAADMIN00000000001
aws_secret_access_key = admin-secret-key-of-the-stand-in-000001
[profile role]
role_arn = arn:aws:iam::123456789012:role/platform
source_profile = base
[profile program]
credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"ASIAPROGRAM\", \"SecretAccessKey\": \"s\", \"SessionToken\": \"t\"}'
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Admin
[sso-session corp]
sso_region = eu-central-1
sso_start_url = https://corp.awsapps.com/start
";
    let aws = FakeAws::start(60);
    let berth = configured(&aws.url(), CONFIGURATION);
    let login = json!({"accessToken": "ann", "expiresAt": "2099-01-01T00:00:00Z"});
    fs::write(berth.home().join(SSO_LOGIN), login.to_string()).expect("the folder is ours");
    let mut seen = 0;
    for (flags, key, asked) in [
        (&["--profile", "base"][..], "AKIAADMIN", &[][..]),
        (&["--profile", "role"], "ASIA", &["AssumeRole"]),
        (&["--profile", "program"], "ASIAPROGRAM", &[]),
        (&["--profile", "sso"], "ASIA", &["GetRoleCredentials"]),
        (
            &["--profile", "base", "--role-arn", "arn:aws:iam::123456789012:role/platform"],
            "ASIA",
            &["AssumeRole"],
        ),
    ] {
        let finished = berth.run(&[&CLUSTER[..], flags].concat()).expect(0);
        let credential = &query(&finished.stdout)["X-Amz-Credential"];
        assert!(credential.starts_with(key), "{flags:?}: {credential}");
        let (calls, last) = aws.calls(seen);
        let calls: Vec<&str> = calls.iter().filter_map(|call| call["action"].as_str()).collect();
        assert_eq!(calls, asked, "{flags:?}");
        seen = last;
    }
}

#[test]
fn without_credentials_it_is_said_why() {
    let configuration = "[profile program]\ncredential_process = false\n[profile sso]\nsso_session = corp\n\
                         sso_account_id = 123456789012\nsso_role_name = Admin\n[sso-session corp]\n\
                         sso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n";
    let berth = configured("http://127.0.0.1:9", configuration);
    for (profile, why) in [
        ("program", "external process exited with code"),
        ("sso", "failed to load the cached SSO token"),
        ("other", "profile `other` was not defined"),
    ] {
        let refused = berth.run(&[&CLUSTER[..], &["--profile", profile]].concat()).expect(4);
        let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why) && said.contains("aws sso login"), "{profile}: {said}");
        assert_eq!(refused.stdout, "");
    }
    let refused = Berth::new().with_variable("AWS_EC2_METADATA_DISABLED", "true").run(&CLUSTER).expect(4);
    assert!(refused.stderr.contains("no AWS credentials were found"), "{}", refused.said());
}

const EKS: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: dev
id: 7f3k2q9d
cluster:
  eks: {account: \"123456789012\", region: eu-central-1, version: \"1.36\"}
nodeGroups:
  - {name: general, machine: m7i.large, nodes: 2}
";

/// A network and a role for a cluster that awscli makes.
const STACK: &str = r#"{"Resources": {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
    "A": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/20", "AvailabilityZone": "eu-central-1a"}},
    "B": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.16.0/20", "AvailabilityZone": "eu-central-1b"}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "cluster",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]},
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"]}}},
  "Outputs": {"A": {"Value": {"Ref": "A"}}, "B": {"Value": {"Ref": "B"}}, "Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}}"#;

/// Lets awscli make the cluster `dev` with `mark` as its owner, which admits the administrator.
fn make_cluster(aws: &FakeAws, mark: &str) {
    let cli = |arguments: &[&str]| aws.cli("eu-central-1", arguments);
    let named = ["--stack-name", "around"];
    let template = ["--template-body", STACK, "--capabilities", "CAPABILITY_NAMED_IAM"];
    cli(&[&["cloudformation", "create-stack"], &named[..], &template].concat());
    let outputs = eventually("the stack", || {
        let stack = cli(&[&["cloudformation", "describe-stacks"], &named[..]].concat())["Stacks"][0].take();
        (stack["StackStatus"] == "CREATE_COMPLETE").then(|| stack["Outputs"].clone())
    });
    let output = |key: &str| {
        let found = outputs.as_array().expect("a list").iter().find(|output| output["OutputKey"] == key);
        found.and_then(|output| output["OutputValue"].as_str()).expect("an output").to_string()
    };
    let network = format!("subnetIds={},{}", output("A"), output("B"));
    cli(&[
        "eks",
        "create-cluster",
        "--name",
        "dev",
        "--role-arn",
        &output("Role"),
        "--kubernetes-version",
        "1.36",
        "--resources-vpc-config",
        &network,
        "--access-config",
        "authenticationMode=API,bootstrapClusterCreatorAdminPermissions=false",
        "--tags",
        &format!("berth.dev/owner={mark}"),
    ]);
    eventually("the cluster", || {
        (cli(&["eks", "describe-cluster", "--name", "dev"])["cluster"]["status"] == "ACTIVE").then_some(())
    });
    let entry = ["--cluster-name", "dev", "--principal-arn", "arn:aws:iam::123456789012:user/admin"];
    cli(&[&["eks", "create-access-entry"], &entry[..]].concat());
    let policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
    let rest = ["--policy-arn", policy, "--access-scope", "type=cluster"];
    cli(&[&["eks", "associate-access-policy"], &entry[..], &rest].concat());
}

#[test]
fn kubectl_gets_in_with_the_kubeconfig_of_berth_on_a_machine_that_made_nothing() {
    let aws = FakeAws::start(600);
    make_cluster(&aws, "7f3k2q9d");
    let keys = aws.environment();
    let berth = keys.iter().fold(Berth::new(), |berth, (key, value)| berth.with_variable(key, value));
    berth.profile("dev", EKS);
    berth.run(&["kubeconfig", "dev", "--merge", "--switch"]).expect(0);
    let mine = fs::read_to_string(berth.home().join(".kube/config")).expect("merged");
    assert!(mine.contains("interactiveMode: Never") && !mine.contains("k8s-aws-v1"), "{mine}");

    eventually("the access entry counts", || {
        let listed = kubectl_as(&berth, &keys, &["get", "namespaces", "--output", "name"]);
        listed.stdout.contains("namespace/default").then_some(())
    });
    let stranger = [
        ("AWS_ACCESS_KEY_ID", "ASIASTRANGER00000001"),
        ("AWS_SECRET_ACCESS_KEY", "stranger-secret-key-of-the-stand-in-0001"),
        ("AWS_SESSION_TOKEN", "fake-token-of-stranger-0001"),
    ];
    let refused = kubectl_as(&berth, &stranger, &["get", "namespaces"]);
    assert!(refused.stderr.contains("You must be logged in"), "{}", refused.said());
    assert_eq!(aws.violations(), json!([]));

    // The same name, and another owner.
    berth.profile("dev", &EKS.replace("7f3k2q9d", "9g4m3r8e"));
    let refused = berth.run(&["kubeconfig", "dev"]).expect(8);
    assert!(refused.stderr.contains("somebody else's"), "{}", refused.said());
}

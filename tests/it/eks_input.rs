//! What AWS cannot do, or not for us, is told in words that help and before anything is made. What a profile alone
//! shows to be wrong (names, addresses, kinds of machines) stands in tests/fixtures/invalid.

use std::net::TcpListener;

use serde_json::json;

use super::support::eks::one_line;
use super::support::{Berth, EksProfile, EksStage, Finished};

const GENERAL: &str = "{name: general, machine: m7i.large, nodes: 1}";

struct Asked {
    stage: EksStage,
}

impl Asked {
    fn new() -> Self {
        Self { stage: EksStage::new(&EksProfile::new(GENERAL)) }
    }

    /// What `up` of this profile says when it ends with `code`; it has to say it once.
    #[track_caller]
    fn refused(&self, profile: &EksProfile, code: i32) -> String {
        self.stage.declare(profile);
        told(self.stage.up(), code)
    }

    /// The same as somebody else: access key, secret key, token.
    #[track_caller]
    fn refused_as(&self, who: [&str; 3]) -> String {
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let given = keys.iter().zip(who).filter(|(_, value)| !value.is_empty());
        let machine = given
            .fold(self.stage.another_machine(), |berth: Berth, (key, value)| berth.with_variable(key, value));
        told(machine.run(&["up", "dev", "--yes"]), 4)
    }
}

#[track_caller]
fn told(ended: Finished, code: i32) -> String {
    let ended = ended.expect(code);
    let said = one_line(&ended.stderr);
    assert_eq!(said.matches("error:").count(), 1, "{}", ended.said());
    said
}

#[track_caller]
fn expect(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
}

#[test]
fn a_login_that_does_not_come_to_an_end_ends_with_the_time_that_was_given() {
    // It takes calls and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    silent.set_nonblocking(true).expect("it is ours");
    let asked = || std::iter::from_fn(|| silent.accept().ok()).count();
    let address = format!("http://{}", silent.local_addr().expect("it is bound"));
    let berth = Berth::new()
        .with_variable("AWS_ENDPOINT_URL", &address)
        .with_variable("AWS_ACCESS_KEY_ID", "ASIAPLATFORM00000001")
        .with_variable("AWS_SECRET_ACCESS_KEY", "a-secret-key-that-nobody-looks-at-000001")
        .with_variable("AWS_EC2_METADATA_DISABLED", "true");
    berth.profile("dev", &EksProfile::new(GENERAL).text());
    for command in [["plan", "dev"].as_slice(), &["up", "dev", "--yes"], &["down", "dev", "--yes"]] {
        let said = told(berth.run(&[command, &["--timeout", "2s"]].concat()), 7);
        expect(&said, &["cannot log in to AWS in eu-central-1", "the time given with `--timeout` is over"]);
        // Looking took all of the time: there is none of its own for the rest of the run.
        assert!(asked() <= 1, "{command:?} asked again");
    }
}

#[test]
fn whoever_aws_does_not_know_is_told_so_once() {
    let asked = Asked::new();
    let nobody = Berth::new()
        .with_variable("AWS_ENDPOINT_URL", &asked.stage.aws.url())
        .with_variable("AWS_EC2_METADATA_DISABLED", "true");
    nobody.profile("dev", &EksProfile::new(GENERAL).text());
    let said = told(nobody.run(&["up", "dev", "--yes"]), 4);
    expect(&said, &["no AWS credentials were found", "`aws sso login`", "AWS_PROFILE"]);
    let said = told(nobody.run(&["down", "dev-eks", "--yes"]), 4);
    expect(&said, &["the profile dev-eks that ships with berth is taken, since there is no `"]);
    let empty = nobody.with_variable("AWS_ENDPOINT_URL_EKS", "");
    expect(&told(empty.run(&["up", "dev", "--yes"]), 1), &["names is empty", "unset AWS_ENDPOINT_URL"]);
    let bare = empty.with_variable("AWS_ENDPOINT_URL_EKS", "eks.test:443");
    let words = ["names is `eks.test:443`, which does not begin with `https://`", "unset AWS_ENDPOINT_URL"];
    expect(&told(bare.run(&["up", "dev", "--yes"]), 1), &words);
    let unsigned = bare.with_variable("AWS_ENDPOINT_URL_EKS", &asked.stage.aws.url());
    let unsigned = unsigned.with_variable("AWS_ENDPOINT_URL_SERVICE_QUOTAS", "");
    expect(&told(unsigned.run(&["up", "dev", "--yes"]), 1), &["names is empty", "unset AWS_ENDPOINT_URL"]);

    let expired =
        ["ASIAEXPIRED000000001", "expired-secret-key-of-the-stand-in-00001", "fake-token-of-platform-0001"];
    expect(&asked.refused_as(expired), &["the AWS credentials have expired", "`aws sso login`"]);
    let other = ["AKIAOTHER00000000001", "other-secret-key-of-the-stand-in-000001", ""];
    let words = [
        "belong to account 210987654321, and the profile says 123456789012",
        "correct `cluster.eks.account`",
    ];
    expect(&asked.refused_as(other), &words);
    let mistyped = ["AKIAADMIN00000000001", "not-the-secret-key", ""];
    expect(&asked.refused_as(mistyped), &["SignatureDoesNotMatch", "`aws sso login`"]);

    let elsewhere = EksProfile::new(GENERAL).text().replace("eu-central-1", "ap-east-1");
    asked.stage.berth.profile("dev", &elsewhere);
    let words = ["an account has to enable ap-east-1", "`aws account enable-region --region-name ap-east-1`"];
    expect(&told(asked.stage.up(), 4), &words);

    // A clock that is ten minutes off: the SDKs go by the time in the answers, the other calls tell it.
    for (offset, words) in [(600, "is 10 min behind AWS's"), (-600, "is 10 min ahead of AWS's")] {
        asked.stage.aws.scenario(&json!({"clock": {"offset": offset}}));
        expect(&asked.refused(&EksProfile::new(GENERAL), 4), &[words, "`timedatectl set-ntp true`"]);
    }
    assert_eq!(asked.stage.changes(0), Vec::<String>::new());
}

#[test]
fn what_the_region_has_not_is_told_before_anything_is_made() {
    let asked = Asked::new();
    let scenario = |values| asked.stage.aws.scenario(&values);
    let group = |text: &str| EksProfile::new(text);
    let slip = group("{name: general, machine: m7i.lage, nodes: 1, resources: {cpu: 2, memory: 8Gi}}");
    expect(&asked.refused(&slip, 1), &["has no machine type `m7i.lage`", "did you mean `m7i.large`?"]);
    let zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
    scenario(json!({"typeZonesWithout": {"m7i.large": zones}}));
    expect(&asked.refused(&group(GENERAL), 1), &["eu-central-1 has no machine type `m7i.large`"]);
    scenario(json!({"typeZonesWithout": {"m7i.large": ["eu-central-1a"]}}));
    let there = group("{name: general, machine: m7i.large, nodes: 1, zones: [a]}");
    expect(&asked.refused(&there, 1), &["m7i.large", "eu-central-1a", "other `zones`"]);
    scenario(json!({"typeZonesWithout": {"m7i.large": []}}));
    let nowhere = group("{name: general, machine: m7i.large, nodes: 1, zones: [z]}");
    let words =
        ["asks for zone eu-central-1z", "write one or more of eu-central-1a, eu-central-1b, eu-central-1c"];
    asked.stage.declare(&nowhere);
    expect(&one_line(&asked.stage.up().expect(1).stderr), &words);
    let mixed = "{name: general, machine: m7i.large, otherMachines: [m9g.large], nodes: 1, \
                 resources: {cpu: 2, memory: 8Gi}}";
    expect(&asked.refused(&group(mixed), 1), &["has no machine type `m9g.large`"]);

    asked.stage.berth.profile("dev", &EksProfile::new(GENERAL).text().replace("1.36", "1.37"));
    let words =
        ["EKS does not offer Kubernetes 1.37 in eu-central-1, but 1.32, ", "write `version: \"1.36\"`"];
    expect(&told(asked.stage.up(), 1), &words);

    // What can be made and will be in the way is a warning.
    asked.stage.aws.post("make", &json!({"kind": "vpc", "cidr": "10.0.0.0/16"}));
    asked.stage.declare(&group(GENERAL).with_cluster("endpoint: {public: [], private: true}"));
    let plan = one_line(&asked.stage.run("plan", &[]).expect(0).stdout);
    expect(
        &plan,
        &["the addresses 10.0.0.0/16 overlap those of vpc-", "`cluster.eks.network.cidr` keeps that open"],
    );
    expect(
        &plan,
        &["EKS cluster dev can be reached only from inside of its network", "`cluster.eks.endpoint.public`"],
    );
    scenario(json!({"quotas": {"L-F678F1CE": 1}}));
    expect(&asked.refused(&group(GENERAL), 8), &["quota of VPCs", "--quota-code L-F678F1CE"]);
    assert_eq!(asked.stage.changes(0), Vec::<String>::new());
}

//! What an environment on EKS becomes, and what it cannot become: upgrades, keys, protection, adoption, Auto Mode. One
//! environment goes through all of it.

use serde_json::json;

use super::support::eks::one_line;
use super::support::{EksProfile, EksStage};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555";
const GENERAL: &str = "{name: general, machine: m7i.large, nodes: 1}";

struct Changing {
    stage: EksStage,
    version: &'static str,
    fields: String,
    lines: String,
    groups: &'static str,
    id: &'static str,
}

impl Changing {
    fn declare(&self) {
        let profile = EksProfile::new(self.groups).with_cluster(&self.fields).with(&self.lines);
        let text = profile.text().replace("version: \"1.36\"", &format!("version: \"{}\"", self.version));
        self.stage.berth.profile("dev", &text.replace("id: 7f3k2q9d", &format!("id: {}", self.id)));
    }

    /// What a second run changes.
    #[track_caller]
    fn expect_settled(&self) {
        let before = self.stage.last();
        self.stage.up().expect(0);
        assert_eq!(self.stage.changes(before), Vec::<String>::new());
    }

    /// What `up` says when it ends with `code`.
    #[track_caller]
    fn up(&self, more: &[&str], code: i32) -> String {
        self.declare();
        let run = self.stage.run("up", &[&["--yes", "--timeout", "5m"], more].concat());
        one_line(&run.expect(code).said())
    }
}

#[test]
fn an_environment_is_upgraded_guarded_taken_over_and_given_to_auto_mode() {
    let mut dev = Changing {
        stage: EksStage::at_speed(240, &EksProfile::new(GENERAL)),
        version: "1.34",
        fields: String::new(),
        lines: String::new(),
        groups: GENERAL,
        id: "7f3k2q9d",
    };
    dev.up(&[], 0);

    // One minor at a time, and not back. First the control plane, then what follows it.
    dev.version = "1.36";
    let said = dev.up(&[], 8);
    assert!(said.contains("EKS upgrades one minor at a time; write `version: \"1.35\"`, run `up`"), "{said}");
    dev.stage.aws.scenario(&json!({"eksInsights": [
        {"name": "Deprecated APIs", "status": "WARNING", "reason": "somebody uses them", "version": "1.35"},
        {"name": "Kubelet skew", "status": "PASSING", "reason": "", "version": "1.35"},
    ]}));
    dev.version = "1.35";
    let before = dev.stage.last();
    let said = dev.up(&[], 0);
    assert!(said.contains("to Kubernetes 1.35: Deprecated APIs: WARNING somebody uses them"), "{said}");
    assert!(!said.contains("Kubelet skew"), "{said}");
    let changes = dev.stage.changes(before);
    assert_eq!(changes.first().map(String::as_str), Some("UpdateClusterVersion"), "{changes:?}");
    let count = |name: &str| changes.iter().filter(|change| *change == name).count();
    // kube-proxy and coredns have a version for each minor.
    assert_eq!(
        (count("UpdateNodegroupVersion"), count("UpdateAddon"), changes.len()),
        (1, 2, 4),
        "{changes:?}"
    );
    assert_eq!(
        (dev.stage.cluster()["version"].clone(), dev.stage.group("general")["version"].clone()),
        (json!("1.35"), json!("1.35"))
    );
    dev.expect_settled();
    dev.version = "1.34";
    assert!(dev.up(&[], 8).contains("it runs Kubernetes 1.35, which cannot become 1.34"));
    dev.version = "1.35";

    // A change that AWS gives up tells why; the next run makes it. A key stays.
    dev.fields = format!("secretsKey: \"{KEY}\"");
    dev.stage.aws.scenario(&json!({"eksUpdateFails": "the key is disabled"}));
    let said = dev.up(&[], 6);
    assert!(
        said.contains("cannot change the EKS cluster dev")
            && said.contains("why Unknown: the key is disabled"),
        "{said}"
    );
    dev.stage.aws.scenario(&json!({"eksUpdateFails": null}));
    dev.up(&[], 0);
    dev.fields = String::new();
    let said = dev.up(&[], 8);
    assert!(said.contains("which cannot be taken back; write `secretsKey: arn:aws:kms:"), "{said}");
    dev.fields = format!("secretsKey: \"{KEY}\"");

    // The protection of the profile is that of AWS too.
    dev.lines = "protected: true\n".to_string();
    dev.up(&[], 0);
    assert_eq!(dev.stage.cluster()["deletionProtection"], true);
    assert!(one_line(&dev.stage.down().expect(8).stderr).contains("set it to `false` there"));
    dev.lines = String::new();

    // Whoever lost its id takes it over, all of it, and only when asked.
    dev.id = "other123";
    let said = dev.up(&[], 8);
    assert!(
        said.contains("it belongs to the environment with the id `7f3k2q9d`; take it over with `--adopt`"),
        "{said}"
    );
    dev.up(&["--adopt"], 0);
    let strangers = |one: &serde_json::Value| one["tags"]["berth.dev/owner"] == "7f3k2q9d";
    let left: Vec<_> = dev.stage.aws.inventory().into_iter().filter(strangers).collect();
    assert_eq!(left, Vec::<serde_json::Value>::new());
    dev.expect_settled();

    // EKS makes the nodes instead.
    dev.groups = "";
    dev.fields = format!("secretsKey: \"{KEY}\", autoMode: true");
    dev.up(&[], 0);
    assert_eq!(dev.stage.groups(), Vec::<String>::new());
    assert_eq!(dev.stage.cluster()["computeConfig"]["enabled"], true);
    dev.expect_settled();
    dev.stage.down().expect(0);
    dev.stage.expect_left(&[]);
}

//! What an environment on EKS becomes, and what it cannot become: upgrades, keys, protection, adoption, Auto Mode. One
//! environment goes through all of it.

use serde_json::{Value, json};

use super::support::eks::{eventually_so, one_line};
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

    /// The status of an addon of EKS.
    fn addon(&self, name: &str) -> Value {
        let arguments = ["eks", "describe-addon", "--cluster-name", "dev", "--addon-name", name];
        self.stage.cli(&arguments)["addon"]["status"].take()
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

/// The calls of `action` since `since` that AWS refused.
fn refused(stage: &EksStage, since: u64, action: &str) -> Vec<serde_json::Value> {
    let (calls, _) = stage.aws.calls(since);
    calls.into_iter().filter(|call| call["action"] == action && call["status"] != 200).collect()
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
    let why = "why EKS cluster dev: it runs Kubernetes 1.34, and EKS upgrades one minor at a time: 1.36 is 2 upgrades \
               away next write `version: \"1.35\"` first, then `berth up dev";
    assert!(said.contains(why), "{said}");
    // What EKS holds up for its insights is told with them, and not forced.
    dev.version = "1.35";
    dev.stage.aws.scenario(&json!({"eksInsights": [
        {"name": "Old kubelets", "status": "ERROR", "reason": "they are too old", "version": "1.35"},
    ]}));
    let said = dev.up(&[], 6);
    assert!(said.contains("to Kubernetes 1.35: Old kubelets: ERROR they are too old"), "{said}");
    assert!(said.contains("next mend what the upgrade insights name"), "{said}");
    dev.stage.aws.scenario(&json!({"eksInsights": [
        {"name": "Deprecated APIs", "status": "WARNING", "reason": "somebody uses them", "version": "1.35"},
        {"name": "Kubelet skew", "status": "PASSING", "reason": "", "version": "1.35"},
    ]}));
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

    // An addon whose change failed, whoever began it, is changed once more by each run, and told with the reason.
    dev.stage.aws.scenario(&json!({"eksAddonFails": {"kube-proxy": "somebody else set spec.replicas"}}));
    let arguments = ["eks", "update-addon", "--cluster-name", "dev", "--addon-name", "kube-proxy"];
    dev.stage.cli(&[&arguments[..], &["--configuration-values", "{\"mode\": \"ipvs\"}"]].concat());
    eventually_so("the change fails", || dev.addon("kube-proxy") == "UPDATE_FAILED");
    let before = dev.stage.last();
    let said = dev.up(&[], 6);
    let why = "why UPDATE_FAILED: ConfigurationConflict: somebody else set spec.replicas";
    assert!(said.contains(why), "{said}");
    assert_eq!(dev.stage.changes(before), ["UpdateAddon"]);
    dev.stage.aws.scenario(&json!({"eksAddonFails": {"kube-proxy": null}}));
    let before = dev.stage.last();
    dev.up(&[], 0);
    assert_eq!(dev.stage.changes(before), ["UpdateAddon"]);
    assert_eq!(dev.addon("kube-proxy"), "ACTIVE");

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
    let strangers = |one: &Value| one["tags"]["berth.dev/owner"] == "7f3k2q9d";
    let left: Vec<_> = dev.stage.aws.inventory().into_iter().filter(strangers).collect();
    assert_eq!(left, Vec::<Value>::new());
    dev.expect_settled();

    goes_to_auto_mode_and_back(&mut dev);
    dev.stage.down().expect(0);
    dev.stage.expect_left(&[]);
}

fn goes_to_auto_mode_and_back(dev: &mut Changing) {
    // EKS makes the nodes instead, once its role may, and what nodes of groups ran by goes with these.
    dev.groups = "";
    dev.fields = format!("secretsKey: \"{KEY}\", autoMode: true");
    let before = dev.stage.last();
    let said = dev.up(&[], 0);
    assert!(said.contains("cannot attach the volumes that were made by the EBS driver so far"), "{said}");
    assert_eq!(refused(&dev.stage, before, "UpdateClusterConfig"), Vec::<serde_json::Value>::new());
    assert_eq!((dev.stage.groups(), dev.stage.addons()), (Vec::new(), Vec::new()));
    assert_eq!(dev.stage.cluster()["computeConfig"]["enabled"], true);
    dev.expect_settled();
    dev.stage.kubectl(&["create", "deployment", "web", "--image=example.com/web"]).expect(0);
    let made = ["get", "nodes", "-l", "eks.amazonaws.com/compute-type=auto", "-o", "name"];
    eventually_so("a node of Auto Mode", || !dev.stage.kubectl(&made).stdout.is_empty());

    // And groups again: its role keeps what EKS ends its nodes by until these are gone.
    dev.groups = GENERAL;
    dev.fields = format!("secretsKey: \"{KEY}\"");
    dev.declare();
    let said = one_line(&dev.stage.run("up", &[]).expect(8).said());
    assert!(said.contains("the nodes and load balancers of EKS Auto Mode"), "{said}");
    dev.up(&[], 0);
    assert_eq!(dev.stage.kubectl(&made).expect(0).stdout, "");
    assert_eq!(dev.stage.cluster()["computeConfig"]["enabled"], false);
    let role = ["iam", "list-attached-role-policies", "--role-name", "berth-dev-eu-central-1-cluster"];
    assert_eq!(dev.stage.cli(&role)["AttachedPolicies"].as_array().map(Vec::len), Some(1));
    dev.expect_settled();
}

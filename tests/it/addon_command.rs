//! `berth addon list` and `berth addon images`, and what `registry.mirrors` makes of images: in the
//! lists, in a rendering and in what stands.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::support::{Berth, Environment, Finished};

/// Two versions of an addon whose program runs nowhere, so that it is ready as soon as it is accepted.
const ECHO: &str = r#"
apiVersion: berth.dev/v1alpha1
kind: Addon
name: echo
summary: answers
versions:
  - {version: 1.1.0, kubernetes: {from: "1.33", to: "1.37"}, images: {echo: "example.com/echo:1.1.0"}}
  - {version: 1.0.0, kubernetes: {from: "1.33", to: "1.37"}, images: {echo: "example.com/echo:1.0.0"}}
needs: {loadBalancer: optional, nodeGroup: gpu}
imageFields:
  - {apiVersion: apps/v1, kind: Deployment, path: "spec.template.spec.containers[].args[]", flag: --helper}
options: {type: object, additionalProperties: false, properties: {namespace: {type: string, default: echo}}}
providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}
rehearsal: applied
"#;
const MANIFESTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: {{ options.namespace }}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: echo
  namespace: {{ options.namespace }}
  labels: {app.kubernetes.io/version: {{ version }}}
spec:
  replicas: 0
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
        - {name: echo, image: {{ images.echo }}, args: ["--helper=busybox:1.37"]}
"#;
/// An addon that a rehearsal renders and does not apply.
const HELD_BACK: &str = r#"
apiVersion: berth.dev/v1alpha1
kind: Addon
name: held-back
summary: is not rehearsed
versions:
  - {version: 2.0.0, kubernetes: {from: "1.33", to: "1.37"}, images: {only: "held.example.com/back:2"}}
options: {type: object, additionalProperties: false}
providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}
rehearsal: {notRehearsed: nothing stands behind it}
"#;
const POD: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: held-back, namespace: kube-public}
spec: {containers: [{name: only, image: {{ images.only }}}]}
";

fn write_addon(folder: &Path, name: &str, definition: &str, manifests: &str) {
    let manifests_folder = folder.join(name).join("manifests");
    fs::create_dir_all(&manifests_folder).expect("the folder is ours");
    fs::write(folder.join(name).join("addon.yaml"), definition).expect("the folder is ours");
    fs::write(manifests_folder.join("all.yaml"), manifests).expect("the folder is ours");
}

/// An environment on the shared control plane with addons of its own.
struct Stage(Environment);

impl Stage {
    /// With `more` behind the profile: addons, a registry.
    fn new(name: &str, more: &str) -> Self {
        let stage = Self(Environment::new(name));
        let addons = stage.0.berth.work().join("profiles/addons");
        write_addon(&addons, "echo", ECHO, MANIFESTS);
        write_addon(&addons, "held-back", HELD_BACK, POD);
        stage.declare(more);
        stage
    }

    fn declare(&self, more: &str) {
        self.0.declare(&[]);
        let path = self.0.berth.work().join("profiles").join(format!("{}.yaml", self.0.name));
        let profile = fs::read_to_string(&path).expect("it was written");
        let more = more.replace("NAMESPACE", &self.namespace());
        fs::write(path, format!("{profile}addonsFrom: [addons]\n{more}")).expect("the folder is ours");
    }

    fn namespace(&self) -> String {
        self.0.namespace("echo")
    }

    fn addon(&self, command: &str, more: &[&str]) -> Finished {
        self.0.berth.run(&[&["addon", command, &self.0.name], more].concat())
    }

    /// What `addon list` says of `echo`.
    fn echo(&self) -> Value {
        let listed = json(&self.addon("list", &["--output", "json"]).expect(0));
        let addons = listed["addons"].as_array().expect("a list").clone();
        addons.into_iter().find(|addon| addon["name"] == "echo").unwrap_or_default()
    }

    fn live_image(&self) -> String {
        self.0.field(&self.namespace(), "deployment/echo", ".spec.template.spec.containers[0].image")
    }
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.said()))
}

fn first_words(finished: &Finished) -> Vec<String> {
    finished
        .stdout
        .lines()
        .map(|line| line.split_whitespace().next().unwrap_or_default().to_string())
        .collect()
}

#[test]
fn the_catalog_is_listed_without_an_environment() {
    let berth = Berth::new();
    let listed = berth.run(&["addon", "list"]).expect(0);
    let shipped = berth::addons::shipped_names();
    assert_eq!(first_words(&listed), [&["ADDON".to_string()], shipped.as_slice()].concat());
    let known = json(&berth.run(&["addon", "list", "--output", "json"]).expect(0));
    assert_eq!(known["schema"], 1);
    let names: Vec<&str> = known["addons"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|addon| addon["name"].as_str())
        .collect();
    assert_eq!(names, shipped);
    let metallb = &known["addons"][0];
    assert_eq!(metallb["providers"][1]["way"], "refused");
    assert!(metallb["providers"][1]["because"].is_string(), "{metallb:#}");
    assert!(metallb["versions"][0]["kubernetes"].is_string(), "{metallb:#}");
}

#[test]
fn the_images_of_the_catalog_are_full_references() {
    let berth = Berth::new();
    let images = json(&berth.run(&["addon", "images", "--output", "json"]).expect(0));
    let images = images["images"].as_array().expect("a list").clone();
    let names: Vec<&str> = images.iter().filter_map(|image| image["image"].as_str()).collect();
    assert_eq!(first_words(&berth.run(&["addon", "images"]).expect(0)), names);
    for image in &images {
        let name = image["image"].as_str().expect("text");
        assert!(name.split('/').next().is_some_and(|host| host.contains('.')), "{name}");
        assert_eq!(image["digest"].as_str(), name.split_once('@').map(|(_, digest)| digest));
        assert_eq!(image["usedBy"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn an_addon_is_listed_from_its_absence_to_its_drift() {
    let stage = Stage::new("addon-life", "addons: {echo: {namespace: NAMESPACE, version: 1.0.0}}\n");
    let absent = stage.echo();
    assert_eq!((&absent["state"], &absent["standing"]), (&json!("absent"), &json!([])));
    assert_eq!((&absent["version"], &absent["newer"]), (&json!("1.0.0"), &json!("1.1.0")));
    assert_eq!(
        absent["needs"],
        json!([
            {"what": "load balancer", "optional": true},
            {"what": "node group with GPUs", "optional": false}
        ])
    );

    stage.0.up().expect(0);
    let ready = stage.echo();
    assert_eq!((&ready["state"], &ready["standing"]), (&json!("ready"), &json!(["1.0.0"])));
    let text = stage.addon("list", &[]).expect(0).stdout;
    let expected = "\
addon-life (existing)
ADDON  VERSION  STANDS  NEWER  STATE  NEEDS
echo   1.0.0    1.0.0   1.1.0  ready  no load balancer (optional), no node group with GPUs
";
    assert_eq!(text, expected);

    stage.declare("addons: {echo: {namespace: NAMESPACE}}\n");
    let pending = stage.echo();
    assert_eq!((&pending["version"], &pending["standing"]), (&json!("1.1.0"), &json!(["1.0.0"])));
    assert_eq!((&pending["state"], &pending["newer"]), (&json!("differs"), &json!("1.1.0")));
    stage.0.up().expect(0);
    let upgraded = stage.echo();
    assert_eq!((&upgraded["state"], &upgraded["newer"]), (&json!("ready"), &Value::Null));

    let namespace = stage.namespace();
    let image = ["-n", namespace.as_str(), "set", "image", "deployment/echo", "echo=example.com/other:9"];
    stage.0.plane.kubectl(&image).expect(0);
    assert_eq!(stage.echo()["state"], "differs");

    stage.declare("addons: {held-back: {}}\n");
    let left = stage.echo();
    assert_eq!((&left["state"], &left["version"]), (&json!("left"), &Value::Null));
    assert_eq!(left["standing"], json!(["1.1.0"]));
}

#[test]
fn listing_asks_for_no_more_than_status_does_and_writes_nothing() {
    let stage = Stage::new("addon-reads", "addons: {echo: {namespace: NAMESPACE}}\n");
    stage.0.up().expect(0);
    stage.0.proxy.forget();
    stage.0.run("status", &[]).expect(0);
    let status = stage.0.proxy.log().lists();
    stage.0.proxy.forget();
    stage.addon("list", &[]).expect(0);
    let log = stage.0.proxy.log();
    assert_eq!(log.write_titles(), [""; 0]);
    let lists = log.lists();
    assert!(lists.keys().any(|list| list.contains("deployments")), "{lists:?}");
    for (list, count) in &lists {
        assert!(status.get(list).is_some_and(|asked| count <= asked), "{list}: {lists:?} {status:?}");
    }
}

#[test]
fn what_is_not_rehearsed_and_what_is_not_made_yet_are_listed_without_a_cluster() {
    let berth = Berth::new();
    let addons = berth.work().join("profiles/addons");
    write_addon(&addons, "echo", ECHO, MANIFESTS);
    write_addon(&addons, "held-back", HELD_BACK, POD);
    berth.profile(
        "lab",
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster: {kind: {}}\n\
         nodeGroups: [{name: gpu, nodes: 1, resources: {cpu: 4, memory: 8Gi, nvidia.com/gpu: 1}}]\n\
         addonsFrom: [addons]\naddons: {echo: {namespace: echo}, held-back: {}, metrics-server: {}}\n",
    );
    let listed = berth.run(&["addon", "list", "lab", "--rehearse"]).expect(0);
    let states: Vec<Vec<&str>> = listed
        .stdout
        .lines()
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let catalog = berth::addons::Catalog::load(&[]).expect("the shipped addons");
    let metrics_server = catalog.get("metrics-server").expect("it ships");
    let newest = metrics_server.definition.versions[0].version.as_str();
    let needs = "no load balancer (optional), node group with GPUs from node group gpu";
    assert_eq!(
        states,
        [
            vec!["echo", "1.1.0", "-", "-", "absent", needs],
            vec!["held-back", "2.0.0", "-", "-", "not rehearsed", "-"],
            vec!["metrics-server", newest, "-", "-", "absent", "-"],
        ]
    );
    for why in ["\n  held-back: nothing stands behind it\n", "\n  metrics-server: provided: kwokctl runs"] {
        assert!(listed.stdout.contains(why), "{}", listed.said());
    }
    assert!(!berth.home().join(".local/state/berth/kwok").exists(), "looking makes nothing");
    let images = berth.run(&["addon", "images", "lab", "--rehearse"]).expect(0);
    assert_eq!(
        first_words(&images),
        ["docker.io/library/busybox:1.37", "example.com/echo:1.1.0", "held.example.com/back:2"]
    );
    assert!(
        images.stderr.contains("not berth's to pull: addon metrics-server: kwokctl"),
        "{}",
        images.said()
    );
    let none = berth.run(&["addon", "images", "prod-eks"]).expect(0);
    assert!(none.stderr.contains("EKS brings it as an add-on of its own"), "{}", none.said());
}

#[test]
fn images_come_from_the_mirrors_in_the_list_in_a_rendering_and_in_what_stands() {
    let more = "registry: {mirrors: {docker.io: r.example.com:5000/hub, example.com: r.example.com:5000/own}}\n\
                addons: {echo: {namespace: NAMESPACE}}\n";
    let stage = Stage::new("addon-mirror", more);
    let images = stage.addon("images", &[]).expect(0);
    assert_eq!(
        images.stdout,
        "r.example.com:5000/hub/library/busybox:1.37  no digest  echo 1.1.0 (Deployment)  \
         mirror of docker.io/library/busybox:1.37\n\
         r.example.com:5000/own/echo:1.1.0            no digest  echo 1.1.0 (Deployment)  \
         mirror of example.com/echo:1.1.0\n"
    );
    let listed = json(&stage.addon("images", &["--output", "json"]).expect(0));
    let title = format!("Deployment {}/echo", stage.namespace());
    assert_eq!(
        listed["images"][1],
        json!({
            "image": "r.example.com:5000/own/echo:1.1.0", "original": "example.com/echo:1.1.0", "digest": null,
            "mirrored": true, "missed": false,
            "usedBy": [{"addon": "echo", "version": "1.1.0", "kinds": ["Deployment"], "objects": [title]}],
        })
    );

    stage.0.run("render", &["--out", "out"]).expect(0);
    let file = format!("deployment.{}.echo.yaml", stage.namespace());
    let rendered =
        fs::read_to_string(stage.0.berth.work().join("out/01-workloads").join(file)).expect("there");
    assert!(rendered.contains("r.example.com:5000/own/echo:1.1.0"), "{rendered}");
    assert!(rendered.contains("--helper=r.example.com:5000/hub/library/busybox:1.37"), "{rendered}");

    stage.0.up().expect(0);
    assert_eq!(stage.live_image(), "r.example.com:5000/own/echo:1.1.0");
    stage.0.run("plan", &["--detailed-exitcode"]).expect(0);
    stage.declare("addons: {echo: {namespace: NAMESPACE}}\n");
    stage.0.up().expect(0);
    assert_eq!(stage.live_image(), "example.com/echo:1.1.0");
}

#[test]
fn an_image_that_no_mirror_is_for_is_refused_before_anything_is_made() {
    let more = "registry: {mirrors: {docker.io: r.example.com/hub}}\n\
                addons: {echo: {namespace: NAMESPACE}, held-back: {}}\n";
    let stage = Stage::new("addon-missed", more);
    for (command, more) in [
        ("validate", &[][..]),
        ("render", &["--out", "out"]),
        ("plan", &[]),
        ("up", &["--yes"]),
        ("up", &["--yes", "--rehearse"]),
    ] {
        let refused = stage.0.run(command, more).expect(3);
        let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "no mirror of `registry.mirrors` is for these images:",
            "`example.com/echo:1.1.0` (Deployment addon-missed-echo/echo of addon echo)",
            "`held.example.com/back:2` (Pod kube-public/held-back of addon held-back)",
            "`example.com: REGISTRY/PATH` and `held.example.com: REGISTRY/PATH`",
        ] {
            assert!(said.contains(words), "{command} does not say `{words}`: {}", refused.said());
        }
        assert!(!said.contains("busybox"), "{}", refused.said());
    }
    let asked: Vec<String> = stage.0.proxy.log().0.iter().map(|request| request.uri.clone()).collect();
    assert!(asked.iter().all(|uri| uri == "/version"), "more than its version was asked: {asked:?}");
    assert!(!stage.0.berth.work().join("out").exists(), "something was rendered");
    assert!(!stage.0.berth.home().join(".local/state/berth/kwok").exists(), "a rehearsal was begun");

    let listed = stage.addon("images", &[]).expect(0);
    let missed = listed.stdout.lines().filter(|line| line.ends_with("no mirror is for it")).count();
    assert_eq!(missed, 2, "{}", listed.said());
    stage.0.down().expect(0);
}

#[test]
fn images_of_manifests_from_elsewhere_come_from_the_mirrors_too() {
    let field = "{apiVersion: apps/v1, kind: Deployment, path: \"spec.template.spec.containers[].args[]\", flag: --solver}";
    let addons = format!(
        "addons: {{web: {{manifests: {{path: web.yaml, namespace: NAMESPACE, imageFields: [{field}]}}}}}}\n"
    );
    let mirrors = "registry: {mirrors: {docker.io: r.example.com/hub}}\n";
    let stage = Stage::new("addon-elsewhere", &format!("{mirrors}{addons}"));
    let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  \
                    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                    spec: {containers: [{name: web, image: nginx, args: [\"--solver=grafana/solver:1\"]}]}\n";
    fs::write(stage.0.berth.work().join("profiles/web.yaml"), manifest).expect("the folder is ours");
    let images = first_words(&stage.addon("images", &[]).expect(0));
    assert_eq!(images, ["r.example.com/hub/grafana/solver:1", "r.example.com/hub/library/nginx:latest"]);
    stage.0.up().expect(0);
    let live = |path| stage.0.field(&stage.namespace(), "deployment/web", path);
    assert_eq!(live(".spec.template.spec.containers[0].image"), "r.example.com/hub/library/nginx:latest");
    assert_eq!(
        live(".spec.template.spec.containers[0].args[0]"),
        "--solver=r.example.com/hub/grafana/solver:1"
    );

    stage.declare(&format!("registry: {{mirrors: {{quay.io: r.example.com/quay}}}}\n{addons}"));
    let refused = stage.0.up().expect(3);
    assert!(refused.stderr.contains("docker.io/grafana/solver:1"), "{}", refused.said());
    stage.0.down().expect(0);
}

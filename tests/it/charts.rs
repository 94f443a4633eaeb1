//! Addons from elsewhere: charts rendered by the real helm, version 3 and 4, and manifests as they are.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::support::{Berth, Environment, Finished, Web, addon_binaries, path_with_tools, run};

const HELMS: [&str; 2] = ["helm3", "helm4"];

fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/charts").join(name)
}

fn sum(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// A folder for PATH with a program called `helm`.
fn path_with(helm: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink(addon_binaries().join(helm), folder.path().join("helm")).expect("the folder is ours");
    folder
}

/// A folder for PATH with this script as `helm`.
fn path_with_script(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("helm");
    fs::write(&path, script).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    folder
}

/// A berth whose profile `lab` has these addons, and whose first folder on PATH is `path`.
fn berth_with(addons: &str, path: &Path) -> Berth {
    let berth = Berth::new().with_path_first(path);
    declare(&berth, addons);
    berth
}

fn declare(berth: &Berth, addons: &str) {
    let head = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster: {kwok: {}}\n";
    berth.profile("lab", &format!("{head}addons:\n{addons}"));
}

fn render(berth: &Berth) -> Finished {
    berth.run(&["render", "lab", "--out", "out"])
}

/// The files of the rendering, without the folders of the waves.
fn rendered(berth: &Berth) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in fs::read_dir(berth.work().join("out")).expect("rendered").flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            names.insert(file.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

/// What stands on standard error, on one line, so that breaks do not matter.
fn words(finished: &Finished) -> String {
    finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails with `code` and says each of `parts`.
#[track_caller]
fn refused(finished: Finished, code: i32, parts: &[&str]) -> Finished {
    let finished = finished.expect(code);
    for part in parts {
        assert!(words(&finished).contains(part), "`{part}` is not said: {}", finished.said());
    }
    finished
}

/// The packed chart, as a repository has it.
fn packed(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut helm = Command::new(addon_binaries().join("helm3"));
    helm.env("HOME", folder.path()).args(["package", "--destination"]).arg(folder.path()).arg(chart(name));
    run(helm).expect(0);
    let mut files = fs::read_dir(folder.path()).expect("readable").flatten().map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|e| e == "tgz")).expect("helm packs");
    fs::read(file).expect("readable")
}

#[test]
fn a_chart_stands_as_both_helms_render_it_and_follows_the_profile() {
    let (three, four) = (path_with("helm3"), path_with("helm4"));
    let without_helm = path_with_script("#!/bin/sh\necho 'helm was called' >&2\nexit 1\n");
    let environment = Environment::new("charts-life");
    environment.declare(&[]);
    let profile = environment.berth.work().join("profiles/charts-life.yaml");
    let bare = fs::read_to_string(&profile).expect("written");
    let addons = |greeting: &str| {
        let values = format!("{{greeting: {greeting}, token: t0ken}}");
        format!("{bare}addons:\n  web: {{chart: {{path: {}, values: {values}}}}}\n", chart("web").display())
    };
    let run_with = |helm: &tempfile::TempDir, arguments: &[&str]| {
        let mut command =
            environment.berth.command(&[&arguments[..1], &["charts-life"], &arguments[1..]].concat());
        command.env("PATH", format!("{}:{}", helm.path().display(), path_with_tools()));
        run(command)
    };
    fs::write(&profile, addons("hello")).expect("the folder is ours");
    let _definition = Definition(&environment);

    run_with(&three, &["up", "--yes"]).expect(0);
    let titles = environment.platform().titles();
    for title in [
        "Namespace web",
        "CustomResourceDefinition dials.charts.berth.dev",
        "Dial web/web",
        "Deployment web/web",
        "Secret web/web",
        "ClusterRole web",
    ] {
        assert!(titles.contains(title), "{title} is not there: {titles:?}");
    }
    assert!(!titles.iter().any(|title| title.contains("answers")), "a test hook stands: {titles:?}");

    environment.proxy.forget();
    run_with(&three, &["up", "--yes"]).expect(0);
    assert_eq!(environment.proxy.log().write_titles(), [""; 0], "the second `up` wrote");
    run_with(&four, &["plan", "--detailed-exitcode"]).expect(0);

    fs::write(&profile, addons("goodbye")).expect("the folder is ours");
    let changed = run_with(&four, &["plan", "--detailed-exitcode"]).expect(2);
    assert!(
        changed.stdout.contains("data.greeting") && changed.stdout.contains("goodbye"),
        "{}",
        changed.said()
    );
    run_with(&four, &["up", "--only", "addon/web", "--yes"]).expect(0);
    assert_eq!(environment.field("web", "configmap/web", ".data.greeting"), "goodbye");

    // Neither `down` nor an addon that is no longer there needs helm.
    fs::write(&profile, &bare).expect("the folder is ours");
    run_with(&without_helm, &["up", "--yes"]).expect(0);
    assert_eq!(environment.field("web", "deployment/web", ".metadata.name"), "");
    fs::write(&profile, addons("hello")).expect("the folder is ours");
    run_with(&four, &["up", "--yes"]).expect(0);
    run_with(&without_helm, &["down", "--yes"]).expect(0);
    let left = environment.platform().titles();
    assert!(left.iter().all(|title| title.starts_with("CustomResourceDefinition")), "{left:?}");
}

#[test]
fn custom_resources_find_their_definition_wherever_it_comes_from() {
    let environment = Environment::new("charts-kinds");
    environment.declare(&[]);
    let (work, definition) = (environment.berth.work(), Definition(&environment));
    let write = |name: &str, text: &str| fs::write(work.join(name), text).expect("the folder is ours");
    // One kind is defined by an addon behind the one that uses it, the other by somebody else.
    let crd = fs::read_to_string(chart("web").join("crds/dials.yaml")).expect("readable");
    write("knobs.yaml", &crd.replace("dial", "knob").replace("Dial", "Knob"));
    let theirs = crd.replace("dial", "gauge").replace("Dial", "Gauge");
    let theirs =
        theirs.replace("  creationTimestamp: null\n", &format!("  labels: {{{}}}\n", Definition::LABEL));
    write("gauges.yaml", &theirs);
    let made = environment
        .plane
        .kubectl(&["apply", "-f", &work.join("gauges.yaml").display().to_string()])
        .expect(0);
    assert!(made.stdout.contains("created"), "{}", made.said());
    let both = "apiVersion: charts.berth.dev/v1\nkind: KIND\nmetadata: {name: one}\nspec: {level: 1}\n";
    write("users.yaml", &format!("{}---\n{}", both.replace("KIND", "Knob"), both.replace("KIND", "Gauge")));
    let profile = work.join("profiles/charts-kinds.yaml");
    let bare = fs::read_to_string(&profile).expect("written");
    let addons = "addons:\n  users: {manifests: {path: ../users.yaml, namespace: charts-users}}\n";
    let definitions = "  zoo: {manifests: {path: ../knobs.yaml}}\n";
    fs::write(&profile, format!("{bare}{addons}{definitions}")).expect("the folder is ours");

    environment.up().expect(0);
    let titles = environment.platform().titles();
    for title in ["Knob charts-users/one", "Gauge charts-users/one"] {
        assert!(titles.contains(title), "{title} is not there: {titles:?}");
    }
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(environment.proxy.log().write_titles(), [""; 0], "the second `up` wrote");
    environment.down().expect(0);
    assert!(!environment.platform().titles().iter().any(|title| title.contains("charts-users")));
    drop(definition);
}

/// Definitions stay when an environment goes; those of a test go with it.
struct Definition<'a>(&'a Environment);

impl Definition<'_> {
    /// What somebody else makes for a test carries this.
    const LABEL: &'static str = "charts.berth.dev/test: theirs";
}

impl Drop for Definition<'_> {
    fn drop(&mut self) {
        for selector in [self.0.selector().as_str(), "charts.berth.dev/test=theirs"] {
            self.0.plane.kubectl(&["delete", "customresourcedefinitions", "-l", selector]);
        }
    }
}

#[test]
fn what_a_chart_may_not_be_is_refused_by_both_helms_with_what_to_do() {
    for helm in HELMS {
        let path = path_with(helm);
        for (name, parts) in [
            ("hooks", &["hooks of Helm: Job web-migrate (pre-install,pre-upgrade)", "`values`"][..]),
            ("elsewhere", &["RoleBinding kube-system/web-auth-reader", "namespaces: [kube-system]"]),
            ("prose", &["document 2, line", "prose/templates/prose.yaml", "no `apiVersion`"]),
            ("random", &["differs each time, in Secret web-login", "set those values"]),
            ("broken", &["broken/templates/object.yaml", "line 3"]),
        ] {
            let berth =
                berth_with(&format!("  web: {{chart: {{path: {}}}}}\n", chart(name).display()), path.path());
            refused(render(&berth), 3, &[&["addons.web"], parts].concat());
            // The profile itself is in order: nothing is fetched to say so.
            berth.run(&["validate", "lab"]).expect(0);
        }
        let allowed = format!(
            "  web: {{chart: {{path: {}, namespaces: [kube-system]}}}}\n",
            chart("elsewhere").display()
        );
        let berth = berth_with(&allowed, path.path());
        render(&berth).expect(0);
        assert!(
            rendered(&berth).contains("rolebinding.kube-system.web-auth-reader.yaml"),
            "{:?}",
            rendered(&berth)
        );
        let set =
            format!("  web: {{chart: {{path: {}, values: {{login: given}}}}}}\n", chart("random").display());
        render(&berth_with(&set, path.path())).expect(0);
    }
}

#[test]
fn a_helm_that_is_missing_or_too_old_is_said_with_what_to_install() {
    let addons = format!("  web: {{chart: {{path: {}}}}}\n", chart("web").display());
    let old = path_with_script("#!/bin/sh\necho v3.2.0\n");
    refused(
        render(&berth_with(&addons, old.path())),
        3,
        &["is helm 3.2, too old to be used here", "install helm 3.8 or newer"],
    );
    let mute = path_with_script("#!/bin/sh\necho 'Error: no such command' >&2\nexit 1\n");
    refused(
        render(&berth_with(&addons, mute.path())),
        3,
        &["for its version", "no such command", "install helm 3.8 or newer"],
    );
    let berth = berth_with(&addons, mute.path());
    let mut command = berth.command(&["render", "lab", "--out", "out"]);
    let nowhere = tempfile::tempdir().expect("a temporary folder");
    command.env("PATH", nowhere.path());
    refused(run(command), 3, &["cannot find `helm`", "it is not on PATH", "install helm 3.8 or newer"]);
    for command in [
        &["validate", "lab"][..],
        &["list"],
        &["plan", "lab", "--only", "tenants"],
        &["down", "lab", "--yes"],
    ] {
        berth.run(command).expect(0);
    }
}

#[test]
fn values_are_in_no_argument_and_no_file_that_stays() {
    let real = addon_binaries().join("helm4");
    let calls = tempfile::NamedTempFile::new().expect("a temporary file");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
        calls.path().display(),
        real.display()
    );
    let path = path_with_script(&script);
    let values = "{token: S3cretToken}";
    let berth = berth_with(
        &format!("  web: {{chart: {{path: {}, values: {values}}}}}\n", chart("web").display()),
        path.path(),
    );
    render(&berth).expect(0);
    let calls = fs::read_to_string(calls.path()).expect("readable");
    assert!(calls.contains("template web") && calls.contains("--kube-version v1."), "{calls}");
    assert!(!calls.contains("S3cretToken"), "{calls}");
    let mut grep = Command::new("grep");
    grep.args(["-rl", "S3cretToken"]).arg(berth.home());
    assert_eq!(run(grep).stdout, "", "it stays in the home folder");
}

#[test]
fn a_chart_of_a_repository_is_fetched_once_and_is_what_the_profile_says() {
    let packed = packed("web");
    let web = Web::new();
    web.put("charts/web-1.2.3.tgz", "application/gzip", &packed);
    let index = format!(
        "apiVersion: v1\nentries:\n  web:\n    - {{apiVersion: v2, name: web, version: 1.2.3, digest: {}, urls: [web-1.2.3.tgz]}}\n",
        sum(&packed)
    );
    web.put("charts/index.yaml", "text/yaml", index.as_bytes());
    let addons = |version: &str, sha256: &str| {
        let repo = web.url("charts");
        format!("  web: {{chart: {{repo: \"{repo}\", name: web, version: {version}, sha256: {sha256}}}}}\n")
    };
    for helm in HELMS {
        let path = path_with(helm);
        let berth = berth_with(&addons("1.2.3", &sum(&packed)), path.path());
        render(&berth).expect(0);
        assert!(rendered(&berth).contains("deployment.web.web.yaml"), "{:?}", rendered(&berth));
        assert!(web.asked().contains(&"GET /charts/web-1.2.3.tgz".to_string()));
        render(&berth).expect(0);
        assert_eq!(web.asked(), [""; 0], "{helm} fetched it again");

        let wrong = sum(b"another");
        declare(&berth, &addons("1.2.3", &wrong));
        refused(render(&berth), 3, &["addons.web", &wrong, &sum(&packed), "published it again"]);
        assert!(!berth.home().join(".cache/berth/downloads").join(&wrong).exists());
        declare(&berth, &addons("9.9.9", &wrong));
        refused(render(&berth), 3, &["fetch the chart `web` 9.9.9", "correct the address"]);
        web.asked();

        // Who has no network puts the packed chart where the download would be kept.
        let offline = berth_with(&addons("1.2.3", &sum(&packed)), path.path());
        let downloads = offline.home().join(".cache/berth/downloads");
        fs::create_dir_all(&downloads).expect("the home is ours");
        fs::write(downloads.join(sum(&packed)), &packed).expect("the home is ours");
        render(&offline).expect(0);
        assert_eq!(web.asked(), [""; 0], "{helm} fetched what was there");
    }
}

#[test]
fn a_chart_of_a_registry_is_fetched_and_checked() {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let packed = packed("web");
    let config = br#"{"name":"web","version":"1.2.3","apiVersion":"v2"}"#;
    let layer = |kind: &str, content: &[u8]| serde_json::json!({"mediaType": kind, "digest": format!("sha256:{}", sum(content)), "size": content.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": layer("application/vnd.cncf.helm.config.v1+json", config),
        "layers": [layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &packed)],
    })
    .to_string();
    let web = Web::new();
    web.put("v2/", "application/json", b"{}");
    for reference in ["1.2.3", &format!("sha256:{}", sum(manifest.as_bytes()))] {
        web.put(&format!("v2/charts/web/manifests/{reference}"), MANIFEST, manifest.as_bytes());
    }
    for content in [&packed[..], config] {
        let path = format!("v2/charts/web/blobs/sha256:{}", sum(content));
        web.put(&path, "application/octet-stream", content);
    }
    for helm in HELMS {
        let path = path_with(helm);
        let sha256 = sum(&packed);
        let reference = format!("oci://{}/charts/web", web.address());
        let addons =
            format!("  web: {{chart: {{oci: \"{reference}\", version: 1.2.3, sha256: {sha256}}}}}\n");
        let berth = berth_with(&addons, path.path());
        render(&berth).expect(0);
        assert!(rendered(&berth).contains("dial.web.web.yaml"), "{:?}", rendered(&berth));
        web.asked();
        render(&berth).expect(0);
        assert_eq!(web.asked(), [""; 0], "{helm} fetched it again");
        declare(&berth, &addons.replace(&sha256, &sum(b"another")));
        refused(render(&berth), 3, &[&sha256, "published it again"]);
        web.asked();
    }
}

#[test]
fn manifests_are_fetched_with_patience_and_are_what_the_profile_says() {
    let web = Web::new();
    let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# nothing\n---\nkind: List\napiVersion: v1\nitems: []\n";
    web.put("install.yaml", "text/yaml", text);
    let addons = |path: &str, sha256: &str| {
        format!("  web: {{manifests: {{url: \"{}\", sha256: {sha256}}}}}\n", web.url(path))
    };
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let berth = berth_with(&addons("install.yaml", &sum(text)), nothing.path());
    web.refuse(2);
    render(&berth).expect(0);
    assert_eq!(web.asked().len(), 3, "two refusals, then the file");
    let files: Vec<String> = rendered(&berth).into_iter().collect();
    assert_eq!(files, ["configmap.web.a.yaml", "namespace.web.yaml"]);
    render(&berth).expect(0);
    assert_eq!(web.asked(), [""; 0]);

    declare(&berth, &addons("install.yaml", &sum(b"another")));
    refused(render(&berth), 3, &["install.yaml", &sum(text), &sum(b"another")]);
    declare(&berth, &addons("gone.yaml", &sum(b"another")));
    refused(render(&berth), 3, &["the server answers 404", "correct the address"]);
    web.put("large.yaml", "text/yaml", &vec![b'#'; 33 << 20]);
    declare(&berth, &addons("large.yaml", &sum(b"another")));
    refused(render(&berth), 3, &["it is larger than 32 MiB"]);
    let nobody = "http://127.0.0.1:1/install.yaml";
    declare(&berth, &format!("  web: {{manifests: {{url: \"{nobody}\", sha256: {}}}}}\n", sum(b"another")));
    refused(render(&berth), 1, &["for `addons.web`", "refused", "put the file at", &sum(b"another")]);
    for (content, why) in [
        (&b"<html>\n<body>moved</body>"[..], "is no"),
        (b"a: [1\n", "document 1, line"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"# nothing\n", "there is no object in it"),
    ] {
        web.put("wrong.yaml", "text/yaml", content);
        declare(&berth, &addons("wrong.yaml", &sum(content)));
        refused(render(&berth), 3, &["addons.web", why]);
    }
}

#[test]
fn manifests_of_a_folder_are_taken_in_the_order_of_their_names() {
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let berth =
        berth_with("  web: {manifests: {path: ../manifests, namespace: kube-system}}\n", nothing.path());
    let folder = berth.work().join("manifests");
    fs::create_dir_all(folder.join("inner")).expect("the folder is ours");
    refused(render(&berth), 3, &["no `.yaml` or `.yml` file is in that folder"]);
    let config = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    for (file, content) in [
        ("a.yaml", config("a")),
        ("b.yml", config("b")),
        ("notes.txt", "{".to_string()),
        ("inner/c.yaml", config("c")),
    ] {
        fs::write(folder.join(file), content).expect("the folder is ours");
    }
    render(&berth).expect(0);
    let files: Vec<String> = rendered(&berth).into_iter().collect();
    assert_eq!(files, ["configmap.kube-system.a.yaml", "configmap.kube-system.b.yaml"]);
    fs::write(folder.join("b.yml"), config("a")).expect("the folder is ours");
    refused(render(&berth), 3, &["ConfigMap kube-system/a is there twice", "b.yml"]);
}

#[test]
fn what_two_addons_bring_is_refused_and_a_namespace_can_be_shared() {
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let berth = berth_with(
        "  one: {manifests: {path: ../one.yaml, namespace: shared}}\n  two: {manifests: {path: ../two.yaml, namespace: shared}}\n",
        nothing.path(),
    );
    let config = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    fs::write(berth.work().join("one.yaml"), config("one")).expect("the folder is ours");
    fs::write(berth.work().join("two.yaml"), config("two")).expect("the folder is ours");
    render(&berth).expect(0);
    let files: Vec<String> = rendered(&berth).into_iter().collect();
    assert_eq!(files, ["configmap.shared.one.yaml", "configmap.shared.two.yaml", "namespace.shared.yaml"]);
    fs::write(berth.work().join("two.yaml"), config("one")).expect("the folder is ours");
    refused(render(&berth), 3, &["`addons.two`: brings ConfigMap shared/one, and so does `addons.one`"]);
}

#[test]
fn an_addon_of_the_catalog_downloads_what_its_options_ask_for() {
    let web = Web::new();
    let text = b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: fetched}\nrules: []\nstatus: {}\n";
    web.put("roles.yaml", "text/yaml", text);
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let berth = berth_with("  echo: {}\naddonsFrom: [../own]\n", nothing.path());
    let addon = berth.work().join("own/echo");
    fs::create_dir_all(addon.join("manifests")).expect("the folder is ours");
    let definition = |when: &str| {
        format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Addon\nname: echo\nsummary: answers\n\
             versions: [{{version: 1.0.0, kubernetes: {{from: \"1.33\", to: \"1.37\"}}, images: {{}}}}]\n\
             downloads: [{{name: roles, url: \"{}\", sha256: {}, when: \"{when}\"}}]\n\
             options: {{type: object, additionalProperties: false, properties: {{roles: {{type: boolean, default: false}}}}}}\n\
             providers: {{eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}}\nrehearsal: applied\n",
            web.url("roles.yaml"),
            sum(text)
        )
    };
    fs::write(addon.join("addon.yaml"), definition("options.roles")).expect("the folder is ours");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: echo, namespace: kube-public}\n";
    fs::write(addon.join("manifests/echo.yaml"), config).expect("the folder is ours");
    render(&berth).expect(0);
    assert_eq!(rendered(&berth).into_iter().collect::<Vec<_>>(), ["configmap.kube-public.echo.yaml"]);
    assert_eq!(web.asked(), [""; 0]);
    declare(&berth, "  echo: {roles: true}\naddonsFrom: [../own]\n");
    render(&berth).expect(0);
    assert!(rendered(&berth).contains("clusterrole.fetched.yaml"), "{:?}", rendered(&berth));
    fs::write(addon.join("addon.yaml"), definition("options.rolls +")).expect("the folder is ours");
    refused(berth.run(&["validate", "lab"]), 3, &["`when` of the download `roles`"]);
}

#[test]
fn a_version_of_the_catalog_can_be_asked_for() {
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let berth = berth_with("  traefik: {version: 9.9.9}\n", nothing.path());
    refused(
        berth.run(&["validate", "lab"]),
        3,
        &["no version 9.9.9 of it is known", "for Kubernetes 1.", "there are: 3."],
    );
}

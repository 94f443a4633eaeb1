//! What helm makes of a chart: both versions, and what is refused.

use std::fs;
use std::process::Command;

use super::super::support::{Environment, addon_binaries, path_with_tools, run};
use super::{HELMS, berth_with, chart, path_with, path_with_script, refused, render, rendered};

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

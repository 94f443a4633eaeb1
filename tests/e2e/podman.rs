//! A whole lab in Podman, from nothing to nothing.

use crate::lab::Lab;
use crate::support::run;

/// What a pod runs here; it serves.
const IMAGE: &str = "localhost/hello:v1";

#[test]
fn a_lab_in_podman_stands_is_filled_proven_started_again_and_goes() {
    let Some(mut lab) = Lab::in_podman("podman") else { return };
    let port = lab.port(0);
    let registry = format!("berth-registry-{port}");
    lab.removes(&registry);
    lab.profile(&format!(
        "cluster: {{kind: {{version: \"1.36\"}}}}\nregistry: {{local: {{port: {port}}}}}\n\
         addons: {{traefik: {{}}, metallb: {{addresses: auto}}, metrics-server: {{}}}}\n"
    ));
    lab.berth("up", &["--yes"]).expect(0);
    let made = lab.docker_says(&["inspect", "--format", "{{.Id}}", &lab.nodes()[0]]);
    let unchanged = |lab: &Lab| lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    unchanged(&lab);

    // The node has the image of its own, under this name alone.
    let loaded = format!("localhost/{}-hello:v2", lab.name());
    lab.docker(&["tag", IMAGE, &loaded]).expect(0);
    run(lab.berth_command(&["image", "load", &loaded])).expect(0);
    runs(&lab, "loaded", &loaded, "Never");
    let pushed = format!("localhost:{port}/team/hello:v1");
    lab.docker(&["tag", IMAGE, &pushed]).expect(0);
    lab.docker(&["push", "--tls-verify=false", &pushed]).expect(0);
    lab.docker(&["rmi", &loaded, &pushed]).expect(0);
    runs(&lab, "pushed", &pushed, "Always");
    let listed = lab.berth("registry list", &[]).expect(0).stdout;
    assert!(listed.contains(&format!("localhost:{port}/team/hello")), "{listed}");
    lab.berth("verify", &[]).expect(0);

    lab.docker(&["stop", "--time", "1", &lab.nodes()[0], &registry]).expect(0);
    lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(lab.docker_says(&["inspect", "--format", "{{.Id}}", &lab.nodes()[0]]), made, "made anew");
    unchanged(&lab);

    lab.berth("down", &["--yes", "--registries"]).expect(0);
    assert_eq!(lab.nodes(), [""; 0]);
    let left = ["container", "volume"].map(|what| lab.docker(&[what, "inspect", &registry]).code);
    assert_eq!(left, [Some(125); 2]);
    let volumes = lab.docker_says(&[
        "volume",
        "ls",
        "--quiet",
        "--filter",
        &format!("label={}-control-plane", lab.name()),
    ]);
    assert_eq!(volumes, "");
}

fn runs(lab: &Lab, name: &str, image: &str, policy: &str) {
    lab.kubectl(&["run", name, "--image", image, "--image-pull-policy", policy]).expect(0);
    let pod = format!("pod/{name}");
    lab.kubectl(&["wait", "--for=condition=Ready", &pod, "--timeout=90s"]).expect(0);
}

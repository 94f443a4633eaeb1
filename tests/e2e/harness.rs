//! What the other tests stand on, tried with kind itself.

use std::thread;

use crate::lab::{Ground, Lab};

#[test]
fn a_cluster_of_a_lab_answers_and_goes_with_it_also_when_the_test_fails() {
    let Some(lab) = Lab::start("harness") else { return };
    let name = lab.name().to_string();
    let kubeconfig = lab.home().join("kubeconfig");
    let kubeconfig_text = kubeconfig.display().to_string();
    let mut words = vec!["create", "cluster", "--name", &name, "--kubeconfig", &kubeconfig_text];
    if let Some(image) = lab.image() {
        words.extend(["--image", image]);
    }
    words.extend(["--wait", "120s"]);
    lab.kind(&words).expect(0);
    assert_eq!(lab.nodes(), [format!("{name}-control-plane")]);
    let told = lab.kubectl_with(&kubeconfig, &["get", "nodes", "-o", "name"]).expect(0);
    assert_eq!(told.stdout.trim(), format!("node/{name}-control-plane"));

    let failed = thread::spawn(move || {
        let _lab = lab;
        panic!("as a test that fails");
    });
    failed.join().expect_err("it panics");
    let ground = Ground::find("harness").expect("it was there before");
    assert_eq!(ground.nodes_of(&name), Vec::<String>::new());
}

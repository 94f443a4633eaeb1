//! Manifests as they are, without helm.

use std::fs;

use super::super::support::Web;
use super::{berth_with, declare, refused, render, rendered, sum};

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

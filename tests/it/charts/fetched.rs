//! Charts and files that come from repositories and registries: fetched once, checked, and what the profile says.

use std::fs;

use super::super::support::Web;
use super::{HELMS, berth_with, declare, packed, path_with, refused, render, rendered, sum};

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

//! Every profile that ships, every fixture, and what the profile room promises about them.

#![allow(clippy::panic, reason = "a test fails by panicking with the message that it got")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use berth::profile::{
    self, ClusterSpec, Found, InitAnswers, InitCluster, LoadOptions, Loaded, ProfileError, find, load,
    shipped,
};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn options() -> LoadOptions {
    let known_addons = ["cluster-autoscaler", "metallb", "metrics-server", "nvidia-device-plugin", "traefik"];
    LoadOptions { home: PathBuf::from("/home/ada"), known_addons: known_addons.map(str::to_string).to_vec() }
}

fn load_file(path: &Path) -> Result<Loaded, ProfileError> {
    let mut checked = profile::check(&Found::file(path), &options())?;
    checked.add(berth::plan::misfits(checked.environment()));
    checked.finish()
}

/// A profile of this text in a folder of its own.
fn load_text(text: &str) -> Result<Loaded, ProfileError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("profile.yaml");
    fs::write(&path, text).expect("written");
    // Not what addons have to say: hundreds of texts are read.
    load(&Found::file(&path), &options())
}

/// The profiles of a fixtures folder: its files, and `profile.yaml` of its folders.
fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/fixtures").join(kind);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the fixtures")
        .map(|entry| entry.expect("readable").path())
        .filter_map(|path| {
            if path.is_dir() {
                return Some(path.join("profile.yaml"));
            }
            path.extension().is_some_and(|extension| extension == "yaml").then_some(path)
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures in {}", folder.display());
    paths
}

/// What a load says, without the path of this checkout.
fn report(result: &Result<Loaded, ProfileError>) -> String {
    let text = match result {
        Ok(loaded) => loaded.warnings.iter().map(|w| w.render("warning")).collect::<Vec<_>>().join("\n\n"),
        Err(error) => error.to_string(),
    };
    let text = text.replace(&format!("{}/tests/fixtures/", root().display()), "") + "\n";
    // An id that is proposed follows from the path of this checkout.
    let mut parts = text.split("add `id: ");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| text + "add `id: ID" + &part[8..])
}

/// Compares with the text beside the profile; with `UPDATE_EXPECTED` it is written instead.
fn compare(path: &Path, text: &str, differences: &mut Vec<String>) {
    let expected_path = path.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected_path, text).expect("written");
        return;
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    if expected != text {
        differences.push(format!(
            "{}\n--- expected\n{expected}--- found\n{text}(UPDATE_EXPECTED=1 rewrites it)",
            path.display()
        ));
    }
}

#[test]
fn every_invalid_profile_says_what_is_expected() {
    let mut differences = Vec::new();
    for path in fixtures("invalid") {
        let result = load_file(&path);
        assert!(result.is_err(), "{} is valid", path.display());
        compare(&path, &report(&result), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn every_valid_profile_loads_with_the_warnings_that_are_expected() {
    let mut differences = Vec::new();
    for path in fixtures("valid") {
        let result = load_file(&path);
        if let Err(error) = &result {
            differences.push(format!("{}:\n{error}", path.display()));
            continue;
        }
        let text = report(&result);
        if text.trim().is_empty() {
            assert!(!path.with_extension("expected").exists(), "{} warns of nothing", path.display());
        } else {
            compare(&path, &text, &mut differences);
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn every_message_has_a_place_and_says_what_to_type() {
    for path in fixtures("invalid") {
        let error = load_file(&path).expect_err("invalid");
        let places: Vec<_> = error.errors.iter().map(|e| (e.file.clone(), e.line, e.column)).collect();
        for diagnostic in &error.errors {
            let message = &diagnostic.message;
            let at = format!("{}: {message}", path.display());
            assert!(diagnostic.help.as_ref().is_some_and(|help| !help.is_empty()), "no help: {at}");
            assert!(!message.ends_with('.') && !message.starts_with(char::is_whitespace), "{at}");
            // A file that cannot be read has no line.
            assert!(diagnostic.line > 0 || message.starts_with("cannot read"), "no line: {at}");
        }
        let distinct: BTreeSet<_> = error.errors.iter().map(|e| (e.line, e.column, &e.message)).collect();
        assert_eq!(distinct.len(), places.len(), "{} says something twice", path.display());
    }
}

#[test]
fn an_error_is_json_as_well() {
    let error = load_text("name: [").expect_err("not YAML");
    let json = serde_json::to_value(&error).expect("serializable");
    assert_eq!(json["errors"][0]["line"], 1);
    assert!(json["errors"][0]["message"].as_str().is_some_and(|text| text.contains("YAML")));
}

#[test]
fn the_shipped_profiles_load_without_a_warning() {
    assert_eq!(shipped(), ["dev-eks", "dev-gke", "lab", "ml-gpu", "prod-eks", "prod-gke"]);
    for name in shipped() {
        let found = find(name, Path::new("/nonexistent")).expect("it ships");
        assert!(found.is_shipped());
        let loaded = load(&found, &options()).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.is_empty(), "{name}: {}", report(&Ok(loaded.clone())));
        assert_eq!(loaded.environment.name, name);
        let tenants: Vec<&str> = loaded.environment.tenants.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(tenants, ["checkout", "inventory"], "{name}");
        for tenant in &loaded.environment.tenants {
            assert_eq!(tenant.quota["requests.cpu"].as_str(), "10", "{name}");
            assert_eq!(tenant.quota["limits.memory"].as_str(), "20Gi", "{name}");
            assert_eq!(tenant.quota["services.loadbalancers"].as_str(), "0", "{name}");
        }
    }
}

#[test]
fn what_validate_prints_is_a_profile_that_means_the_same() {
    let paths = fixtures("valid").into_iter().map(|path| Found::file(&path));
    let names = shipped().into_iter().map(|name| find(name, Path::new("/nonexistent")).expect("it ships"));
    for found in paths.chain(names) {
        let loaded = load(&found, &options()).expect("valid");
        let again = load_text(&loaded.resolved.to_string()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.environment, loaded.environment, "{}", found.shown);
        assert_eq!(again.resolved, loaded.resolved, "{}", found.shown);
    }
}

#[test]
fn the_json_schema_knows_every_field_that_a_profile_has() {
    let schema = profile::json_schema();
    for name in shipped() {
        let found = find(name, Path::new("/nonexistent")).expect("it ships");
        let loaded = load(&found, &options()).expect("valid");
        check_against_schema(&schema, &schema, &loaded.resolved, name);
    }
    // What only makes sense over a base is known as well.
    let over = serde_json::json!({"extends": ["base.yaml"], "tenants": [{"name": "a", "remove": true}]});
    check_against_schema(&schema, &schema, &over, "over a base");
    let mut undescribed = Vec::new();
    describe(&schema, "$", &mut undescribed);
    assert!(undescribed.is_empty(), "without a description: {undescribed:?}");
}

/// Follows the schema along a value and fails at a property that the schema does not know.
fn check_against_schema(root: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("a name");
        return check_against_schema(root, &root["$defs"][name], value, at);
    }
    let branches = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array());
    if let Some(branches) = branches.filter(|_| schema.get("properties").is_none()) {
        let fits = |branch: &&Value| match value {
            Value::Object(fields) => match branch["properties"].as_object() {
                Some(properties) => fields.keys().all(|field| properties.contains_key(field)),
                None => branch.get("$ref").is_some(),
            },
            _ => branch["type"] != "object" && branch["type"] != "null",
        };
        let branch = branches.iter().find(fits).unwrap_or_else(|| panic!("{at}: {value} fits no branch"));
        return check_against_schema(root, branch, value, at);
    }
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let at = format!("{at}.{field}");
                if let Some(property) = schema["properties"].get(field) {
                    check_against_schema(root, property, value, &at);
                } else {
                    let more = &schema["additionalProperties"];
                    assert!(more.is_object() || *more == true, "{at} is not in the schema");
                    check_against_schema(root, more, value, &at);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_against_schema(root, &schema["items"], item, &format!("{at}[{index}]"));
            }
        }
        _ => {}
    }
}

/// The properties below `schema` that have no description.
fn describe(schema: &Value, at: &str, undescribed: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            if property.get("description").is_none() && property.get("$ref").is_none() {
                undescribed.push(format!("{at}.{name}"));
            }
        }
    }
    if let Some(definitions) = schema["$defs"].as_object() {
        for (name, definition) in definitions {
            describe(definition, name, undescribed);
        }
    }
}

#[test]
fn a_file_of_that_name_comes_before_the_shipped_profile() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lab.yaml"), "x").expect("written");
    let found = find("lab", folder.path()).expect("found");
    assert_eq!(found.path(), Some(folder.path().join("lab.yaml").as_path()));
    assert!(find("ml-gpu", folder.path()).expect("found").is_shipped());
    let missing = find("lap", folder.path()).expect_err("no such profile");
    assert_eq!(missing.hint, "did you mean `lab`?");
    assert!(find("./lab.yml", folder.path()).is_err());
}

#[test]
fn a_rehearsal_keeps_the_owner_and_takes_a_name_of_its_own() {
    let found = find("prod-eks", Path::new("/nonexistent")).expect("it ships");
    let declared = load(&found, &options()).expect("valid").environment;
    let rehearsal = declared.clone().rehearse();
    assert_eq!(rehearsal.name, "prod-eks-rehearsal");
    assert_eq!(rehearsal.owner.environment, "prod-eks-rehearsal");
    assert_eq!(rehearsal.owner.id, declared.owner.id);
    assert_eq!(rehearsal.cluster, declared.cluster);
    assert_eq!(rehearsal.clone().rehearse(), rehearsal);
}

#[test]
fn what_init_writes_loads() {
    let clusters = [
        InitCluster::Eks { region: "eu-central-1".to_string(), account: Some("123456789012".to_string()) },
        InitCluster::Eks { region: "eu-central-1".to_string(), account: None },
        InitCluster::Gke { project: "p".to_string(), location: "europe-west4".to_string() },
        InitCluster::Kind,
        InitCluster::Kwok,
        InitCluster::Existing { kubeconfig: "~/.kube/config".to_string(), context: "a: b".to_string() },
    ];
    for cluster in clusters {
        for tenant in [None, Some("shop".to_string())] {
            let answers = InitAnswers {
                name: "dev".to_string(),
                id: "12345678".to_string(),
                cluster: cluster.clone(),
                tenant: tenant.clone(),
                schema: "https://example.com/schema.json".to_string(),
            };
            let text = profile::starter(&answers);
            assert!(text.starts_with("# yaml-language-server: $schema=https://example.com/schema.json\n"));
            let loaded = load_text(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(loaded.environment.owner.id, "12345678");
            let has_tenant = tenant.is_some() || cluster == InitCluster::Kind;
            assert_eq!(loaded.environment.tenants.len(), usize::from(has_tenant));
            assert!(loaded.warnings.is_empty(), "{}", report(&Ok(loaded.clone())));
            // What stands in comments is good as well.
            let examples =
                ["# access:", "#   ", "#     ", "# tenants:", "    # ports", "    # endpoint", "  # - {"];
            let all: String = text
                .lines()
                .map(|line| {
                    let is_example = examples.iter().any(|example| line.starts_with(example));
                    if is_example { line.replacen("# ", "", 1) + "\n" } else { line.to_string() + "\n" }
                })
                .collect();
            let loaded = load_text(&all).unwrap_or_else(|error| panic!("{all}\n{error}"));
            assert_eq!(loaded.environment.tenants[0].groups.admin.len(), 1, "{all}");
        }
    }
}

#[test]
fn the_tenant_of_a_first_lab_is_as_in_the_profile_lab() {
    let answers = InitAnswers {
        name: "mine".to_string(),
        id: "a2345678".to_string(),
        cluster: InitCluster::Kind,
        tenant: None,
        schema: "./berth.schema.json".to_string(),
    };
    let mine = load_text(&profile::starter(&answers)).expect("valid").environment;
    let lab = load(&find("lab", Path::new("/nonexistent")).expect("it ships"), &options());
    let lab = lab.expect("valid").environment;
    let reached =
        |tenant: &profile::Tenant| (tenant.name.clone(), tenant.namespaces.clone(), tenant.hosts.clone());
    assert_eq!(reached(&mine.tenants[0]), reached(&lab.tenants[0]));
    assert_eq!(mine.registry, lab.registry);
}

#[test]
fn a_thousand_tenants_load() {
    let head =
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: big\ncluster: {kwok: {}}\ntenants:\n";
    let tenant = |number: usize| {
        format!(
            "  - name: team-{number}\n    namespaces: [team-{number}-ns]\n    \
             groups: {{admin: [team-{number}-leads], editor: [team-{number}-dev]}}\n    \
             quota: {{requests.cpu: 10, limits.memory: 20Gi}}\n    \
             network: {{allowFrom: [{{namespace: frontend-ns}}]}}\n    hosts: [team-{number}.example.com]\n"
        )
    };
    let text: String = std::iter::once(head.to_string()).chain((0..1000).map(tenant)).collect();
    let loaded = load_text(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.environment.tenants.len(), 1000);
}

#[test]
fn fifty_mebibytes_are_refused_unread() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("big.yaml");
    fs::write(&path, "x: y\n".repeat(10 << 20)).expect("written");
    let error = load_file(&path).expect_err("too long");
    assert_eq!(error.errors[0].message, "cannot read this file: it is longer than 8 MiB");
}

#[test]
fn what_is_not_utf_8_says_on_which_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("latin.yaml");
    fs::write(&path, b"name: lab\n# M\xfcnchen\n").expect("written");
    let error = load_file(&path).expect_err("not UTF-8");
    assert_eq!(error.errors[0].message, "cannot read this file: it is not UTF-8, first on line 2");
}

#[test]
fn a_secret_is_never_shown() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let error = load_text(&format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: a\ncluster: {{kwok: {{}}}}\n\
         addons:\n  traefik: {{accessKey: {key}}}\n"
    ))
    .expect_err("a secret");
    assert!(error.to_string().contains("AWS access key"), "{error}");
    assert!(!error.to_string().contains(&key), "{error}");
    let json = serde_json::to_string(&error).expect("serializable");
    assert!(!json.contains(&key), "{json}");
}

#[test]
fn bases_tenant_files_and_own_addons_come_together() {
    let path = root().join("tests/fixtures/valid/composed/profile.yaml");
    let loaded = load_file(&path).unwrap_or_else(|error| panic!("{error}"));
    let environment = &loaded.environment;
    assert!(!environment.protected, "null takes out what a base has set");
    assert_eq!(environment.kubernetes, (1, 35));
    let groups = environment.node_groups.iter().map(|g| (g.name.as_str(), g.min, g.resources.gpus));
    let groups: Vec<_> = groups.collect();
    assert_eq!(groups, [("general", 4, 0), ("gpu", 1, 2)]);
    assert_eq!(environment.node_groups[0].zones, ["a"], "what this file does not say is the base's");
    let addons: Vec<&str> = environment.addons.iter().map(|addon| addon.name.as_str()).collect();
    assert_eq!(addons, ["dashboards", "metrics-server", "traefik"]);
    let tenants: Vec<&str> = environment.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(tenants, ["checkout", "inventory", "search"]);
    assert_eq!(environment.tenants[1].namespaces, ["inventory"], "a namespace that is called as the tenant");
    assert_eq!(environment.tenants[2].quota["pods"].as_str(), "60");
    assert_eq!(loaded.files.len(), 5);
    // A path is relative to the file that names it.
    let ClusterSpec::Kind(kind) = &environment.cluster else { panic!("not kind") };
    assert_eq!(kind.mounts[0].host.0, path.parent().expect("a folder").join("bases/data"));
}

#[test]
fn home_zones_and_groups_are_written_out() {
    let fixture = |name: &str| {
        let path = root().join("tests/fixtures/valid").join(name);
        load_file(&path).unwrap_or_else(|error| panic!("{error}")).environment
    };
    let existing = fixture("existing.yaml");
    let ClusterSpec::Existing(cluster) = &existing.cluster else { panic!("not existing") };
    assert_eq!(cluster.kubeconfig, Path::new("/home/ada/.kube/config"));
    assert_eq!(existing.admins[0].subject, "oidc:platform");
    assert_eq!(fixture("gke-zones.yaml").node_groups[0].zones, ["europe-west4-a", "europe-west4-b"]);
    let whole = fixture("whole.yaml");
    assert_eq!(whole.node_groups[0].zones, ["eu-central-1a", "eu-central-1b"]);
    assert_eq!(whole.node_groups[1].resources.gpus, 1);
    assert_eq!(whole.node_groups[2].resources.architecture, "arm64");
    assert_eq!(whole.admins[0].subject, "platform");
}

#[test]
fn a_local_environment_is_marked_by_its_path() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: a\ncluster: {kwok: {}}\n";
    let [one, two] = ["one.yaml", "two.yaml"].map(|name| folder.path().join(name));
    fs::write(&one, text).expect("written");
    fs::write(&two, text).expect("written");
    let id = |path: &Path| load_file(path).expect("valid").environment.owner.id;
    assert_eq!(id(&one), id(&folder.path().join("./one.yaml")));
    assert_ne!(id(&one), id(&two));
    let shipped_id = |folder: &str| {
        let found = find("lab", Path::new(folder)).expect("it ships");
        load(&found, &options()).expect("valid").environment.owner.id
    };
    assert_eq!(shipped_id("/a"), shipped_id("/b"), "the lab of every folder is the same lab");
}

#[test]
fn a_mangled_profile_is_refused_with_places_and_never_worse() {
    let text = fs::read_to_string(root().join("tests/fixtures/valid/whole.yaml")).expect("there");
    let lines: Vec<&str> = text.lines().collect();
    let mut refused = 0;
    for number in 0..lines.len() {
        let line = lines[number];
        let key = line.split_once(':').map_or(line, |(key, _)| key);
        let half = line.split_at(line.len() / 2).0;
        let others = [String::new(), half.to_string(), format!("{line}\n{line}")];
        let values =
            ["", " []", " {}", " x", " -1", " {min: 2}", " [{name: a}, b]", " &a [*a]", " ~", " \"\""];
        let mangled = values.iter().map(|value| format!("{key}:{value}")).chain(others);
        for replacement in mangled {
            let mut lines = lines.clone();
            lines[number] = &replacement;
            let Err(error) = load_text(&lines.join("\n")) else { continue };
            refused += 1;
            assert!(!error.errors.is_empty(), "{replacement}");
            assert!(error.errors.iter().all(|e| e.line > 0 && e.column > 0), "{replacement}: {error}");
        }
    }
    assert!(refused > 200, "only {refused}");
}

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pod::field;
use super::{Proof, eventually};

/// The content of a volume: file names and what is in them.
type Files = BTreeMap<String, Vec<u8>>;

/// What comes from one source of a volume, beside what comes from its other sources.
struct Part {
    place: PathBuf,
    parts: Arc<Mutex<Vec<Files>>>,
    index: usize,
}

impl Part {
    fn set(&self, files: Files) {
        self.parts.lock().expect("nothing panics inside")[self.index] = files;
    }

    /// The same for a pod that runs, which notices every swap.
    fn replace(&self, files: Files) {
        let mut parts = self.parts.lock().expect("nothing panics inside");
        // The folder is gone when the test is over.
        if parts[self.index] != files && self.place.is_dir() {
            parts[self.index] = files;
            publish(&self.place, &parts);
        }
    }
}

/// The volumes of a pod, filled and kept up to date as a kubelet would.
pub struct Volumes {
    /// By the volume's name; none is an emptyDir.
    folders: BTreeMap<String, Option<PathBuf>>,
    watches: Vec<Child>,
}

impl Volumes {
    /// Fills the volumes of the live pod below `folder`.
    ///
    /// # Panics
    /// When an object that a volume needs does not come within a minute.
    pub fn fill(proof: &Proof, live: &Value, folder: &Path) -> Self {
        let mut volumes = Self { folders: BTreeMap::new(), watches: Vec::new() };
        for volume in live["spec"]["volumes"].as_array().into_iter().flatten() {
            let name = text(&volume["name"]).to_string();
            if volume.get("emptyDir").is_some() {
                volumes.folders.insert(name, None);
                continue;
            }
            let place = folder.join(&name);
            fs::create_dir_all(&place).expect("ours");
            let sources = match volume.get("projected") {
                Some(projected) => projected["sources"].as_array().cloned().unwrap_or_default(),
                None => vec![volume.clone()],
            };
            let parts = Arc::new(Mutex::new(vec![Files::new(); sources.len()]));
            for (index, source) in sources.iter().enumerate() {
                let part = Part { place: place.clone(), parts: Arc::clone(&parts), index };
                volumes.fill_part(proof, live, source, part);
            }
            publish(&place, &parts.lock().expect("nothing panics inside"));
            volumes.folders.insert(name, Some(place));
        }
        volumes
    }

    /// Fills what comes from one source.
    fn fill_part(&mut self, proof: &Proof, live: &Value, source: &Value, part: Part) {
        let namespace = text(&live["metadata"]["namespace"]);
        if let Some(token) = source.get("serviceAccountToken") {
            let token = (text(&token["path"]).to_string(), request_token(proof, live, token).into_bytes());
            part.set(Files::from([token]));
        } else if let Some(downward) = source.get("downwardAPI") {
            let items = downward["items"].as_array().into_iter().flatten();
            let file = |item: &Value| {
                (
                    text(&item["path"]).to_string(),
                    field(live, text(&item["fieldRef"]["fieldPath"])).into_bytes(),
                )
            };
            part.set(items.map(file).collect());
        } else if let Some(secret) = source.get("secret") {
            let name = secret.get("secretName").unwrap_or(&secret["name"]);
            self.follow(proof, namespace, ("secret", text(name)), secret, part);
        } else if let Some(map) = source.get("configMap") {
            self.follow(proof, namespace, ("configmap", text(&map["name"])), map, part);
        } else {
            panic!("not played yet: {source}");
        }
    }

    /// Writes the object's content, and again whenever it changes.
    fn follow(
        &mut self,
        proof: &Proof,
        namespace: &str,
        (kind, name): (&str, &str),
        source: &Value,
        part: Part,
    ) {
        let object = format!("{kind}/{name}");
        let look = || proof.object(namespace, &object);
        // A pod does not start without it, unless it is optional.
        let found = if source["optional"] == true {
            look().unwrap_or_default()
        } else {
            eventually(&format!("{object} is in {namespace}"), look)
        };
        part.set(chosen(&content(&found), &source["items"]));
        let only = format!("metadata.name={name}");
        let watch = ["-n", namespace, "get", kind, "--field-selector", &only, "-o", "json"];
        let mut command = proof.kubectl_command(&watch);
        command.args(["--watch", "--output-watch-events"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the tools are there");
        let stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        self.watches.push(child);
        let items = source["items"].clone();
        // Ends with the stream, which ends with the child.
        std::thread::spawn(move || {
            let events = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
            for event in events.map_while(Result::ok) {
                // What was deleted stays in a pod that runs.
                if event["type"] != "DELETED" {
                    part.replace(chosen(&content(&event["object"]), &items));
                }
            }
        });
    }

    /// The mounts of a container, as the stagehand is told of them.
    pub fn mounts(&self, container: &Value) -> Vec<Value> {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let told = |mount: &Value| {
            let folder = self.folders.get(text(&mount["name"])).expect("the API server checks it");
            let source = folder.as_ref().map(|folder| folder.join(text(&mount["subPath"])));
            json!({"Source": source.unwrap_or_default(), "Target": text(&mount["mountPath"])})
        };
        mounts.map(told).collect()
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        for watch in &mut self.watches {
            watch.kill().expect("it is our child");
            watch.wait().expect("it is our child");
        }
    }
}

/// What a `Secret` or `ConfigMap` holds.
pub fn content(object: &Value) -> Files {
    let mut files = Files::new();
    let is_secret = object["kind"] == "Secret";
    for (name, value) in object["data"].as_object().into_iter().flatten() {
        let value = text(value).as_bytes();
        let value = if is_secret {
            STANDARD.decode(value).expect("the API server checks it")
        } else {
            value.to_vec()
        };
        files.insert(name.clone(), value);
    }
    for (name, value) in object["binaryData"].as_object().into_iter().flatten() {
        files.insert(name.clone(), STANDARD.decode(text(value)).expect("the API server checks it"));
    }
    files
}

/// Only the `items`, under their paths; everything when there are none.
fn chosen(files: &Files, items: &Value) -> Files {
    let Some(items) = items.as_array() else { return files.clone() };
    let item = |item: &Value| Some((text(&item["path"]).to_string(), files.get(text(&item["key"]))?.clone()));
    items.iter().filter_map(item).collect()
}

/// A token of the pod's account, bound to the pod: it ends with it.
fn request_token(proof: &Proof, live: &Value, wanted: &Value) -> String {
    let (pod, spec) = (&live["metadata"], &live["spec"]);
    let mut arguments =
        vec!["-n", text(&pod["namespace"]), "create", "token", text(&spec["serviceAccountName"])];
    arguments.extend(["--bound-object-kind", "Pod", "--bound-object-name", text(&pod["name"])]);
    arguments.extend(["--bound-object-uid", text(&pod["uid"])]);
    let duration = format!("{}s", wanted["expirationSeconds"].as_u64().unwrap_or(3600));
    arguments.extend(["--duration", &duration]);
    if let Some(audience) = wanted["audience"].as_str() {
        arguments.extend(["--audience", audience]);
    }
    proof.kubectl(&arguments).expect(0).stdout.trim().to_string()
}

/// Replaces what a volume holds, in one move: files are links through `..data`, as a kubelet makes them.
fn publish(place: &Path, parts: &[Files]) {
    static VERSION: AtomicUsize = AtomicUsize::new(0);
    let version = format!("..version-{}", VERSION.fetch_add(1, Ordering::Relaxed));
    for (name, value) in parts.iter().flatten() {
        let path = place.join(&version).join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("ours");
        fs::write(path, value).expect("ours");
    }
    fs::create_dir_all(place.join(&version)).expect("ours");
    let next = place.join("..next");
    symlink(&version, &next).expect("ours");
    fs::rename(&next, place.join("..data")).expect("ours");
    for name in parts.iter().flat_map(BTreeMap::keys) {
        let first = name.split('/').next().expect("a name is not empty");
        let link = place.join(first);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(first), link).expect("ours");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

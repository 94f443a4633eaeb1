//! The user's own kubeconfig: adding an environment's context to it, and taking it out again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::yaml;
use crate::base::{Fault, FaultKind};
use crate::flow::Flow;
use crate::os::{MarkerLock, files};

/// How long another program may hold the kubeconfig's lock, which it takes for milliseconds.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// The lists of a kubeconfig that hold named entries.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

/// What an environment is called in the user's kubeconfig.
pub(super) fn context_name(environment: &str) -> String {
    format!("berth-{environment}")
}

/// Adds the private kubeconfig's current context to the file at `path` as `name`; makes it current when
/// `switch`. All else in the file stays.
pub(super) async fn add(
    path: &Path,
    private: &str,
    name: &str,
    switch: bool,
    flow: &Flow,
) -> Result<(), Fault> {
    let private = parse(private, "read the private kubeconfig")?;
    change(path, flow, |user| {
        added(user, &private, name, switch).map_err(|reason| {
            Fault::new(
                FaultKind::Invalid,
                format!("merge context `{name}` into `{}`", path.display()),
                reason,
            )
        })
    })
    .await
}

/// Takes out of the file at `path` what [`add`] added as `name`. Says whether there was anything.
pub(super) async fn remove(path: &Path, name: &str, flow: &Flow) -> Result<bool, Fault> {
    let mut found = false;
    // Where the name does not even occur there is nothing to do and no lock to take.
    if !files::read_if_there(path)?.is_some_and(|text| text.contains(name)) {
        return Ok(false);
    }
    change(path, flow, |user| {
        let (rest, removed) = removed(user, name);
        found = removed;
        Ok(rest)
    })
    .await?;
    Ok(found)
}

/// Replaces the file by what `edit` makes of it, under the lock that client-go takes.
///
/// If this dies half way, the file is whole, and `FILE.lock` may stay, which the next taker names.
async fn change(
    path: &Path,
    flow: &Flow,
    edit: impl FnOnce(Value) -> Result<Value, Fault>,
) -> Result<(), Fault> {
    // A link keeps pointing where it points: the file behind it is replaced.
    let path: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let attempted = format!("change `{}`", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        files::make_private_folder(folder)?;
    }
    let mut lock_path = path.clone().into_os_string();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let mut tries = 0;
    let _lock = loop {
        if let Some(lock) = MarkerLock::try_take(&lock_path)? {
            break lock;
        }
        tries += 1;
        if tries >= LOCK_TRIES {
            let reason = format!("another program has held `{}` for 5 s", lock_path.display());
            return Err(Fault::new(FaultKind::Locked, attempted, reason)
                .hint(format!("when no kubectl is running, `rm {}` and try again", lock_path.display())));
        }
        flow.pause(LOCK_PAUSE, &attempted).await?;
    };
    let text = files::read_if_there(&path)?.unwrap_or_default();
    let user = if text.trim().is_empty() {
        json!({"apiVersion": "v1", "kind": "Config", "preferences": {}})
    } else {
        parse(&text, &format!("read `{}`", path.display()))?
    };
    let edited = edit(user)?;
    let text = yaml::write(&edited, "the kubeconfig")?;
    files::write_private(&path, text.as_bytes())
}

fn parse(text: &str, attempted: &str) -> Result<Value, Fault> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        // The error's own text may quote the line, and lines of a kubeconfig hold keys.
        let place = error.location().map_or_else(String::new, |at| format!(" at line {}", at.line()));
        Fault::new(FaultKind::Invalid, attempted, format!("it is no valid YAML{place}"))
            .hint("`kubectl config view` shows what kubectl makes of it")
    })?;
    if value.is_object() {
        return Ok(value);
    }
    Err(Fault::new(FaultKind::Invalid, attempted, "it is no kubeconfig: its top level is no map"))
}

/// `user` with the private kubeconfig's current context as `name`.
fn added(mut user: Value, private: &Value, name: &str, switch: bool) -> Result<Value, String> {
    let current = private["current-context"].as_str().ok_or("the private one has no current context")?;
    let find = |list: &str, inner: &str, wanted: &str| -> Option<Value> {
        let entries = private[list].as_array()?;
        entries.iter().find(|entry| entry["name"] == wanted).map(|entry| entry[inner].clone())
    };
    let missing = |what: &str| format!("the private one has no {what} for its current context");
    let context = find("contexts", "context", current).ok_or_else(|| missing("context"))?;
    let cluster_name = context["cluster"].as_str().unwrap_or_default();
    let user_name = context["user"].as_str().unwrap_or_default();
    let cluster = find("clusters", "cluster", cluster_name).ok_or_else(|| missing("cluster"))?;
    let credentials = find("users", "user", user_name).ok_or_else(|| missing("user"))?;
    let entries = [cluster, credentials, json!({"cluster": name, "user": name})];
    let top = user.as_object_mut().ok_or("its top level is no map")?;
    for ((list, inner), entry) in LISTS.into_iter().zip(entries) {
        put(top, list, json!({"name": name, inner: entry}))?;
    }
    let has_current = top.get("current-context").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if switch {
        top.insert("current-context".to_string(), Value::from(name));
    } else if !has_current {
        top.insert("current-context".to_string(), Value::from(""));
    }
    Ok(user)
}

fn put(top: &mut Map<String, Value>, list: &str, entry: Value) -> Result<(), String> {
    let slot = top.entry(list).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    let entries = slot.as_array_mut().ok_or_else(|| format!("its `{list}` is no list"))?;
    match entries.iter_mut().find(|known| known["name"] == entry["name"]) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    Ok(())
}

/// `user` without the entries called `name`, and whether there were any.
fn removed(mut user: Value, name: &str) -> (Value, bool) {
    let mut found = false;
    if let Some(top) = user.as_object_mut() {
        for (list, _) in LISTS {
            if let Some(entries) = top.get_mut(list).and_then(Value::as_array_mut) {
                let before = entries.len();
                entries.retain(|entry| entry["name"] != name);
                found |= entries.len() < before;
            }
        }
        if top.get("current-context").is_some_and(|current| current == name) {
            top.insert("current-context".to_string(), Value::from(""));
            found = true;
        }
    }
    (user, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Cancel;

    const PRIVATE: &str = "apiVersion: v1
kind: Config
current-context: kwok-lab
clusters: [{name: kwok-lab, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: Q0E=}}]
users: [{name: kwok-lab, user: {client-key-data: S0VZ}}]
contexts: [{name: kwok-lab, context: {cluster: kwok-lab, user: kwok-lab}}]
";
    const USER: &str = "apiVersion: v1
kind: Config
current-context: work
x-own: {since: '2024-01-01', on: 'yes', port: '0123'}
clusters:
- name: work
  cluster: {server: https://work, unknown-key: true}
users:
- name: work
  user: {token: abc}
contexts:
- name: work
  context: {cluster: work, user: work, namespace: ns}
";

    fn flow() -> Flow {
        Flow::new(Cancel::default())
    }

    #[tokio::test]
    async fn merging_adds_a_context_and_keeps_all_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("config");
        files::write_private(&path, USER.as_bytes()).expect("written");
        add(&path, PRIVATE, "berth-lab", false, &flow()).await.expect("merged");
        let before: Value = serde_saphyr::from_str(USER).expect("valid");
        let after: Value =
            serde_saphyr::from_str(&files::read_if_there(&path).expect("read").expect("there"))
                .expect("valid");
        assert_eq!(after["current-context"], "work");
        assert_eq!(after["x-own"], before["x-own"]);
        assert_eq!(after["clusters"][0], before["clusters"][0]);
        assert_eq!(after["clusters"][1]["cluster"]["server"], "https://127.0.0.1:6443");
        assert_eq!(
            after["contexts"][1],
            json!({"name": "berth-lab", "context": {"cluster": "berth-lab", "user": "berth-lab"}})
        );
        assert!(!folder.path().join("config.lock").exists());

        assert_eq!(remove(&path, "berth-lab", &flow()).await, Ok(true));
        let removed: Value =
            serde_saphyr::from_str(&files::read_if_there(&path).expect("read").expect("there"))
                .expect("valid");
        assert_eq!(removed, before);
        assert_eq!(remove(&path, "berth-lab", &flow()).await, Ok(false));
    }

    #[tokio::test]
    async fn merging_twice_is_merging_once_and_switches_only_when_asked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/config");
        for switch in [false, true] {
            add(&path, PRIVATE, "berth-lab", switch, &flow()).await.expect("merged");
            let after: Value =
                serde_saphyr::from_str(&files::read_if_there(&path).expect("read").expect("there"))
                    .expect("valid");
            assert_eq!(after["clusters"].as_array().map(Vec::len), Some(1));
            assert_eq!(after["current-context"], if switch { "berth-lab" } else { "" });
        }
    }

    #[tokio::test]
    async fn a_link_to_a_kubeconfig_stays_a_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        files::write_private(&real, USER.as_bytes()).expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        add(&link, PRIVATE, "berth-lab", false, &flow()).await.expect("merged");
        assert!(link.is_symlink());
        assert!(files::read_if_there(&real).expect("read").expect("there").contains("berth-lab"));
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_left_alone_and_not_quoted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("config");
        let broken = "users: [{user: {token: hunter2}\nclusters: }";
        files::write_private(&path, broken.as_bytes()).expect("written");
        let fault = add(&path, PRIVATE, "berth-lab", false, &flow()).await.expect_err("refused");
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        assert_eq!(files::read_if_there(&path), Ok(Some(broken.to_string())));
        assert!(!folder.path().join("config.lock").exists());
    }
}

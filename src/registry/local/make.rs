use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::store::{LABEL, Origin, Role, Store};
use super::volume;
use crate::base::{Fault, FaultKind, Owner};
use crate::containers::{Container, Engine, EngineKind};
use crate::engine::{Cx, Step};
use crate::flow::Tally;
use crate::os::Finished;

/// How long a container may take to start: pulling its image over a slow line is most of it.
const LONGEST_START: Duration = Duration::from_hours(2);

/// Makes and starts containers of registries.
pub(super) struct Make {
    pub(super) tasks: Vec<Task>,
    pub(super) owner: Owner,
    pub(super) engine: Engine,
}

/// What has to be done for one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) store: Store,
    pub(super) act: Act,
}

/// How a registry is brought to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It is made.
    Make,
    /// It is started.
    Start,
    /// It is removed and made anew.
    Remake,
}

impl Step for Make {
    /// If this dies half way, a container that was made and not started is started by the next run, and one
    /// that was removed is made by it: the images are in the volume all the time.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { tasks, owner, engine } = *self;
            let origin = Origin { by: owner, at: cx.clock.now() };
            let (all, mut tally) = (tasks.len(), Tally::new(tasks.len(), "registries started"));
            let work = |task: Task| {
                let (engine, origin) = (&engine, &origin);
                async move { task.take(engine, origin).await }
            };
            cx.flow.each(tasks, all, &mut tally, work).await.map(drop)
        }
        .boxed()
    }
}

impl Task {
    async fn take(&self, engine: &Engine, origin: &Origin) -> Result<(), Fault> {
        match self.act {
            Act::Make => make(&self.store, None, origin, engine).await,
            Act::Start => {
                let name = self.store.name();
                if engine.run(&format!("start `{name}`"), ["start", name.as_str()]).await?.succeeded() {
                    return Ok(());
                }
                // It may be on a network that has gone: what it keeps is in its volume, not in it.
                remove(&name, engine).await?;
                make(&self.store, None, origin, engine).await
            }
            Act::Remake => {
                remove(&self.store.name(), engine).await?;
                make(&self.store, None, origin, engine).await
            }
        }
    }
}

/// Removes the container `name`, if it is ours.
pub(super) async fn remove(name: &str, engine: &Engine) -> Result<(), Fault> {
    let found = engine.inspect(&[name]).await?;
    match found.iter().find(|container| container.labels.contains_key(LABEL)) {
        Some(ours) => remove_ours(ours, engine).await,
        None => Ok(()),
    }
}

/// Removes `ours`, which was just seen to be a registry of berth.
pub(super) async fn remove_ours(ours: &Container, engine: &Engine) -> Result<(), Fault> {
    let attempted = format!("remove container `{}`", ours.name);
    let finished = engine.run(&attempted, ["rm", "--force", ours.id.as_str()]).await?;
    // Somebody else may have been quicker.
    if finished.succeeded() || engine.inspect(&[ours.id.as_str()]).await?.is_empty() {
        return Ok(());
    }
    Err(engine.failed(&attempted, &finished))
}

/// Makes the container of `store` anew, on `network` alone: for an engine whose containers stay where they were made.
/// Its images are in the volume all the time.
pub(super) async fn move_to(
    store: &Store,
    network: &str,
    origin: &Origin,
    engine: &Engine,
) -> Result<(), Fault> {
    remove(&store.name(), engine).await?;
    make(store, Some(network), origin, engine).await
}

/// Makes the container of `store`, on `network` if not on the engine's own. One that somebody made meanwhile will do.
pub(super) async fn make(
    store: &Store,
    network: Option<&str>,
    origin: &Origin,
    engine: &Engine,
) -> Result<(), Fault> {
    let is_new = volume::make(&store.name(), &origin.labels(&store.mark()), engine).await?;
    let attempted = format!("start {}", store.title());
    let finished = engine.patient(LONGEST_START).run(&attempted, store.run(network, origin)).await?;
    // Another lab may have made it in the same moment; what came of it is seen next.
    if finished.succeeded() || is_name_taken(&finished) {
        return Ok(());
    }
    // What could not be started must not be in the way of the next run.
    remove(&store.name(), engine).await?;
    if is_new {
        volume::remove(&store.name(), engine).await?;
    }
    Err(refused(store, &finished, engine.kind()))
}

fn is_name_taken(finished: &Finished) -> bool {
    let said = finished.stderr.to_lowercase();
    (said.contains("already in use by") || said.contains("already used by")) && said.contains("name")
}

/// Why a registry could not be made, with what to do about it.
fn refused(store: &Store, finished: &Finished, kind: EngineKind) -> Fault {
    let said = finished.stderr.to_lowercase();
    let image = store.image();
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let last = finished.stderr_tail(10);
    // Podman tells of each try before it fails.
    let last = last.lines().rfind(|line| line.to_lowercase().contains("error")).unwrap_or(&last);
    let reason = last.trim_start_matches("docker: ").trim_start_matches("Error response from daemon: ");
    let reason = reason.trim_start_matches("Error: ");
    let attempted = format!("start {} from `{image}`", store.title());
    if has(&["port is already allocated", "address already in use", "ports are not available"])
        && let Role::Own(port) = store.role
    {
        return Fault::new(FaultKind::Conflict, attempted, format!("port {port} was taken meanwhile"))
            .hint("run the same command again to see by whom, or choose another `registry.local.port`");
    }
    let elsewhere = format!(
        "pull it where that works and load it here (`{kind} save`, `{kind} load`), or name one that is at hand: \
         `registry.local.image`"
    );
    let offline = ["dial tcp", "no such host", "i/o timeout", "timeout", "connection refused", "lookup "];
    let missing = [
        "manifest unknown",
        "not found",
        "pull access denied",
        "no such image",
        "does not exist",
        "did not resolve",
    ];
    if has(&offline) {
        let why = format!("it is not on this machine, and its registry cannot be reached: {reason}");
        return Fault::new(FaultKind::Invalid, attempted, why).hint(elsewhere);
    }
    if has(&missing) {
        let why = format!("there is no such image: {reason}");
        return Fault::new(FaultKind::Invalid, attempted, why).hint("check `registry.local.image`");
    }
    let hint = format!("try it by hand: `{kind} run --rm {image}`");
    Fault::new(FaultKind::Invalid, attempted, reason).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked of an engine on which a registry cannot be started: its volume is there if `has_images`, and
    /// the container of its name is somebody else's.
    async fn calls_when_a_start_fails(has_images: bool) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let volume = if has_images {
            r#"echo '[{"Labels": {"berth.dev/registry": "localhost:5001"}}]'"#
        } else {
            r#"[ -e made ] && echo '[{"Labels": {"berth.dev/registry": "localhost:5001"}}]' || { echo 'no such volume' >&2; exit 1; }"#
        };
        let script = format!(
            r#"cd '{}'
echo "$*" >>calls
case "$*" in
'volume inspect '*) {volume} ;;
'volume create '*) : >made ;;
'container inspect '*) echo '[{{"Id": "1f", "Name": "/berth-registry", "Config": {{"Labels": {{}}}}}}]' ;;
run\ *) echo 'docker: Error response from daemon: Bind for 127.0.0.1:5001 failed: port is already allocated.' >&2; exit 125 ;;
esac"#,
            folder.path().display()
        );
        let engine = Engine::played(EngineKind::Docker, folder.path(), &script);
        let store = Store { role: Role::Own(5001), image: None };
        let fault = make(&store, None, &Origin::played(), &engine).await.expect_err("its port is taken");
        assert_eq!(fault.kind, FaultKind::Conflict);
        std::fs::read_to_string(folder.path().join("calls")).expect("it was called")
    }

    #[tokio::test]
    async fn a_start_that_failed_leaves_nothing_new_and_takes_nothing_old() {
        let with_images = calls_when_a_start_fails(true).await;
        assert!(!with_images.contains("volume rm"), "{with_images}");
        let new = calls_when_a_start_fails(false).await;
        assert!(new.contains("volume rm berth-registry"), "{new}");
        assert!(!with_images.contains("rm --force") && !new.contains("rm --force"), "{new}");
    }

    fn fault(stderr: &str) -> Fault {
        let store = Store { role: Role::Own(5001), image: Some("registry.invalid/registry:3".to_string()) };
        let finished = Finished { code: Some(125), stdout: String::new(), stderr: stderr.to_string() };
        refused(&store, &finished, EngineKind::Docker)
    }

    #[test]
    fn an_image_that_cannot_be_pulled_tells_offline_from_unknown() {
        let offline = fault(
            "Unable to find image 'registry.invalid/registry:3' locally\ndocker: Error response from daemon: Get \
             \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid: no such host.\nSee 'docker run --help'.\n",
        );
        assert!(offline.reason.starts_with("it is not on this machine"), "{offline}");
        assert!(offline.reason.contains("no such host"), "{offline}");
        assert!(offline.hint.is_some_and(|hint| hint.contains("docker load")));
        let unknown = fault(
            "docker: Error response from daemon: manifest for registry:99 not found: manifest unknown.\n",
        );
        assert!(unknown.reason.starts_with("there is no such image"), "{unknown}");
    }

    #[test]
    fn a_port_that_was_taken_between_the_look_and_the_start_is_a_conflict() {
        let fault = fault(
            "docker: Error response from daemon: driver failed programming external connectivity on endpoint \
             berth-registry: Bind for 127.0.0.1:5001 failed: port is already allocated.\n",
        );
        assert_eq!(fault.kind, FaultKind::Conflict);
    }

    #[test]
    fn a_name_that_another_lab_took_in_the_same_moment_is_told_from_a_failure() {
        let stderr = "docker: Error response from daemon: Conflict. The container name \"/berth-registry\" is already \
                      in use by container \"1f\". You have to remove (or rename) that container.";
        let finished =
            |stderr: &str| Finished { code: Some(125), stdout: String::new(), stderr: stderr.into() };
        assert!(is_name_taken(&finished(stderr)));
        assert!(!is_name_taken(&finished("address already in use")));
    }
}

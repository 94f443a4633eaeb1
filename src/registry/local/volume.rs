use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::store::LABEL;
use crate::base::{Fault, FaultKind};
use crate::containers::Engine;

/// Whether there is a volume `name`, and whether it is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volume {
    /// There is none.
    Absent,
    /// berth made it.
    Ours,
    /// Somebody else made it.
    Foreign,
}

/// Looks at the volume `name`.
pub(super) async fn look(name: &str, engine: &Engine) -> Result<Volume, Fault> {
    Ok(match engine.volume_labels(name).await? {
        None => Volume::Absent,
        Some(labels) if labels.contains_key(LABEL) => Volume::Ours,
        Some(_) => Volume::Foreign,
    })
}

/// The volumes of registries that carry `label`, by name: what they are for.
pub(super) async fn with(label: &str, engine: &Engine) -> Result<BTreeMap<String, String>, Fault> {
    let filter = format!("label={label}");
    let listed =
        engine.call("list volumes", ["volume", "ls", "--quiet", "--filter", filter.as_str()]).await?;
    let asked = listed.stdout.split_whitespace().map(|name| async move {
        engine.volume_labels(name).await.map(|labels| {
            let mark = labels.unwrap_or_default().remove(LABEL)?;
            Some((name.to_string(), mark))
        })
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

/// Makes the volume `name` with `labels`, unless it is there. Whether it was made.
pub(super) async fn make(name: &str, labels: &[String], engine: &Engine) -> Result<bool, Fault> {
    match look(name, engine).await? {
        Volume::Ours => Ok(false),
        Volume::Absent => {
            let attempted = format!("make volume `{name}`");
            let labels = labels.iter().flat_map(|label| ["--label", label.as_str()]);
            engine.call(&attempted, ["volume", "create"].into_iter().chain(labels).chain([name])).await?;
            Ok(true)
        }
        Volume::Foreign => {
            let why = "there is one that berth did not make";
            let hint = format!("remove it if nobody needs it: `{} volume rm {name}`", engine.kind());
            Err(Fault::new(FaultKind::Conflict, format!("make volume `{name}`"), why).hint(hint))
        }
    }
}

/// Removes the volume `name` with all images in it, if it is ours.
pub(super) async fn remove(name: &str, engine: &Engine) -> Result<(), Fault> {
    if look(name, engine).await? != Volume::Ours {
        return Ok(());
    }
    remove_ours(name, engine).await
}

/// Removes the volume `name`, which was just seen to be ours.
pub(super) async fn remove_ours(name: &str, engine: &Engine) -> Result<(), Fault> {
    engine.call(&format!("remove volume `{name}`"), ["volume", "rm", name]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::EngineKind;

    #[tokio::test]
    async fn a_volume_that_is_not_there_is_told_from_that_of_somebody_else_and_from_an_engine_that_fails() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = r#"case "$*" in
            'volume inspect ours') echo '[{"Name": "ours", "Labels": {"berth.dev/registry": "docker.io"}}]' ;;
            'volume inspect bare') echo '[{"Name": "bare", "Labels": null}]' ;;
            'volume inspect none') echo '[]'; echo 'Error: inspecting object: no such volume none' >&2; exit 125 ;;
            *) echo 'Error response from daemon: something else' >&2; exit 1 ;;
            esac"#;
        let engine = Engine::played(EngineKind::Podman, folder.path(), script);
        assert_eq!(look("ours", &engine).await, Ok(Volume::Ours));
        assert_eq!(look("bare", &engine).await, Ok(Volume::Foreign));
        assert_eq!(look("none", &engine).await, Ok(Volume::Absent));
        assert!(look("other", &engine).await.is_err());
        assert!(make("bare", &[], &engine).await.is_err(), "it would keep images in what is not ours");
    }
}

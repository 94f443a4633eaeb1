use std::collections::BTreeMap;

use serde_json::Value;

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
    let finished = engine.run("look at a volume", ["volume", "inspect", name]).await?;
    if !finished.succeeded() {
        let said = finished.stderr.to_lowercase();
        let is_missing = said.contains("no such") || said.contains("not found");
        return if is_missing {
            Ok(Volume::Absent)
        } else {
            Err(engine.failed("look at a volume", &finished))
        };
    }
    let found: Value = serde_json::from_str(&finished.stdout).unwrap_or_default();
    Ok(if found[0]["Labels"][LABEL].is_string() { Volume::Ours } else { Volume::Foreign })
}

/// The volumes of registries that carry `label`, by name: what they are for.
pub(super) async fn with(label: &str, engine: &Engine) -> Result<BTreeMap<String, String>, Fault> {
    let filter = format!("label={label}");
    let listed =
        engine.call("list volumes", ["volume", "ls", "--quiet", "--filter", filter.as_str()]).await?;
    let mut found = BTreeMap::new();
    for name in listed.stdout.split_whitespace() {
        let finished = engine.run("look at a volume", ["volume", "inspect", name]).await?;
        let value: Value = serde_json::from_str(&finished.stdout).unwrap_or_default();
        found.extend(value[0]["Labels"][LABEL].as_str().map(|mark| (name.to_string(), mark.to_string())));
    }
    Ok(found)
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
    engine.call(&format!("remove volume `{name}`"), ["volume", "rm", name]).await.map(drop)
}

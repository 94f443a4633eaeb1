use std::sync::Arc;

use serde_json::Value;

use super::client::object_path;
use super::hub::Hub;
use super::object::Object;
use super::taken::taken_addresses;
use crate::base::{Fault, Note};
use crate::engine::{Seen, State};
use crate::flow::{Flow, Patience};

/// What a set comes to whose object `title` stands already without being ours: somebody else does what the set
/// is for, so that none of it is wanted. `None` when nobody does, or when `--adopt` takes over.
///
/// Asked only while nothing of the set stands: what berth began it finishes.
pub(super) async fn left_to_others(
    hub: &Hub,
    set: &str,
    title: &str,
    wanted: &[Arc<Object>],
    flow: &Flow,
) -> Result<Option<Seen>, Fault> {
    let Some(object) = wanted.iter().find(|object| object.title() == title) else { return Ok(None) };
    if hub.settings().adopt || taken_addresses(hub, &[object], flow).await?.is_empty() {
        return Ok(None);
    }
    let name = set.replacen('-', " ", 1);
    // None of it is there, and none is wanted: nothing is to be made, and nothing to be removed.
    let mut seen = Seen::new(State::Absent);
    let mut text = format!("{name}: somebody else brings {title}, so it is left to them");
    if let Some(why) = unavailable(hub, object, flow).await? {
        text = format!("{text}; and it does not answer: {why}");
    }
    seen.notes.push(Note::new("provided", text));
    Ok(Some(seen))
}

/// Why what stands where `object` would is not available, if it says so.
async fn unavailable(hub: &Hub, object: &Object, flow: &Flow) -> Result<Option<String>, Fault> {
    let path = object_path(&object.kind, object.namespace.as_deref(), &object.name);
    let body = hub.connected()?.get(flow, Patience::STEADY, &path).await?;
    let theirs: Value = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    Ok(why_unavailable(&theirs))
}

fn why_unavailable(object: &Value) -> Option<String> {
    let conditions = object["status"]["conditions"].as_array()?;
    let available = conditions.iter().find(|condition| condition["type"] == "Available")?;
    let text = |key: &str| available[key].as_str().filter(|text| !text.is_empty());
    (available["status"] != "True").then(|| match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (Some(one), None) | (None, Some(one)) => one.to_string(),
        (None, None) => "it is not Available".to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_available_says_why() {
        let with = |condition: Value| why_unavailable(&json!({"status": {"conditions": [condition]}}));
        let down =
            json!({"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "none"});
        assert_eq!(with(down).as_deref(), Some("MissingEndpoints: none"));
        let unknown = json!({"type": "Available", "status": "Unknown"});
        assert_eq!(with(unknown).as_deref(), Some("it is not Available"));
        assert_eq!(with(json!({"type": "Available", "status": "True", "reason": "Passed"})), None);
        assert_eq!(with(json!({"type": "Other", "status": "False"})), None);
        assert_eq!(why_unavailable(&json!({"rules": []})), None);
    }
}

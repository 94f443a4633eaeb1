use std::sync::Arc;

use super::hub::Hub;
use super::object::Object;
use super::taken::taken_addresses;
use crate::base::{Fault, Note};
use crate::engine::{Seen, State};
use crate::flow::Flow;

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
    let name = set.strip_prefix("addon-").unwrap_or(set);
    let mut seen = Seen::new(State::Ready);
    let text = format!("addon {name}: somebody else brings {title}, so it is left to them");
    seen.notes.push(Note::new("provided", text));
    Ok(Some(seen))
}

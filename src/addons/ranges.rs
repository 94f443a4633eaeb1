//! One range of addresses as a profile has it.

use serde_json::Value;

use super::error::AddonError;
use crate::base::{AddressRange, RangeError};

/// A range as the profile has it.
#[derive(Debug, PartialEq)]
pub(super) struct Range {
    pub(super) range: AddressRange,
    /// Where it stands in the profile.
    pub(super) path: String,
}

impl Range {
    pub(super) fn read(text: &Value, path: String) -> Result<Self, AddonError> {
        let text = text.as_str().unwrap_or_default();
        let range: AddressRange = text
            .parse()
            .map_err(|error: RangeError| AddonError::option(&path, error.to_string(), Some(error.hint())))?;
        if let Some((block, what)) = never_announced(range) {
            let problem = format!("`{text}` holds addresses of {block}, {what}: no host can have them");
            let hint = "give addresses of the nodes' own network that nothing else uses".to_string();
            return Err(AddonError::option(&path, problem, Some(hint)));
        }
        Ok(Self { range, path })
    }
}

/// The block of addresses in `range` that no Service can be reached by.
/// Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry>, `iana-ipv6-special-registry`.
fn never_announced(range: AddressRange) -> Option<(&'static str, &'static str)> {
    const BLOCKS: [(&str, &str); 10] = [
        ("0.0.0.0/8", "which name no host"),
        ("127.0.0.0/8", "a machine's way to itself"),
        ("169.254.0.0/16", "of one link alone"),
        ("224.0.0.0/4", "of multicast"),
        ("240.0.0.0/4", "which are reserved"),
        ("::/128", "which is no address"),
        ("::1/128", "a machine's way to itself"),
        ("::ffff:0:0/96", "which stand for IPv4"),
        ("fe80::/10", "of one link alone"),
        ("ff00::/8", "of multicast"),
    ];
    BLOCKS.into_iter().find(|(block, _)| {
        let block: AddressRange = block.parse().expect("written here");
        block.overlaps(&range)
    })
}

use super::inside::handle;
use super::leftover::{RETAINED, tags_at};
use crate::base::Note;
use crate::clouds::aws::Element;
use crate::k8s::Live;

/// A volume that stays though its cluster goes: its owner said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retained {
    /// `vol-0a1b2c3d4e5f60718`.
    pub volume: String,
    /// Whose it is: `shop/data`.
    pub claim: String,
}

impl Retained {
    /// The disk behind a volume of a cluster.
    pub fn of(volume: &Live) -> Option<Self> {
        let claim = &volume.body["spec"]["claimRef"];
        let claim = match (claim["namespace"].as_str(), claim["name"].as_str()) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            _ => volume.name.clone(),
        };
        Some(Self { volume: handle(&volume.body)?.to_string(), claim })
    }
}

/// What `down` says of a volume that was marked to stay.
pub(super) fn note(found: &Element) -> Option<Note> {
    let tags = tags_at(found, "tagSet");
    let claim = tags.get(RETAINED)?;
    let (id, size) = (found.text("volumeId")?, found.text("size").unwrap_or("?"));
    let text = format!(
        "volume {id} of {claim}: its PersistentVolume says Retain; {size} GiB, each of which costs about 0.09 USD a \
         month, until `aws ec2 delete-volume --volume-id {id}`"
    );
    Some(Note::new("kept", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_volume_is_told_with_the_reason_and_what_removes_it() {
        let found = Element::parse(
            "<item><volumeId>vol-1</volumeId><size>20</size><tagSet><item><key>berth.dev/retained</key>\
             <value>shop/data</value></item></tagSet></item>",
        )
        .expect("XML");
        let text = note(&found).expect("kept").text;
        assert!(
            text.starts_with("volume vol-1 of shop/data: its PersistentVolume says Retain; 20 GiB"),
            "{text}"
        );
        let other = Element::parse("<item><volumeId>vol-1</volumeId></item>").expect("XML");
        assert_eq!(note(&other), None);
    }
}

use super::inside::handle;
use super::leftover::{RELEASED, RETAINED, Tags, is_of_claim, tags_at};
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

/// What `down` says of a volume of a claim that stays: it was marked to, or no cluster said that it may go.
pub(super) fn note(found: &Element, region: &str) -> Option<Note> {
    let tags = tags_at(found, "tagSet");
    let (claim, why) = match tags.get(RETAINED) {
        Some(claim) => (claim.clone(), "its PersistentVolume says Retain"),
        None if !may_be_wanted(&tags) || found.text("status") == Some("deleting") => return None,
        None => (claim_in(&tags), "no cluster said that it may go, its PersistentVolume may say Retain"),
    };
    let (id, size) = (found.text("volumeId")?, found.text("size").unwrap_or("?"));
    let text = format!(
        "volume {id} of {claim}: {why}; {size} GiB, each of which costs about 0.09 USD a month, until `aws ec2 \
         delete-volume --region {region} --volume-id {id}`"
    );
    Some(Note::new("kept", text))
}

/// Whether nobody knows if a volume of a claim may go with its cluster.
pub(super) fn may_be_wanted(tags: &Tags) -> bool {
    is_of_claim(tags) && !tags.contains_key(RELEASED)
}

/// The claim that the driver wrote into the tags of its volume.
/// Source: <https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md>.
fn claim_in(tags: &Tags) -> String {
    let of = |key: &str| tags.get(&format!("kubernetes.io/created-for/{key}")).map(String::as_str);
    match (of("pvc/namespace"), of("pvc/name")) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => tags.get("CSIVolumeName").cloned().unwrap_or_default(),
    }
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
        let text = note(&found, "eu-central-1").expect("kept").text;
        assert!(
            text.starts_with("volume vol-1 of shop/data: its PersistentVolume says Retain; 20 GiB"),
            "{text}"
        );
        let other = Element::parse("<item><volumeId>vol-1</volumeId></item>").expect("XML");
        assert_eq!(note(&other, "eu-central-1"), None);
    }

    #[test]
    fn a_volume_that_no_cluster_was_asked_about_is_kept_and_told_by_its_claim() {
        let note_of = |tags: &[(&str, &str)]| {
            let tag =
                |(key, value): &(&str, &str)| format!("<item><key>{key}</key><value>{value}</value></item>");
            let tags: String = tags.iter().map(tag).collect();
            let text =
                format!("<item><volumeId>vol-1</volumeId><size>20</size><tagSet>{tags}</tagSet></item>");
            note(&Element::parse(&text).expect("XML"), "eu-central-1").map(|note| note.text)
        };
        let claim = [
            ("CSIVolumeName", "pvc-1"),
            ("kubernetes.io/created-for/pvc/namespace", "shop"),
            ("kubernetes.io/created-for/pvc/name", "data"),
        ];
        let told = note_of(&claim).expect("kept");
        assert!(told.starts_with("volume vol-1 of shop/data: no cluster said that it may go"), "{told}");
        assert!(note_of(&claim[..1]).is_some_and(|told| told.starts_with("volume vol-1 of pvc-1: ")));
        assert_eq!(note_of(&[claim[0], (RELEASED, "")]), None);
        assert_eq!(note_of(&[("eks:nodegroup-name", "general")]), None, "the disk of a node");
    }
}

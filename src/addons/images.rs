use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::AddonError;
use super::rendered::Rendered;
use crate::base::Reference;
use crate::k8s::{Kind, Object};
use crate::profile::schema::ImageField;

/// The lists of a pod's spec whose items have an `image`.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// An image that an object of an addon names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Its reference in full, as it is pulled.
    pub reference: String,
    /// Its reference in full before it was mirrored.
    pub original: String,
    /// Whether there are mirrors and none is for it.
    pub missed: bool,
    /// The kind of the object that names it: `Deployment`.
    pub kind: String,
    /// The object: `Deployment traefik/traefik`.
    pub object: String,
}

impl Image {
    /// `sha256:…`, where it is known.
    pub fn digest(&self) -> Option<&str> {
        digest_of(&self.reference)
    }
}

/// The digest of a reference, when it has one.
pub fn digest_of(reference: &str) -> Option<&str> {
    reference.split_once('@').map(|(_, digest)| digest)
}

/// A reference in full; what is none, as it is written.
pub fn in_full(text: &str) -> String {
    Reference::parse(text).map_or_else(|| text.to_string(), |reference| reference.to_string())
}

/// Where images are pulled from instead of where they come from: beginnings of references to what
/// stands in their place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, String>);

impl Mirrors {
    /// Of the map that a profile has.
    pub fn new(prefixes: &BTreeMap<String, String>) -> Self {
        Self(prefixes.clone())
    }

    /// Points every image of `objects` to its mirror: those of pods, and those in `fields`. Tags and
    /// digests stay. Says which images there are; one that no mirror is for stays as it is.
    ///
    /// # Errors
    /// What stands in one of `fields` and is no text, in words.
    pub fn settle(&self, objects: &mut [Object], fields: &[ImageField]) -> Result<Vec<Image>, String> {
        let mut images = BTreeSet::new();
        for object in objects {
            let title = object.title();
            for spot in spots(object, fields)? {
                let Some(Value::String(text)) = object.body.pointer_mut(&spot.pointer) else { continue };
                let written = text[spot.behind..].to_string();
                let (reference, missed) = self.settled(&written);
                if !self.0.is_empty() && !missed && in_full(&written) != reference {
                    text.replace_range(spot.behind.., &reference);
                }
                let (original, kind) = (in_full(&written), object.kind.kind.clone());
                images.insert(Image { reference, original, missed, kind, object: title.clone() });
            }
        }
        Ok(images.into_iter().collect())
    }

    /// The full reference of what is pulled for `written`, from its mirror where one is for it.
    pub fn pulled_for(&self, written: &str) -> String {
        self.settled(written).0
    }

    /// The full reference of what is pulled for `written`, and whether every mirror misses it.
    fn settled(&self, written: &str) -> (String, bool) {
        let Some(mut reference) = Reference::parse(written) else {
            return (written.to_string(), !self.0.is_empty());
        };
        let longest = self
            .0
            .iter()
            .filter_map(|(from, to)| Some((from.len(), reference.behind(from)?, to)))
            .max_by_key(|(length, ..)| *length);
        let there_already = || self.0.values().any(|to| reference.behind(to).is_some());
        let missed = !self.0.is_empty() && longest.is_none() && !there_already();
        if let Some((_, rest, to)) = longest {
            reference.name = format!("{to}{rest}");
        }
        (reference.to_string(), missed)
    }
}

/// Refuses images that no mirror is for, when there are mirrors: all of them in one go.
pub fn check_mirrored(addons: &[Rendered]) -> Result<(), AddonError> {
    let images = addons.iter().flat_map(|addon| addon.images.iter().map(move |image| (addon, image)));
    let missed: Vec<(String, String)> = images
        .filter(|(_, image)| image.missed)
        .map(|(addon, image)| (image.original.clone(), format!("{} of addon {}", image.object, addon.name)))
        .collect();
    if missed.is_empty() { Ok(()) } else { Err(AddonError::Unmirrored { missed }) }
}

/// The hosts of `references`, each once: what mirrors have to be declared for.
pub(super) fn hosts<'a>(references: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    references.filter_map(Reference::parse).map(|reference| reference.host().to_string()).collect()
}

/// Where an object names an image.
struct Spot {
    /// The JSON pointer of the text.
    pointer: String,
    /// Where in that text the reference begins.
    behind: usize,
}

fn spots(object: &Object, fields: &[ImageField]) -> Result<Vec<Spot>, String> {
    let mut spots = Vec::new();
    if let Some(pod) = pod_spec(&object.kind) {
        let image = |pointer: String| Spot { pointer, behind: 0 };
        for list in CONTAINERS {
            let containers = items(&object.body, &format!("{pod}/{list}"));
            spots.extend(containers.map(|container| image(format!("{container}/image"))));
        }
        let volumes = items(&object.body, &format!("{pod}/volumes"));
        spots.extend(volumes.map(|volume| image(format!("{volume}/image/reference"))));
    }
    let (api_version, kind) = (object.kind.api_version(), &object.kind.kind);
    for field in fields.iter().filter(|field| field.api_version == api_version && field.kind == *kind) {
        for pointer in places(&object.body, field) {
            let Some(Value::String(text)) = object.body.pointer(&pointer) else {
                return Err(format!(
                    "`{}` of {} is no text that could name an image",
                    field.path,
                    object.title()
                ));
            };
            match &field.flag {
                None => spots.push(Spot { pointer, behind: 0 }),
                Some(flag) => spots.extend(behind_flag(pointer, text, flag)),
            }
        }
    }
    // What is empty names nothing: it is filled in by somebody else.
    spots.retain(|spot| {
        let text = object.body.pointer(&spot.pointer).and_then(Value::as_str);
        text.is_some_and(|text| text.len() > spot.behind)
    });
    Ok(spots)
}

/// Where the pod's spec is in objects of `kind`.
fn pod_spec(kind: &Kind) -> Option<&'static str> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => Some("/spec"),
        ("", "PodTemplate") => Some("/template/spec"),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet")
        | ("batch", "Job") => Some("/spec/template/spec"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// The pointers of the items of the list at `pointer`.
fn items(body: &Value, pointer: &str) -> impl Iterator<Item = String> + use<> {
    let count = body.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
    let pointer = pointer.to_string();
    (0..count).map(move |index| format!("{pointer}/{index}"))
}

/// The pointers of what stands at the path of `field`; none where the object has no such field.
fn places(body: &Value, field: &ImageField) -> Vec<String> {
    let mut pointers = vec![String::new()];
    for (key, each) in field.path.steps() {
        let below = pointers.into_iter().map(|pointer| format!("{pointer}/{}", key.replace('~', "~0")));
        pointers = if *each { below.flat_map(|list| items(body, &list)).collect() } else { below.collect() };
    }
    pointers.retain(|pointer| body.pointer(pointer).is_some_and(|value| !value.is_null()));
    pointers
}

/// The image behind `flag` in an argument, `FLAG=IMAGE`, or in the one behind it, `FLAG`, `IMAGE`.
fn behind_flag(pointer: String, text: &str, flag: &str) -> Option<Spot> {
    let rest = text.strip_prefix(flag)?;
    if rest.starts_with('=') {
        return Some(Spot { pointer, behind: flag.len() + 1 });
    }
    let (list, index) = pointer.rsplit_once('/')?;
    let next: usize = index.parse().ok()?;
    rest.is_empty().then(|| Spot { pointer: format!("{list}/{}", next + 1), behind: 0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::Kinds;

    const DIGEST: &str = "sha256:d9862115e7c7881280d3d75ca26bda8ffc0fc213315979575bf23ce9826205c0";

    fn mirrors(pairs: &[(&str, &str)]) -> Mirrors {
        Mirrors(pairs.iter().map(|(from, to)| ((*from).to_string(), (*to).to_string())).collect())
    }

    fn object(api_version: &str, kind: &str, rest: &Value) -> Object {
        let mut body = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": "x", "namespace": "n"}});
        for (key, value) in rest.as_object().expect("a map") {
            body[key] = value.clone();
        }
        let mut kinds = Kinds::default();
        kinds.learn(&json!({"kind": "CustomResourceDefinition", "spec": {"group": "example.com",
            "names": {"kind": "Prometheus", "plural": "prometheuses"}, "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true}]}}));
        Object::of(body, &kinds).expect("an object")
    }

    fn found(object: Object, fields: &[ImageField]) -> Vec<String> {
        let images = Mirrors::default().settle(&mut [object], fields).expect("texts");
        images.into_iter().map(|image| image.reference).collect()
    }

    fn field(path: &str, flag: Option<&str>) -> ImageField {
        let kind = if flag.is_some() { ("apps/v1", "Deployment") } else { ("example.com/v1", "Prometheus") };
        let field = json!({"apiVersion": kind.0, "kind": kind.1, "path": path, "flag": flag});
        serde_json::from_value(field).expect("a field")
    }

    #[test]
    fn every_image_of_a_pod_is_found_wherever_the_pod_is() {
        let pod = json!({
            "initContainers": [{"image": "a.io/init:1"}],
            "containers": [{"image": "a.io/one:1"}, {"name": "filled in later"}, {"image": ""}],
            "ephemeralContainers": [{"image": "a.io/debug:1"}],
            "volumes": [{"emptyDir": {}}, {"image": {"reference": "a.io/data:1"}}],
        });
        let template = json!({"template": {"spec": pod}});
        for (api_version, kind, rest) in [
            ("v1", "Pod", json!({"spec": pod})),
            ("v1", "PodTemplate", template.clone()),
            ("v1", "ReplicationController", json!({"spec": template})),
            ("apps/v1", "Deployment", json!({"spec": template})),
            ("apps/v1", "DaemonSet", json!({"spec": template})),
            ("apps/v1", "StatefulSet", json!({"spec": template})),
            ("apps/v1", "ReplicaSet", json!({"spec": template})),
            ("batch/v1", "Job", json!({"spec": template})),
            ("batch/v1", "CronJob", json!({"spec": {"jobTemplate": {"spec": template}}})),
        ] {
            assert_eq!(
                found(object(api_version, kind, &rest), &[]),
                ["a.io/data:1", "a.io/debug:1", "a.io/init:1", "a.io/one:1"],
                "{kind}"
            );
        }
        assert_eq!(found(object("v1", "ConfigMap", &json!({"data": {"image": "a.io/no:1"}})), &[]), [""; 0]);
    }

    #[test]
    fn declared_fields_of_custom_resources_are_found() {
        let spec = json!({"image": "a.io/one:1", "parts": [{"image": "a.io/two:1"}, {}], "none": null});
        let custom = object("example.com/v1", "Prometheus", &json!({"spec": spec}));
        let fields = [field("spec.image", None), field("spec.parts[].image", None), field("spec.none", None)];
        assert_eq!(found(custom.clone(), &fields), ["a.io/one:1", "a.io/two:1"]);
        assert_eq!(found(custom.clone(), &[]), [""; 0]);
        let refused = Mirrors::default().settle(&mut [custom], &[field("spec.parts[]", None)]);
        assert_eq!(
            refused,
            Err("`spec.parts[]` of Prometheus n/x is no text that could name an image".to_string())
        );
    }

    #[test]
    fn images_in_arguments_are_found_behind_their_flag() {
        let args = json!(["--verbose", "--solver=a.io/solver:1", "--solver", "a.io/other:1", "--solvers=2"]);
        let spec = json!({"template": {"spec": {"containers": [{"args": args}]}}});
        let mut objects = [object("apps/v1", "Deployment", &json!({"spec": spec}))];
        let fields = [field("spec.template.spec.containers[].args[]", Some("--solver"))];
        mirrors(&[("a.io", "b.io/a")]).settle(&mut objects, &fields).expect("texts");
        assert_eq!(
            objects[0].body["spec"]["template"]["spec"]["containers"][0]["args"],
            json!(["--verbose", "--solver=b.io/a/solver:1", "--solver", "b.io/a/other:1", "--solvers=2"])
        );
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        for path in ["", "spec..image", "spec.list[0]", ".spec"] {
            let field = json!({"apiVersion": "v1", "kind": "X", "path": path});
            assert!(serde_json::from_value::<ImageField>(field).is_err(), "{path}");
        }
    }

    #[test]
    fn the_longest_prefix_counts_and_tags_and_digests_stay() {
        let mirrors = mirrors(&[
            ("docker.io", "r.example.com:5000/hub"),
            ("docker.io/library", "r.example.com:5000/official"),
            ("quay.io/metallb", "r.example.com:5000/metallb"),
            ("registry.k8s.io", "registry.k8s.io"),
        ]);
        for (written, pulled, missed) in [
            ("traefik:v3", "r.example.com:5000/official/traefik:v3", false),
            ("grafana/grafana", "r.example.com:5000/hub/grafana/grafana:latest", false),
            ("quay.io/metallb/speaker:v1", "r.example.com:5000/metallb/speaker:v1", false),
            ("quay.io/metallbx/speaker:v1", "quay.io/metallbx/speaker:v1", true),
            ("registry.k8s.io/pause:3", "registry.k8s.io/pause:3", false),
            ("r.example.com:5000/hub/own:1", "r.example.com:5000/hub/own:1", false),
            ("r.example.com:5000/other:1", "r.example.com:5000/other:1", true),
            ("no image", "no image", true),
        ] {
            assert_eq!(mirrors.settled(written), (pulled.to_string(), missed), "{written}");
        }
        let pinned = format!("docker.io/a/b:v1@{DIGEST}");
        assert_eq!(mirrors.settled(&pinned).0, format!("r.example.com:5000/hub/a/b:v1@{DIGEST}"));
    }

    #[test]
    fn without_mirrors_objects_stay_as_they_are_written() {
        let pod = object("v1", "Pod", &json!({"spec": {"containers": [{"image": "traefik:v3"}]}}));
        let mut objects = [pod.clone()];
        let images = Mirrors::default().settle(&mut objects, &[]).expect("texts");
        assert_eq!(objects, [pod]);
        assert_eq!((images[0].reference.as_str(), images[0].missed), ("docker.io/library/traefik:v3", false));
    }
}

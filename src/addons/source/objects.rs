use super::Fetched;
use crate::addons::AddonError;
use crate::base::Note;
use crate::k8s::{Kinds, Object};
use crate::profile::{AddonSpec, Reach};

/// What the documents of a source come to.
pub(in crate::addons) struct SourceObjects {
    pub objects: Vec<Object>,
    pub notes: Vec<Note>,
}

/// The objects of `fetched`, all of them where `reach` lets them be.
pub(in crate::addons) fn of_source(
    _spec: &AddonSpec,
    fetched: &Fetched,
    _reach: &Reach,
    kinds: &Kinds,
) -> Result<SourceObjects, AddonError> {
    let mut objects = Vec::new();
    for document in &fetched.documents {
        let object = Object::of(document.body.clone(), kinds);
        objects.push(object.map_err(|error| AddonError::file(&document.place, error.to_string()))?);
    }
    Ok(SourceObjects { objects, notes: Vec::new() })
}

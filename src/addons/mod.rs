//! **Owns** the catalog of addons (data under `addons/` and in the user's own folders), their
//! options, and the Kubernetes objects that come of them.
//! **May name** base, os, flow, profile, engine, k8s.
//! **Never** holds a word about one addon: what is special about it stands in its `addon.yaml`.
//! Knows [`Platform`](crate::base::Platform), no cloud.
//! **Start reading at** [`Catalog`], then [`Definition`].

mod catalog;
mod definition;
mod draft;
mod error;
mod format;
mod images;
mod needs;
mod options;
mod places;
mod pool;
mod pools;
mod ranges;
mod rehearsal;
mod render;
mod rendered;
mod rules;
mod slices;
mod source;
mod template;
mod written;

pub use catalog::{Addon, Catalog, Manifest, shipped_names};
pub use definition::{
    Ability, Definition, Download, Minor, MinorRange, Needs, NodeGroupKind, Offer, Providers, Rehearsal,
    Version, Want, Way,
};
pub use error::AddonError;
pub use format::Format;
pub use images::{Image, Mirrors, check_mirrored, digest_of, in_full};
pub use needs::Wanted;
pub use options::{Additional, OptionSchema, OptionType, OptionTypes};
pub use pools::PoolOptions;
pub use rendered::{LEFT_OPEN, Offered, Rendered};
pub use rules::{Named, Rule};
pub use source::{Document, GET_HELM, HelmSearch, HelmVersion, Means, Sources};

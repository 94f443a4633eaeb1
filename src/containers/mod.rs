//! **Owns** the container engine of this machine: which one there is, its containers, networks, images
//! and volumes, and what runs inside its containers.
//! **May name** base, os, flow.
//! **Never** knows registries or profiles, nor of clusters more than the labels that kind gives their
//! containers; decides nothing.
//! **Start reading at** [`Engine`].

mod archive;
mod engine;
mod fault;
mod images;
mod info;
mod inspect;
mod kind;
mod login;
#[cfg(test)]
mod played;
mod publishers;
mod volumes;

pub use archive::{Archive, ArchivedImage};
pub use engine::{Engine, EngineKind, EngineSearch};
pub use images::{EngineImage, missing_image};
pub use info::Info;
pub use inspect::{Attachment, Container, ContainerState, EngineNetwork, Mount, PublishedPort};
pub use kind::MARK_FOLDER;
pub use publishers::Publisher;

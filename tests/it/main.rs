//! Tests from outside: the rules of the house, the stage, and the laws of the product on a real
//! control plane.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    dead_code,
    reason = "a test fails by panicking, and the stage is for all tests, not for each"
)]

mod addon_cluster_autoscaler;
mod addon_command;
mod addon_gpu;
mod addon_metallb;
mod addon_metrics_server;
mod addon_rights;
mod addon_traefik;
mod addons;
mod addons_live;
mod bad_clusters;
mod bad_labs;
mod bad_machines;
mod catalog;
mod charts;
mod command_line;
mod documents;
mod ecr;
mod eks_auto_mode;
mod eks_changes;
mod eks_cluster;
mod eks_down;
mod eks_faults;
mod eks_groups;
mod eks_input;
mod eks_leaving;
mod eks_network;
mod eks_ranges;
mod eks_rights;
mod eks_stacks;
mod eks_strangers;
mod eks_templates;
mod eks_token;
mod eks_waiting;
mod floors;
mod image_load;
mod labs_as_they_are;
mod labs_by_shim;
mod labs_down;
mod labs_with_gpus;
mod laws;
mod laws_addons;
mod laws_addons_alone;
mod laws_eks_kills;
mod laws_eks_together;
mod laws_kills;
mod laws_ours;
mod laws_rehearsal;
mod laws_remains;
mod laws_stopped;
mod laws_together;
mod profiles;
mod proof_metallb;
mod proof_metrics;
mod proof_metrics_server;
mod proof_traefik;
mod providers;
mod pull_secrets;
mod questions;
mod reasons;
mod reference;
mod reference_addons;
mod registry;
mod rendering;
mod stage;
mod standard_output;
#[path = "../support/mod.rs"]
mod support;
mod verify;

//! **Owns** the talk with the clouds: sessions and who we are in them, typed clients, endpoints, tokens
//! for clusters, what a cloud's refusal means.
//! **May name** base, os, flow, profile, engine.
//! **Never** knows what is made in a cloud, or in which order: that belongs to providers and registry.
//! **Start reading at** [`aws::Session`].

pub mod aws;

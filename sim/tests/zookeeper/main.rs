//! The rules of ZooKeeper's client protocol, one by one, against the model.
//!
//! Modules follow the protocol: what is stated in a table here was seen on real servers.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "clippy takes the functions of a test crate that are no tests themselves for other code"
)]

mod access;
mod checks;
mod counters;
mod ensemble_properties;
mod faults;
mod harness;
mod leaders;
mod moving;
mod multi;
mod operations;
mod paths;
mod profile;
mod properties;
mod replication;
mod sessions;
mod set_watches;
mod sweep;
mod watches;

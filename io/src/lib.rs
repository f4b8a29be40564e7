//! Node and service discovery, and globally unique processes, on Apache ZooKeeper.
pub mod port;

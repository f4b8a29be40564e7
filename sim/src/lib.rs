//! A model of ZooKeeper, and a deterministic simulator.

pub mod checkers;
pub mod explorer;
pub mod museum;
pub mod scenario;
pub mod zookeeper;

//! A model of ZooKeeper, and a deterministic simulator.

pub mod zookeeper;

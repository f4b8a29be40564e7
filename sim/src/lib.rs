//! A model of ZooKeeper, and a deterministic simulator.

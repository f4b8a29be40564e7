//! What the examples share: a ZooKeeper to run on where there is none.

pub mod dev_server;

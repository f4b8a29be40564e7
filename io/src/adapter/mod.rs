//! The ports' adapters to the real world.

mod zookeeper_client;

pub use zookeeper_client::ZooKeeperClient;

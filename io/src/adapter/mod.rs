//! The ports' adapters to the real world.

mod os;
mod tcp;
mod zookeeper_client;

pub use os::OperatingSystem;
pub use tcp::Tcp;
pub use zookeeper_client::ZooKeeperClient;
pub(crate) use zookeeper_client::{LastFailure, diagnose};

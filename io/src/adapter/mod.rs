//! The ports' adapters to the real world.

mod native;
mod os;
mod tcp;
mod zookeeper_client;

pub use native::NativeClient;
pub use os::OperatingSystem;
pub use tcp::Tcp;
pub use zookeeper_client::ZooKeeperClient;
pub(crate) use zookeeper_client::{LastFailure, diagnose};

use std::sync::Arc;

use crate::config::{ClientKind, Config};
use crate::error::Error;
use crate::port::ZooKeeper;

/// The client that `config` chooses, and why its last attempt failed.
pub(crate) fn zookeeper(config: &Config) -> Result<(Box<dyn ZooKeeper>, LastFailure), Error> {
    match config.client_kind {
        ClientKind::ZooKeeperClient => {
            let client = ZooKeeperClient::new(config)?;
            let last_failure = client.last_failure();
            Ok((Box::new(client), last_failure))
        }
        ClientKind::Native => {
            let client = NativeClient::new(config, Arc::new(Tcp), Arc::new(OperatingSystem))?;
            let last_failure = client.last_failure();
            Ok((Box::new(client), last_failure))
        }
    }
}

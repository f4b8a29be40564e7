//! The three ports through which the shell touches the world. All are object-safe, and all are replaced in
//! simulation.

mod host;
mod network;
mod zookeeper;

pub use host::Host;
pub use network::{Connection, Listener, Network};
pub use zookeeper::ZooKeeper;

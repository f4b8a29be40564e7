//! A model of ZooKeeper, a server for tests and development, and a deterministic simulator.
//!
//! - [`DevServer`]: a ZooKeeper in your tests, for any client, without a JVM (feature `server`, on by default)
//! - [`zookeeper`]: the model behind it, pure; [`endpoint`]: the same with bytes in and bytes out
//! - [`explorer`]: thousands of runs of queenright's core with faults drawn from a seed; [`checkers`]: what must hold

pub mod checkers;
#[cfg(feature = "server")]
pub mod dev_server;
pub mod endpoint;
pub mod explorer;
pub mod museum;
pub mod scenario;
pub mod zookeeper;

pub use queenright_core::SessionId;
pub use queenright_core::wire::OpCode;

#[cfg(feature = "server")]
pub use dev_server::{DevServer, DevServerBuilder, StartError};

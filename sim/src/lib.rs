//! A model of ZooKeeper, a server for tests and development, and a deterministic simulator.
//!
//! - [`DevServer`]: a ZooKeeper in your tests, for any client, without a JVM (feature `server`, on by default)
//! - [`zookeeper`]: the model behind it, pure; [`endpoint`]: the same with bytes in and bytes out
//! - [`explorer`]: thousands of runs of queenright's core with faults drawn from a seed; [`checkers`]: what must hold
//! - [`timeline`]: a run as one HTML file to look at, step by step
//! - `world`: whole nodes, and your own services, on a simulated network with a simulated ZooKeeper (feature `world`)

pub mod checkers;
#[cfg(feature = "server")]
pub mod dev_server;
pub mod endpoint;
pub mod exhaustive;
pub mod explorer;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod museum;
pub mod recording;
pub mod scenario;
pub mod timeline;
#[cfg(feature = "world")]
pub mod world;
pub mod zookeeper;

pub use queenright_core::SessionId;
pub use queenright_core::wire::OpCode;

#[cfg(feature = "server")]
pub use dev_server::{DevServer, DevServerBuilder, StartError};

/// Pages of the documentation that belong to no type.
pub mod docs {
    #[cfg(feature = "world")]
    #[doc = include_str!("../docs/simulate_your_service.md")]
    pub mod simulate_your_service {}

    #[doc = include_str!("../docs/why_believe_it.md")]
    pub mod why_believe_it {}
}

#[cfg(feature = "world")]
pub use world::{Failure, Fault, Member, Place, Report, Simulation};

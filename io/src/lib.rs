//! Node and service discovery, and globally unique processes, on Apache ZooKeeper.

mod acl;
pub mod adapter;
mod config;
mod connect_string;
mod error;
pub mod port;

pub use acl::{Acl, AclEntry, Permissions};
pub use config::{Config, Tls};
pub use error::Error;

//! Node and service discovery, and globally unique processes, on Apache ZooKeeper.

mod acl;
pub mod adapter;
mod candidacy;
mod client;
mod config;
mod connect_string;
mod directory;
mod driver;
mod error;
mod handle;
mod leadership;
mod lock;
pub mod port;
mod published;
mod publisher;
mod registration;

pub use acl::{Acl, AclEntry, Permissions};
pub use candidacy::{Candidacy, CandidacyEvent};
pub use client::Client;
pub use config::{Config, Tls};
pub use directory::{Changes, Follow, Snapshot};
pub use error::Error;
pub use leadership::{Deposed, GuardError, Leadership};
pub use queenright_core::op::{CreateMode, ErrorCode, Version, Write, WriteReply};
pub use queenright_core::output::{Instance, InstanceChange, RegistrationStatus, SessionStatus, StopReason};
pub use queenright_core::{Freshness, Holder, Name, Path, Token};
pub use registration::Registration;

//! Node and service discovery, and globally unique processes, on Apache ZooKeeper.

mod acl;
pub mod adapter;
mod candidacy;
mod client;
mod codec;
mod config;
mod connect_string;
mod directory;
mod driver;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod leadership;
mod link;
mod lock;
#[doc(hidden)]
pub mod mutation;
mod node;
pub mod pick;
pub mod port;
mod process;
mod published;
mod publisher;
mod recording;
mod registration;

pub use acl::{Acl, AclEntry, Permissions};
pub use candidacy::{Candidacy, CandidacyEvent};
pub use client::Client;
pub use codec::{DecodeError, EncodeError, FRAME_LEN_LIMIT};
pub use config::{ClientKind, Config, Tls};
pub use directory::{Changes, Follow, Snapshot};
pub use error::Error;
pub use leadership::{Deposed, GuardError, Leadership};
#[doc(hidden)]
pub use link::overheard;
pub use link::{Cookie, InvalidLinkConfig, LinkConfig};
#[cfg(feature = "tls")]
pub use link::{InvalidTls, LinkTls};
pub use node::{Found, Node, bootstrap};
pub use process::{
    ADDRESS_LEN_MAX, DiedReason, InvalidId, Match, Message, MonitorRef, NodeId, NodeStats, Process,
    ProcessId, ProcessMonitorNotification, REASON_LEN_MAX, ReceivePort, RegisterError, SendError, SendPort,
    StartError, TrySendError,
};
pub use queenright_core::op::{CreateMode, ErrorCode, Version, Write, WriteReply};
pub use queenright_core::output::{Instance, InstanceChange, RegistrationStatus, SessionStatus, StopReason};
pub use queenright_core::{Freshness, Holder, Name, Path, Token};
pub use registration::Registration;

/// Pages of the documentation that belong to no type.
pub mod docs {
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
}

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

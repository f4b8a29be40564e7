//! The sans-IO core of queenright: sessions, caches, registrations, leases and elections on ZooKeeper.
//!
//! [`Coordinator`] is a pure state machine. It takes what happened as [`Input`]s and the time as an argument, and
//! gives what is to be done as [`Output`]s: requests for ZooKeeper, and events for the application. It has no
//! sockets, no clock, no randomness and no hash order, so the same inputs give the same outputs: in production,
//! in a simulator, in an exhaustive checker and in a fuzzer alike. Its documentation states the contract and shows
//! the loop.
//!
//! What it promises, and under which assumptions, is told in ARCHITECTURE.md, "The election"; comments that say
//! "rule 9" mean the rules of that chapter.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backoff;
mod cache;
pub mod config;
pub mod coordinator;
mod election;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod ids;
pub mod input;
mod janitor;
mod layout;
mod lease;
#[doc(hidden)]
pub mod mutation;
pub mod op;
mod outbox;
pub mod output;
pub mod path;
mod record;
pub mod recording;
mod registration;
mod session;
mod shape;
pub mod time;
mod timers;
mod watches;
pub mod wire;

pub use config::Config;
pub use coordinator::Coordinator;
pub use error::{InvalidConfig, InvalidName, Misuse};
pub use ids::{Incarnation, RegistrationId, RequestId, SessionEpoch, SessionId, Token, Zxid};
pub use input::{HostEvent, Input, SessionEvent};
pub use op::Op;
pub use output::{Directory, Event, Freshness, Holder, Output, Request, Terms, Timer};
pub use path::{Name, Path};
#[cfg(feature = "check")]
#[doc(hidden)]
pub use record::named_lease;
pub use time::Instant;

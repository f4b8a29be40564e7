//! The sans-IO core of queenright.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backoff;
mod cache;
pub mod config;
pub mod coordinator;
mod election;
pub mod error;
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
mod registration;
mod session;
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
pub use time::Instant;

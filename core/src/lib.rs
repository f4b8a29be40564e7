//! The sans-IO core of queenright.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
pub mod coordinator;
pub mod error;
pub mod ids;
pub mod input;
pub mod op;
pub mod output;
pub mod path;
pub mod time;
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

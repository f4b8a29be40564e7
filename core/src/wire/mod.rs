//! ZooKeeper's client protocol as data: what a client and a server say to each other.
//!
//! A record is what a frame *means*. Nothing in it is validated beyond what its type says, and paths are plain text,
//! as they come from the other side. [`convert`] translates between records and the core's own
//! [`Op`](crate::op::Op) and [`Outcome`](crate::op::Outcome). [`client`] is the client's side of a session.

mod acl;
pub mod client;
pub mod convert;
mod error;
mod opcode;
mod request;
mod response;
mod session;

pub use acl::{Acl, AuthId, Permissions};
pub use error::ErrorCode;
pub use opcode::OpCode;
pub use request::{
    AddWatchMode, Check, Create, CreateFlags, CreateForm, Delete, MultiReadRequest, MultiRequest, Read,
    Request, SetData, WatcherType,
};
pub use response::{MultiReadResult, MultiResult, Response};
pub use session::{ConnectRequest, ConnectResponse, WatchedEvent};

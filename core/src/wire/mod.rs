//! ZooKeeper's client protocol: what a client and a server say to each other, as data and as bytes.
//!
//! A record is what a frame *means*. Nothing in it is validated beyond what its type says, and paths are plain text,
//! as they come from the other side. [`convert`] translates between records and the core's own
//! [`Op`](crate::op::Op) and [`Outcome`](crate::op::Outcome). [`client`] is the client's side of a session.
//!
//! # Bytes
//!
//! `encode` appends a whole frame, its length included; `decode` takes the body of one, as [`Frames`] cuts it out of a
//! stream. Every record is defined once for both directions, in `codec`.
//!
//! | | client to server | server to client |
//! |---|---|---|
//! | first frame | [`ConnectRequest`] | [`ConnectResponse`] |
//! | then | [`Request`], with an xid | [`Message`]: a reply, or a [`WatchedEvent`] |
//! | instead | [`FourLetterWord`] | a text |
//!
//! A reply does not say what it answers: a client reads its header as [`Message`], finds the request with that xid,
//! and reads the rest with [`Response::decode`]. A server writes one with [`encode_reply`].
//!
//! Decoding is total: whatever the bytes are, the answer is a record or a [`DecodeError`], and what is allocated is a
//! small multiple of what was received, whatever lengths and counts are claimed. As with real servers, bytes after the
//! end of a record are ignored, null and empty buffers are two things, and text that is not UTF-8 gets U+FFFD where it
//! is wrong.

mod acl;
pub mod client;
mod codec;
pub mod convert;
mod error;
mod frames;
mod message;
mod opcode;
mod request;
mod response;
mod session;
mod word;
pub mod xid;

pub use acl::{Acl, AuthId, Permissions};
pub use codec::{DecodeError, Problem};
pub use error::ErrorCode;
pub use frames::{FRAME_LEN_MAX, FrameError, Frames};
pub use message::{Message, encode_reply};
pub use opcode::OpCode;
pub use request::{
    AddWatchMode, Check, Create, CreateFlags, CreateForm, Delete, MultiReadRequest, MultiRequest, Read,
    Request, SetData, WatcherType,
};
pub use response::{MultiReadResult, MultiResult, Response};
pub use session::{ConnectRequest, ConnectResponse, WatchedEvent};
pub use word::FourLetterWord;

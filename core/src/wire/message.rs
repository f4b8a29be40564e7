//! What a server sends after the handshake.

use alloc::vec::Vec;

use crate::ids::Zxid;
use crate::wire::codec::{Reader, Record};
use crate::wire::frames::frame;
use crate::wire::{DecodeError, ErrorCode, Response, WatchedEvent, xid};

/// A frame from a server, as far as it can be read without knowing what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The answer to the request with this xid.
    Reply {
        /// The xid of the request.
        xid: i32,
        /// The last transaction before the answer, or that of the write itself, also of one that failed.
        zxid: Zxid,
        /// What [`Response::decode`] reads, or the error. A multi that failed is `Ok`, with errors inside.
        result: Result<&'a [u8], ErrorCode>,
    },
    /// A watch fired.
    Event(WatchedEvent),
}

impl<'a> Message<'a> {
    /// Reads the body of a frame.
    ///
    /// # Errors
    /// When the header is too short, or the notification is none.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(body);
        let xid = from.field("xid")?;
        let zxid = from.field("zxid")?;
        let error = from.field("err")?;
        if xid == xid::EVENT {
            let change = from.field("type")?;
            from.field::<i32>("state")?;
            return Ok(Self::Event(WatchedEvent { change, path: from.field("path")?, zxid }));
        }
        let result = if error == ErrorCode::OK { Ok(from.rest()) } else { Err(error) };
        Ok(Self::Reply { xid, zxid, result })
    }
}

impl WatchedEvent {
    /// Appends the frame of the notification.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            write_header(xid::EVENT, self.zxid, ErrorCode::OK, out);
            self.change.write(out);
            STATE_CONNECTED.write(out);
            self.path.write(out);
        });
    }
}

/// Appends the frame of a reply to the request with this xid.
pub fn encode_reply(xid: i32, zxid: Zxid, result: Result<&Response, ErrorCode>, out: &mut Vec<u8>) {
    frame(out, |out| match result {
        Ok(response) => {
            write_header(xid, zxid, ErrorCode::OK, out);
            response.write_body(out);
        }
        Err(code) => write_header(xid, zxid, code, out),
    });
}

/// The state that notifications speak of; servers send no other.
const STATE_CONNECTED: i32 = 3;

fn write_header(xid: i32, zxid: Zxid, error: ErrorCode, out: &mut Vec<u8>) {
    xid.write(out);
    zxid.write(out);
    error.write(out);
}

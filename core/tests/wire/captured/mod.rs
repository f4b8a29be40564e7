//! What a real server (3.8.0) and a client that was written by hand said to each other, byte by byte, one conversation
//! in order but for the topics. What it means was told by neither side of the codec.

mod sessions;
mod znodes;

use queenright_core::Zxid;
use queenright_core::op::Stat;
use queenright_core::wire::{
    Acl, Create, CreateFlags, CreateForm, ErrorCode, Message, OpCode, Request, Response, WatchedEvent,
    encode_reply,
};

use crate::bytes::{framed, hex};

pub(super) fn exchange(
    asked: &str,
    xid: i32,
    request: Request,
    answered: &str,
    zxid: i64,
    result: Result<Response, ErrorCode>,
) {
    let bytes = hex(asked);
    assert_eq!(Request::decode(&bytes), Ok((xid, request.clone())));
    // What was read as garbled is not written so.
    if !matches!(request, Request::Garbled { .. }) {
        assert_eq!(framed(|out| request.encode(xid, out)), bytes, "{request:?}");
    }
    let bytes = hex(answered);
    let Ok(Message::Reply { xid: echo, zxid: at, result: body }) = Message::decode(&bytes) else {
        panic!("no reply: {answered}")
    };
    assert_eq!((echo, at), (xid, Zxid(zxid)));
    let opcode = request.opcode().unwrap_or(OpCode::Ping);
    let decoded = body.map(|body| Response::decode(opcode, body).expect("a reply"));
    assert_eq!(decoded, result);
    assert_eq!(
        framed(|out| encode_reply(xid, Zxid(zxid), result.as_ref().map_err(|code| *code), out)),
        bytes
    );
}

pub(super) fn event(bytes: &str, event: WatchedEvent) {
    let bytes = hex(bytes);
    assert_eq!(Message::decode(&bytes), Ok(Message::Event(event.clone())));
    assert_eq!(framed(|out| event.encode(out)), bytes);
}

pub(super) fn create(form: CreateForm, path: &str, data: Option<&[u8]>, acl: Acl, flags: i32) -> Create {
    Create {
        form,
        path: path.into(),
        data: data.map(Vec::from),
        acl: Some(vec![acl]),
        flags: CreateFlags(flags),
    }
}

/// The fields of a stat in the order of the wire: czxid, mzxid, ctime, mtime; three versions; the owner; the length
/// of the data and the number of children; pzxid.
pub(super) fn stat(
    [czxid, mzxid, ctime, mtime]: [i64; 4],
    [version, cversion, aversion]: [i32; 3],
    ephemeral_owner: i64,
    [data_length, num_children]: [i32; 2],
    pzxid: i64,
) -> Stat {
    let (czxid, mzxid, pzxid) = (Zxid(czxid), Zxid(mzxid), Zxid(pzxid));
    Stat {
        czxid,
        mzxid,
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        ephemeral_owner,
        data_length,
        num_children,
        pzxid,
    }
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).into()).collect()
}

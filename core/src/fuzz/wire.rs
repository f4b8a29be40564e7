//! The body of the fuzz target `wire`: whatever the bytes are, they are a record or an error, and a record that was
//! read is the same after it was written and read again.

use alloc::vec::Vec;

use crate::ids::Zxid;
use crate::wire::{
    ConnectRequest, ConnectResponse, FrameError, Frames, Message, OpCode, Request, Response, encode_reply,
};

/// The longest frame here: short, so that lengths over the limit are found.
const LEN_MAX: usize = 1_000;

/// Reads `data` as everything that it could be: as the body of a frame in either direction, and as a stream of them.
/// Its first byte says as which reply, and in pieces of which length.
///
/// # Panics
/// When the codec breaks its contract: a bug of this crate.
pub fn wire(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let opcode = OpCode::ALL[usize::from(*choice) % OpCode::ALL.len()];
    from_client(body);
    from_server(opcode, body);
    let (bodies, error) = frames(body, body.len().max(1));
    assert_eq!(frames(body, usize::from(*choice) % 9 + 1), (bodies.clone(), error), "cut into pieces");
    for body in bodies {
        from_client(&body);
        from_server(opcode, &body);
    }
}

fn from_client(body: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(body) {
        let again = framed(|out| request.encode(out));
        assert_eq!(ConnectRequest::decode(&again), Ok(request));
    }
    if let Ok((xid, request)) = Request::decode(body) {
        let again = framed(|out| request.encode(xid, out));
        let decoded = Request::decode(&again);
        // What could not be read is not kept, so it is written without a body; that is complete for some.
        if let Request::Garbled { opcode } = request {
            assert_eq!(decoded.map(|(_, again)| again.opcode()), Ok(Ok(opcode)));
        } else {
            assert_eq!(decoded, Ok((xid, request)));
        }
    }
}

fn from_server(opcode: OpCode, body: &[u8]) {
    if let Ok(response) = ConnectResponse::decode(body) {
        let again = framed(|out| response.encode(out));
        assert_eq!(ConnectResponse::decode(&again), Ok(response));
    }
    match Message::decode(body) {
        Ok(Message::Event(event)) => {
            let again = framed(|out| event.encode(out));
            assert_eq!(Message::decode(&again), Ok(Message::Event(event)));
        }
        Ok(Message::Reply { xid, zxid, result: Ok(rest) }) => reply(opcode, xid, zxid, rest),
        Ok(Message::Reply { xid, zxid, result: Err(code) }) => {
            let again = framed(|out| encode_reply(xid, zxid, Err(code), out));
            assert_eq!(Message::decode(&again), Ok(Message::Reply { xid, zxid, result: Err(code) }));
        }
        // A header is no news in these bytes; what follows one is read all the same.
        Err(_) => reply(opcode, 1, Zxid(1), body),
    }
}

fn reply(opcode: OpCode, xid: i32, zxid: Zxid, body: &[u8]) {
    let Ok(response) = Response::decode(opcode, body) else { return };
    let again = framed(|out| encode_reply(xid, zxid, Ok(&response), out));
    match Message::decode(&again) {
        Ok(Message::Reply { xid: echo, zxid: at, result: Ok(body) }) => {
            assert_eq!((echo, at), (xid, zxid));
            assert_eq!(Response::decode(opcode, body), Ok(response));
        }
        message => panic!("{response:?} was read as {message:?}"),
    }
}

/// The frames in `stream`, which comes in pieces of `len` bytes, and how it ends.
fn frames(stream: &[u8], len: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let (mut frames, mut bodies) = (Frames::new(LEN_MAX), Vec::new());
    for piece in stream.chunks(len) {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some(body)) => bodies.push(body.into()),
                Ok(None) => break,
                Err(error) => return (bodies, Some(error)),
            }
        }
    }
    (bodies, None)
}

/// The body of the one frame that `encode` appends.
fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    let body = out.split_off(4);
    assert_eq!(out[..], i32::try_from(body.len()).unwrap_or(i32::MAX).to_be_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::mix;

    /// What a fuzzer would begin with: small numbers, for they are lengths and types.
    #[test]
    fn bytes_of_chance_break_nothing() {
        for seed in 0..5_000_u64 {
            let len = (mix(seed) % 200) as usize;
            let byte = |at| match mix(mix(seed) ^ at) {
                any if any % 5 == 0 => (any >> 8) as u8,
                small if small % 5 == 1 => (small >> 8) as u8 % 24,
                _ => 0,
            };
            let data: Vec<u8> = (0..len as u64).map(byte).collect();
            wire(&data);
        }
    }
}

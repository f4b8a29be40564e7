//! Requests as frames, and frames as what a server said: the wire as both kinds of servers are spoken to.

use std::collections::VecDeque;

use queenright_core::wire::{ConnectResponse, ErrorCode, Message, OpCode, Request, Response, encode_reply};
use queenright_sim::zookeeper::FromServer;

use crate::step::{Ask, Part, Query};

/// Where the body of a request begins in its frame: behind length, xid, and type.
const BODY: usize = 12;
/// The header that ends the parts of a multi.
const END_OF_PARTS: usize = 9;

/// The frame of a request.
pub(crate) fn frame(xid: i32, ask: &Ask) -> Vec<u8> {
    let mut body = match &ask.query {
        Query::Request(request) => body(request),
        Query::Mixed { opcode: _, parts } => mixed(parts),
        Query::Raw { body, .. } => body.clone(),
    };
    let len = i32::try_from(body.len()).unwrap() - ask.cut;
    body.resize(usize::try_from(len).unwrap_or(0), 0);
    let len = i32::try_from(body.len()).unwrap() + 8;
    [&len.to_be_bytes()[..], &xid.to_be_bytes(), &ask.opcode().to_be_bytes(), &body].concat()
}

fn body(request: &Request) -> Vec<u8> {
    let mut frame = Vec::new();
    request.encode(0, &mut frame);
    frame.split_off(BODY)
}

/// What no client writes: reads and writes in one.
fn mixed(parts: &[Part]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut end = body(&Request::Multi(Vec::new()));
    for part in parts {
        let mut one = body(&match part {
            Part::Write(write) => Request::Multi(vec![write.clone()]),
            Part::Read(read) => Request::MultiRead(vec![read.clone()]),
        });
        end = one.split_off(one.len() - END_OF_PARTS);
        all.extend(one);
    }
    all.extend(end);
    all
}

/// The frame of what the model says; nothing when that is the end.
pub(crate) fn said(message: &FromServer) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    match message {
        FromServer::Connected(response) => response.encode(&mut frame),
        FromServer::Reply { xid, zxid, result } => {
            encode_reply(*xid, *zxid, result.as_ref().map_err(|code| *code), &mut frame);
        }
        FromServer::Event(event) => event.encode(&mut frame),
        FromServer::Close => return None,
    }
    Some(frame)
}

/// Reads what comes over one connection.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    pub(crate) is_connected: bool,
    /// The xids that are waited for, and what was asked with them.
    pending: VecDeque<(i32, i32)>,
}

impl Ear {
    /// That will be answered.
    pub(crate) fn expect(&mut self, xid: i32, ask: &Ask) {
        self.pending.push_back((ask.answered_xid(xid), ask.opcode()));
    }

    /// The body of a frame.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> FromServer {
        if !self.is_connected {
            self.is_connected = true;
            return FromServer::Connected(ConnectResponse::decode(frame).expect("a first frame"));
        }
        match Message::decode(frame).expect("a frame from a server") {
            Message::Event(event) => FromServer::Event(event),
            Message::Reply { xid, zxid, result } => {
                let result = match (self.asked(xid), result) {
                    (_, Err(code)) => Err(code),
                    (Some(opcode), Ok(body)) => Ok(read(opcode, body)),
                    (None, Ok(_)) => panic!("an answer to {xid}, which was not asked"),
                };
                FromServer::Reply { xid, zxid, result }
            }
        }
    }

    fn asked(&mut self, xid: i32) -> Option<i32> {
        let at = self.pending.iter().position(|(expected, _)| *expected == xid)?;
        self.pending.remove(at).map(|(_, opcode)| opcode)
    }
}

fn read(opcode: i32, body: &[u8]) -> Response {
    let opcode = OpCode::from_number(opcode).unwrap_or_else(|| panic!("a success of type {opcode}"));
    Response::decode(opcode, body).unwrap_or_else(|error| panic!("no answer to {opcode:?}: {error}"))
}

/// Whether the server closes the connection after it has said that.
pub(crate) fn is_last(message: &FromServer) -> bool {
    match message {
        FromServer::Connected(response) => response.is_refusal(),
        FromServer::Reply { result, .. } => matches!(
            result,
            Ok(Response::CloseSession) | Err(ErrorCode::UNIMPLEMENTED | ErrorCode::AUTH_FAILED)
        ),
        FromServer::Event(_) => false,
        FromServer::Close => true,
    }
}

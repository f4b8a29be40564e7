//! One connection of a client as bytes.

use alloc::vec::Vec;

use crate::time::Instant;
use crate::wire::client::{Break, Client};
use crate::wire::{ConnectRequest, ConnectResponse, DecodeError, Frames, Message, Request, Response};

/// The longest frame of a server: its replies have no limit of its own, and a directory can have many children.
const REPLY_LEN_MAX: usize = 64 << 20;

/// What goes out over one connection and comes in, between a [`Client`] and a socket.
///
/// One belongs to each [`Output::Connect`](super::Output::Connect), and is dropped at
/// [`Output::Disconnect`](super::Output::Disconnect).
#[derive(Debug)]
pub struct Bytes {
    outgoing: Vec<u8>,
    incoming: Frames,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The next frame is the answer to the first one.
    Connecting,
    Connected,
}

impl Bytes {
    /// A connection that begins with `request`.
    #[must_use]
    pub fn new(request: &ConnectRequest) -> Self {
        let mut outgoing = Vec::new();
        request.encode(&mut outgoing);
        Self { outgoing, incoming: Frames::new(REPLY_LEN_MAX), phase: Phase::Connecting }
    }

    /// Puts a request behind what is to be written.
    pub fn send(&mut self, xid: i32, request: &Request) {
        request.encode(xid, &mut self.outgoing);
    }

    /// What is to be written. Whoever writes some of it drains that much.
    pub const fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Takes what was read, in any portions.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.incoming.push(bytes);
    }

    /// Hands the next record that was received to `client`, whose outputs are to be carried out before the next one;
    /// what cannot be read breaks the connection. Returns whether there was one.
    pub fn deliver(&mut self, now: Instant, client: &mut Client) -> bool {
        let Ok(frame) = self.incoming.next_frame() else {
            client.handle_break(now, Break::Garbled);
            return true;
        };
        let Some(body) = frame else { return false };
        let phase = core::mem::replace(&mut self.phase, Phase::Connected);
        if deliver(now, client, phase, body).is_err() {
            client.handle_break(now, Break::Garbled);
        }
        true
    }
}

fn deliver(now: Instant, client: &mut Client, phase: Phase, body: &[u8]) -> Result<(), DecodeError> {
    match phase {
        Phase::Connecting => client.handle_connected(now, ConnectResponse::decode(body)?),
        Phase::Connected => match Message::decode(body)? {
            Message::Event(event) => client.handle_event(now, event),
            Message::Reply { xid, zxid, result } => {
                let result = match (result, client.awaited(xid)) {
                    (Ok(body), Some(opcode)) => Ok(Response::decode(opcode, body)?),
                    // Nothing awaits it: whatever it says, the client will object.
                    (Ok(_), None) => Ok(Response::Ping),
                    (Err(code), _) => Err(code),
                };
                client.handle_reply(now, xid, zxid, result);
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::ids::{SessionId, Zxid};
    use crate::input::{Input, SessionEvent};
    use crate::op::{Change, Op};
    use crate::output::Request as CoreRequest;
    use crate::path::Path;
    use crate::wire::client::{Config, Output};
    use crate::wire::{WatchedEvent, encode_reply};

    const NOW: Instant = Instant::from_millis(1);

    fn connecting() -> (Client, Bytes) {
        let mut client = Client::new(NOW, Config::new(1));
        client.handle_timeout(NOW);
        let Some(Output::Connect { request, .. }) = client.poll_output() else {
            panic!("it does not connect")
        };
        (client, Bytes::new(&request))
    }

    fn accept(bytes: &mut Bytes) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 6_000,
            session: SessionId(7),
            password: vec![0; 16],
            read_only: Some(false),
        };
        let mut out = vec![];
        response.encode(&mut out);
        bytes.receive(&out);
    }

    fn reads(client: &mut Client, bytes: &mut Bytes) -> Vec<Output> {
        let mut outputs = vec![];
        while bytes.deliver(NOW, client) {
            outputs.extend(core::iter::from_fn(|| client.poll_output()));
            if matches!(outputs.last(), Some(Output::Input(Input::Session(SessionEvent::Suspended)))) {
                break;
            }
        }
        outputs
    }

    /// Byte by byte: a session, a request, its reply, an event.
    #[test]
    fn bytes_become_records_however_they_are_cut() {
        let (mut client, mut bytes) = connecting();
        let mut first = Frames::new(100);
        first.push(bytes.outgoing());
        let request = ConnectRequest::decode(first.next_frame().unwrap().unwrap()).unwrap();
        assert_eq!(request.timeout_ms, 8_000);
        bytes.outgoing().clear();
        accept(&mut bytes);
        assert_eq!(reads(&mut client, &mut bytes).len(), 1);

        let path = Path::new("/a").unwrap();
        let request = CoreRequest {
            id: crate::ids::RequestId(1),
            session_epoch: client.session_epoch(),
            op: Op::AddWatch { path },
        };
        client.submit(NOW, request);
        let Some(Output::Send { xid, request }) = client.poll_output() else { panic!("it is not sent") };
        bytes.send(xid, &request);
        let mut sent = Frames::new(100);
        sent.push(bytes.outgoing());
        assert_eq!(Request::decode(sent.next_frame().unwrap().unwrap()), Ok((xid, request)));

        let mut out = vec![];
        encode_reply(xid, Zxid(9), Ok(&Response::AddWatch), &mut out);
        WatchedEvent { change: Change::Created, path: "/a".into(), zxid: Zxid(10) }.encode(&mut out);
        let mut outputs = vec![];
        for byte in out {
            bytes.receive(&[byte]);
            outputs.extend(reads(&mut client, &mut bytes));
        }
        assert!(
            matches!(
                outputs[..],
                [
                    Output::Input(Input::Response { zxid: Some(Zxid(9)), .. }),
                    Output::Input(Input::Watch { .. })
                ]
            ),
            "{outputs:?}"
        );
    }

    #[test]
    fn what_cannot_be_read_costs_the_connection() {
        let garbled = Some(Output::Disconnect { reason: Break::Garbled });
        for answer in [&[0, 0, 0, 1, 0][..], &[0xff; 4], &[0x7f, 0xff, 0xff, 0xff]] {
            let (mut client, mut bytes) = connecting();
            bytes.receive(answer);
            assert!(bytes.deliver(NOW, &mut client));
            assert_eq!(client.poll_output(), garbled, "{answer:?} instead of a session");
            let (mut client, mut bytes) = connecting();
            accept(&mut bytes);
            reads(&mut client, &mut bytes);
            bytes.receive(answer);
            assert_eq!(
                reads(&mut client, &mut bytes).first(),
                garbled.as_ref(),
                "{answer:?} instead of a reply"
            );
        }
    }

    #[test]
    fn a_reply_to_nothing_is_objected_to_and_not_read() {
        let (mut client, mut bytes) = connecting();
        accept(&mut bytes);
        reads(&mut client, &mut bytes);
        let mut out = vec![];
        encode_reply(5, Zxid(9), Ok(&Response::AddWatch), &mut out);
        bytes.receive(&out);
        let reason = Break::WrongXid { awaited: None, received: 5 };
        assert_eq!(reads(&mut client, &mut bytes).first(), Some(&Output::Disconnect { reason }));
    }
}

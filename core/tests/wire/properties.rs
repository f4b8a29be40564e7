//! What holds for all records, and for all bytes.

use proptest::prelude::*;
use queenright_core::Zxid;
use queenright_core::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, Message, OpCode, Request, Response, encode_reply,
};

use crate::bytes::framed;
use crate::records;

/// Decoding may hold so many bytes for each byte that came: the smallest item of a list is that much longer in memory.
const GROWTH_MAX: u64 = 24;
/// And so many for the first item of a list.
const BASE: u64 = 1_024;

proptest! {
    #[test]
    fn requests_survive(xid in any::<i32>(), request in records::request()) {
        let body = framed(|out| request.encode(xid, out));
        prop_assert_eq!(Request::decode(&body), Ok((xid, request)));
    }

    #[test]
    fn replies_survive(xid in 0..i32::MAX, zxid in any::<i64>(), (opcode, response) in records::response()) {
        let body = framed(|out| encode_reply(xid, Zxid(zxid), Ok(&response), out));
        let Ok(Message::Reply { xid: echo, zxid: at, result: Ok(rest) }) = Message::decode(&body) else {
            return Err(TestCaseError::fail("no reply"));
        };
        prop_assert_eq!((echo, at), (xid, Zxid(zxid)));
        prop_assert_eq!(Response::decode(opcode, rest), Ok(response));
    }

    #[test]
    fn errors_survive(xid in 0..i32::MAX, zxid in any::<i64>(), code in 1..i32::MAX) {
        let code = ErrorCode(-code);
        let body = framed(|out| encode_reply(xid, Zxid(zxid), Err(code), out));
        prop_assert_eq!(
            Message::decode(&body),
            Ok(Message::Reply { xid, zxid: Zxid(zxid), result: Err(code) })
        );
    }

    #[test]
    fn events_survive(event in records::event()) {
        let body = framed(|out| event.encode(out));
        prop_assert_eq!(Message::decode(&body), Ok(Message::Event(event)));
    }

    #[test]
    fn handshakes_survive(request in records::connect_request(), response in records::connect_response()) {
        prop_assert_eq!(ConnectRequest::decode(&framed(|out| request.encode(out))), Ok(request));
        prop_assert_eq!(ConnectResponse::decode(&framed(|out| response.encode(out))), Ok(response));
    }

    /// A frame that was damaged on its way is read as something else or not at all, at a cost that the frame bounds.
    #[test]
    fn damage_costs_nothing(
        request in records::request(),
        (opcode, response) in records::response(),
        damage in prop::collection::vec(damage(), 0..4),
    ) {
        let mut asked = framed(|out| request.encode(1, out));
        let mut answered = framed(|out| encode_reply(1, Zxid(1), Ok(&response), out));
        for damage in &damage {
            damage.apply(&mut asked);
            damage.apply(&mut answered);
        }
        decode(&asked, opcode);
        decode(&answered, opcode);
    }

    #[test]
    fn any_bytes_will_do(bytes in prop::collection::vec(any::<u8>(), 0..200), opcode in prop::sample::select(OpCode::ALL)) {
        decode(&bytes, opcode);
    }
}

/// The costliest bytes there are: lists of the shortest items.
#[test]
fn long_lists_of_little_cost_little() {
    let list = |opcode: OpCode, prefix: &[u8], item: &[u8], count: usize, suffix: &[u8]| {
        let mut body = [&1_i32.to_be_bytes()[..], &opcode.number().to_be_bytes(), prefix].concat();
        body.extend(item.repeat(count));
        body.extend(suffix);
        body
    };
    let count = 10_000_i32.to_be_bytes();
    let end = [255, 255, 255, 255, 1, 255, 255, 255, 255];
    let delete = [&[0, 0, 0, 2, 0, 255, 255, 255, 255][..], &[0; 8]].concat();
    let get_data = [&[0, 0, 0, 4, 0, 255, 255, 255, 255][..], &[0; 5]].concat();
    let acl_prefix = [&[0, 0, 0, 0][..], &count].concat();
    let watches_prefix = [&[0; 8][..], &count].concat();
    for body in [
        list(OpCode::Multi, &[], &delete, 10_000, &end),
        list(OpCode::MultiRead, &[], &get_data, 10_000, &end),
        list(OpCode::SetAcl, &acl_prefix, &[0; 12], 10_000, &[0; 4]),
        list(OpCode::SetWatches, &watches_prefix, &[0; 4], 10_000, &[0; 8]),
        // Each byte that is not UTF-8 becomes three.
        list(OpCode::Sync, &count, &[0xff], 10_000, &[]),
    ] {
        let (_, request) = Request::decode(&body).unwrap();
        assert!(!matches!(request, Request::Garbled { .. }), "{:?} is garbled", request.opcode());
        decode(&body, OpCode::Ping);
    }
    let results = [&[255, 255, 255, 255, 0][..], &[0; 8]].concat().repeat(10_000);
    decode(&[results, end.to_vec()].concat(), OpCode::Multi);
}

/// Decodes `bytes` as everything that they could be. What they are is the same after it was written again.
fn decode(bytes: &[u8], opcode: OpCode) {
    if let Ok((xid, request)) = measured(bytes, || Request::decode(bytes)) {
        let again = framed(|out| request.encode(xid, out));
        match Request::decode(&again) {
            // Written without a body, they may be complete.
            _ if matches!(request, Request::Garbled { .. }) => {}
            decoded => assert_eq!(decoded, Ok((xid, request))),
        }
    }
    if let Ok(request) = measured(bytes, || ConnectRequest::decode(bytes)) {
        assert_eq!(ConnectRequest::decode(&framed(|out| request.encode(out))), Ok(request));
    }
    if let Ok(response) = measured(bytes, || ConnectResponse::decode(bytes)) {
        assert_eq!(ConnectResponse::decode(&framed(|out| response.encode(out))), Ok(response));
    }
    if let Ok(Message::Event(event)) = measured(bytes, || Message::decode(bytes)) {
        assert_eq!(Message::decode(&framed(|out| event.encode(out))), Ok(Message::Event(event)));
    }
    if let Ok(response) = measured(bytes, || Response::decode(opcode, bytes)) {
        let again = framed(|out| encode_reply(1, Zxid(1), Ok(&response), out));
        let Ok(Message::Reply { result: Ok(body), .. }) = Message::decode(&again) else { panic!("no reply") };
        assert_eq!(Response::decode(opcode, body), Ok(response));
    }
}

fn measured<T>(bytes: &[u8], decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let cost = allocation_counter::measure(|| decoded = Some(decode())).bytes_max;
    let limit = bytes.len() as u64 * GROWTH_MAX + BASE;
    assert!(cost <= limit, "{cost} bytes of memory for the {} of {bytes:?}", bytes.len());
    decoded.expect("it was measured")
}

#[derive(Clone, Debug)]
enum Damage {
    Byte(prop::sample::Index, u8),
    Number(prop::sample::Index, i32),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![Just(-1), Just(-2), Just(i32::MIN), Just(i32::MAX), Just(0x10_0000), 0..300];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Number(at, number) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + 4);
                bytes.splice(at..end, number.to_be_bytes());
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
        }
    }
}

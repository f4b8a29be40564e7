//! Transactions, watches, and the session itself.

use queenright_core::op::Change;
use queenright_core::wire::{
    AddWatchMode, ConnectRequest, ConnectResponse, ErrorCode, MultiReadRequest, MultiReadResult, OpCode,
    Read, Request, Response, WatchedEvent, WatcherType,
};
use queenright_core::{SessionId, Zxid};

use super::{event, exchange, stat, texts};
use crate::bytes::{framed, hex};

#[test]
fn transactions() {
    exchange(
        "000000170000000effffffff01ffffffff",
        23,
        Request::Multi(vec![]),
        "00000017000000000000000d00000000ffffffff01ffffffff",
        13,
        Ok(Response::Multi(vec![])),
    );
    exchange(
        "00000018000000160000000400ffffffff000000052f6e756c6c000000000800ffffffff0000000a2f7a6f6f6b6565706572000000000400ffffffff000000032f6e6f01ffffffff01ffffffff",
        24,
        Request::MultiRead(vec![
            MultiReadRequest::GetData(Read::plain("/null")),
            MultiReadRequest::GetChildren(Read::plain("/zookeeper")),
            MultiReadRequest::GetData(Read::watching("/no")),
        ]),
        "00000018000000000000000d00000000000000040000000000ffffffff00000000000000030000000000000003000001a213b88267000001a213b882670000000000000000000000000100004cc74d0000000000000000000000000000000000030000000800000000000000000200000006636f6e6669670000000571756f7461ffffffff00ffffff9bffffff9bffffffff01ffffffff",
        13,
        Ok(Response::MultiRead(vec![
            MultiReadResult::GetData {
                data: None,
                stat: stat(
                    [3, 3, 1795627188839, 1795627188839],
                    [0, 0, 0],
                    0x100004cc74d0000_u64 as i64,
                    [0, 0],
                    3,
                ),
            },
            MultiReadResult::GetChildren { children: texts(&["config", "quota"]) },
            MultiReadResult::Error(ErrorCode(-101)),
        ])),
    );
}

#[test]
fn watches_and_what_they_tell() {
    event(
        "ffffffffffffffffffffffff000000000000000300000003000000022f61",
        WatchedEvent { change: Change::DataChanged, path: "/a".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff000000000000000400000003000000022f61",
        WatchedEvent { change: Change::ChildrenChanged, path: "/a".into(), zxid: Zxid(-1) },
    );
    exchange(
        "0000001a0000006a000000022f7000000001",
        26,
        Request::AddWatch { path: "/p".into(), mode: AddWatchMode::PersistentRecursive },
        "0000001a000000000000000e0000000000000000",
        14,
        Ok(Response::AddWatch),
    );
    exchange(
        "0000001b0000006a000000022f7100000000",
        27,
        Request::AddWatch { path: "/q".into(), mode: AddWatchMode::Persistent },
        "0000001b000000000000000e0000000000000000",
        14,
        Ok(Response::AddWatch),
    );
    exchange(
        "0000001d00000011000000022f7100000003",
        29,
        Request::CheckWatches { path: "/q".into(), watcher: WatcherType::Any },
        "0000001d000000000000000f00000000",
        15,
        Ok(Response::CheckWatches),
    );
    exchange(
        "0000001e00000012000000022f7100000003",
        30,
        Request::RemoveWatches { path: "/q".into(), watcher: WatcherType::Any },
        "0000001e000000000000000f00000000",
        15,
        Ok(Response::RemoveWatches),
    );
    exchange(
        "0000001f00000011000000022f7100000002",
        31,
        Request::CheckWatches { path: "/q".into(), watcher: WatcherType::Data },
        "0000001f000000000000000fffffff87",
        15,
        Err(ErrorCode(-121)),
    );
    event(
        "ffffffffffffffffffffffff000000000000000300000003000000022f61",
        WatchedEvent { change: Change::DataChanged, path: "/a".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff000000000000000200000003000000052f676f6e65",
        WatchedEvent { change: Change::Deleted, path: "/gone".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff000000000000000100000003000000052f6e756c6c",
        WatchedEvent { change: Change::Created, path: "/null".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff000000000000000400000003000000022f61",
        WatchedEvent { change: Change::ChildrenChanged, path: "/a".into(), zxid: Zxid(-1) },
    );
    exchange(
        "fffffff800000065000000000000000100000002000000022f61000000052f676f6e6500000001000000052f6e756c6c00000001000000022f61",
        -8,
        Request::SetWatches {
            relative_zxid: Zxid(1),
            data: texts(&["/a", "/gone"]),
            exist: texts(&["/null"]),
            child: texts(&["/a"]),
        },
        "fffffff8000000000000000f00000000",
        15,
        Ok(Response::SetWatches),
    );
    exchange(
        "fffffff800000069000001000000000000000001000000022f61000000000000000000000001000000022f7800000002000000022f79000000012f",
        -8,
        Request::SetWatches2 {
            relative_zxid: Zxid(1 << 40),
            data: texts(&["/a"]),
            exist: vec![],
            child: vec![],
            persistent: texts(&["/x"]),
            recursive: texts(&["/y", "/"]),
        },
        "fffffff8000000000000000f00000000",
        15,
        Ok(Response::SetWatches),
    );
    event(
        "ffffffffffffffffffffffff000000000000000200000003000000042f74746c",
        WatchedEvent { change: Change::Deleted, path: "/ttl".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff000000000000000200000003000000052f6e756c6c",
        WatchedEvent { change: Change::Deleted, path: "/null".into(), zxid: Zxid(-1) },
    );
    event(
        "ffffffffffffffffffffffff0000000000000002000000030000000f2f612f732d30303030303030303030",
        WatchedEvent { change: Change::Deleted, path: "/a/s-0000000000".into(), zxid: Zxid(-1) },
    );
}

#[test]
fn the_end_and_what_is_refused() {
    exchange(
        "00000019000000100000000178ffffffff00000000ffffffffffffffff",
        25,
        Request::Reconfig {
            joining: Some("x".into()),
            leaving: None,
            new_members: Some("".into()),
            config_id: -1,
        },
        "00000019000000000000000effffff85",
        14,
        Err(ErrorCode(-123)),
    );
    exchange(
        "0000002700000004000000022f61",
        39,
        Request::Garbled { opcode: OpCode::GetData },
        "000000270000000000000011fffffffb",
        17,
        Err(ErrorCode(-5)),
    );
    exchange(
        "00000028fffffff5",
        40,
        Request::CloseSession,
        "00000028000000000000001200000000",
        18,
        Ok(Response::CloseSession),
    );
    exchange(
        "000000030000004d",
        3,
        Request::Unsupported { opcode: 77 },
        "00000003fffffffffffffffffffffffa",
        -1,
        Err(ErrorCode(-6)),
    );
}

#[test]
fn handshakes() {
    let asked = ConnectRequest { password: Some(vec![0; 16]), ..ConnectRequest::new_session(10_000) };
    let given = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 10_000,
        session: SessionId(0x0100_004c_c74d_0003),
        password: hex("96eae05be2b23fbe3ab24c05c85ec9fc"),
        read_only: Some(false),
    };
    let zeros = "00000000000000000000000000000000";
    handshake(
        &format!("00000000 0000000000000000 00002710 0000000000000000 00000010 {zeros} 00"),
        &asked,
        "00000000 00002710 0100004cc74d0003 00000010 96eae05be2b23fbe3ab24c05c85ec9fc 00",
        &given,
    );
    // A client that does not know the last byte gets none.
    handshake(
        &format!("00000000 0000000000000000 00002710 0000000000000000 00000010 {zeros}"),
        &ConnectRequest { read_only: None, ..asked.clone() },
        "00000000 00002710 0100004cc74d0004 00000010 f58fc35b022d9c16040151deea0a30fe",
        &ConnectResponse {
            session: SessionId(0x0100_004c_c74d_0004),
            password: hex("f58fc35b022d9c16040151deea0a30fe"),
            read_only: None,
            ..given.clone()
        },
    );
    // A session that is over.
    let refusal = ConnectResponse { timeout_ms: 0, session: SessionId(0), password: vec![0; 16], ..given };
    assert!(refusal.is_refusal());
    handshake(
        "00000000 0000000000000007 00002710 0000000000000005 ffffffff 00",
        &ConnectRequest { last_zxid_seen: Zxid(7), session: SessionId(5), password: None, ..asked },
        &format!("00000000 00000000 0000000000000000 00000010 {zeros} 00"),
        &refusal,
    );
}

fn handshake(asked: &str, request: &ConnectRequest, answered: &str, response: &ConnectResponse) {
    let (asked, answered) = (hex(asked), hex(answered));
    assert_eq!(ConnectRequest::decode(&asked).as_ref(), Ok(request));
    assert_eq!(framed(|out| request.encode(out)), asked);
    assert_eq!(ConnectResponse::decode(&answered).as_ref(), Ok(response));
    assert_eq!(framed(|out| response.encode(out)), answered);
}

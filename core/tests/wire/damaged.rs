//! Bytes that are wrong, one by one: what real servers take all the same, what they do not, and how that is told.

use queenright_core::wire::{
    AddWatchMode, AuthId, Check, ConnectRequest, ConnectResponse, Message, OpCode, Problem, Request,
    Response, SetData, WatcherType,
};

use crate::bytes::hex;

/// What a server makes of a request with this type and this body.
fn read(opcode: OpCode, body: &str) -> Request {
    let bytes = [&hex("00000001")[..], &opcode.number().to_be_bytes(), &hex(body)].concat();
    Request::decode(&bytes).expect("a header").1
}

fn text(text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{:08x} {bytes}", text.len())
}

#[test]
fn what_cannot_be_read_is_garbled_and_keeps_its_xid() {
    let end = "ffffffff 01 ffffffff";
    let delete = "00000002 00 ffffffff 00000001 2f ffffffff";
    let get_data = "00000004 00 ffffffff 00000001 2f 00";
    for (opcode, body) in [
        (OpCode::GetData, String::new()),
        (OpCode::GetData, "00000001 2f".into()),
        // A null path; a length below that of null; one that the body does not have.
        (OpCode::GetData, "ffffffff 00".into()),
        (OpCode::GetData, "fffffffe 00".into()),
        (OpCode::GetData, "00000002 2f".into()),
        (OpCode::GetData, "7fffffff 2f00".into()),
        (OpCode::Create, "00000001 2f fffffffe 00000000 00000000".into()),
        (OpCode::CreateTtl, "00000001 2f 00000000 00000000 00000005".into()),
        // Modes and types that are none.
        (OpCode::AddWatch, "00000001 2f 00000002".into()),
        (OpCode::RemoveWatches, "00000001 2f 00000006".into()),
        (OpCode::CheckWatches, "00000001 2f 00000000".into()),
        (OpCode::CheckWatches, "ffffffff 00000003".into()),
        (OpCode::Delete, "ffffffff ffffffff".into()),
        (OpCode::Multi, format!("00000005 00 ffffffff ffffffff 00000000 ffffffff {end}")),
        // A null id, where it is looked at.
        (OpCode::SetAcl, format!("00000001 2f 00000001 0000001f {} ffffffff ffffffff", text("world"))),
        (OpCode::SetAcl, format!("00000001 2f 00000001 0000001f {} ffffffff ffffffff", text("digest"))),
        (OpCode::SetAcl, format!("00000001 2f 00000001 0000001f {} ffffffff ffffffff", text("ip"))),
        // A null list, a null in a list, and more items than there are bytes.
        (OpCode::SetWatches, "0000000000000000 ffffffff 00000000 00000000".into()),
        (OpCode::SetWatches, "0000000000000000 00000001 ffffffff 00000000 00000000".into()),
        (OpCode::SetWatches, "0000000000000000 40000000 00000000 00000000".into()),
        (OpCode::SetAcl, "00000001 2f 7fffffff 00000000 00000000".into()),
        // Lists without an end, with a type that is none, with reads, with both.
        (OpCode::Multi, String::new()),
        (OpCode::Multi, delete.into()),
        (OpCode::Multi, format!("00000063 00 ffffffff {end}")),
        (OpCode::Multi, format!("{get_data} {end}")),
        (OpCode::Multi, format!("{delete} {get_data} {end}")),
        (OpCode::MultiRead, format!("{delete} {end}")),
        (OpCode::MultiRead, format!("{get_data} {delete} {end}")),
        (OpCode::Auth, "00000000 00000006 646967657374".into()),
        (OpCode::GetEphemerals, String::new()),
    ] {
        assert_eq!(read(opcode, &body), Request::Garbled { opcode }, "{opcode:?} {body}");
    }
    let (xid, _) = Request::decode(&hex("0000002a 00000004")).unwrap();
    assert_eq!(xid, 42);
}

#[test]
fn what_real_servers_take_is_taken() {
    // Bytes after the end.
    assert_eq!(read(OpCode::GetAcl, "00000001 2f 123456"), Request::GetAcl { path: "/".into() });
    assert_eq!(read(OpCode::Ping, "12"), Request::Ping);
    // Any byte but 0 is true.
    let Request::Exists(exists) = read(OpCode::Exists, "00000001 2f 02") else { panic!("no exists") };
    assert!(exists.watch);
    // Fewer than no items.
    let nothing = Request::SetWatches {
        relative_zxid: queenright_core::Zxid(0),
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
    };
    assert_eq!(read(OpCode::SetWatches, "0000000000000000 fffffffe 00000000 80000000"), nothing);
    // The end of a list, whatever type it has.
    assert_eq!(read(OpCode::Multi, "00000002 01 00000000"), Request::Multi(Vec::new()));
    // Null for the empty text, as kazoo writes it.
    let Request::SetAcl { acl: Some(acl), .. } =
        read(OpCode::SetAcl, "00000001 2f 00000001 0000001f 00000004 61757468 ffffffff ffffffff")
    else {
        panic!("no setACL")
    };
    assert_eq!(acl[0].id, AuthId::new("auth", ""));
    assert_eq!(read(OpCode::GetEphemerals, "ffffffff"), Request::GetEphemerals { prefix: String::new() });
    // A list that is null is another error than one that cannot be read.
    let Request::SetAcl { acl: None, .. } = read(OpCode::SetAcl, "00000001 2f ffffffff ffffffff") else {
        panic!("no setACL")
    };
    // Text that is not UTF-8, as a real server sent it back.
    assert_eq!(
        read(OpCode::Sync, "0000000f 2f61 ff f09f 78 eda080 c080 e282 20 20"),
        Request::Sync {
            path: "/a\u{fffd}\u{fffd}x\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}  ".into()
        }
    );
}

/// As a real server (3.8.0) was seen to: the first three are BAD_ARGUMENTS, the last two a watch that never fires, and
/// NO_WATCHER.
#[test]
fn where_real_servers_take_a_null_path_it_is_an_empty_one() {
    let path = String::new;
    let set_data = SetData { path: path(), data: None, version: -1 };
    assert_eq!(read(OpCode::SetData, "ffffffff ffffffff ffffffff"), Request::SetData(set_data));
    let set_acl = Request::SetAcl { path: path(), acl: Some(Vec::new()), version: -1 };
    assert_eq!(read(OpCode::SetAcl, "ffffffff 00000000 ffffffff"), set_acl);
    let check = Request::Check(Check { path: path(), version: -1 });
    assert_eq!(read(OpCode::Check, "ffffffff ffffffff"), check);
    assert_eq!(read(OpCode::Sync, "ffffffff"), Request::Sync { path: path() });
    let add_watch = Request::AddWatch { path: path(), mode: AddWatchMode::PersistentRecursive };
    assert_eq!(read(OpCode::AddWatch, "ffffffff 00000001"), add_watch);
    let remove_watches = Request::RemoveWatches { path: path(), watcher: WatcherType::Any };
    assert_eq!(read(OpCode::RemoveWatches, "ffffffff 00000003"), remove_watches);
}

#[test]
fn frames_without_a_header_are_errors_that_say_where() {
    let error = Request::decode(&hex("00000001 0000")).unwrap_err();
    assert_eq!(error.to_string(), "type at byte 4 cannot be read: it takes 4 bytes or more, and 2 are left");
    let error =
        ConnectRequest::decode(&hex("00000000 0000000000000000 00002710 0000000000000000 00000010 00"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "passwd at byte 28 cannot be read: it takes 16 bytes or more, and 1 are left"
    );
    let error = ConnectResponse::decode(&hex("00000000 00002710")).unwrap_err();
    assert_eq!(
        (error.field, error.at, error.problem),
        ("sessionId", 8, Problem::Short { needed: 8, left: 0 })
    );
    assert_eq!(Message::decode(&hex("00000001 0000000000000001 0000")).unwrap_err().field, "err");
}

#[test]
fn answers_that_are_none_are_errors_that_say_where() {
    let read = |opcode, body| Response::decode(opcode, &hex(body)).unwrap_err().to_string();
    assert_eq!(read(OpCode::Create, "ffffffff"), "path at byte 0 cannot be read: it is null");
    assert_eq!(read(OpCode::Create, "fffffff0"), "path at byte 0 cannot be read: its length is -16");
    assert_eq!(
        read(OpCode::GetChildren, "00000003 00000000 00000000"),
        "children at byte 4 cannot be read: it takes 12 bytes or more, and 8 are left"
    );
    assert_eq!(
        read(OpCode::GetData, "00000000 0000000000000001 0000"),
        "mzxid at byte 12 cannot be read: it takes 8 bytes or more, and 2 are left"
    );
    assert_eq!(
        read(OpCode::Multi, "00000002 00 00000000 00000004 00 00000000"),
        "type at byte 9 cannot be read: 4 is not defined"
    );
    assert_eq!(read(OpCode::Reconfig, ""), "reply at byte 0 cannot be read: 16 is not defined");
    // No server sends other events than four.
    let removed = hex("ffffffff ffffffffffffffff 00000000 00000005 00000003 00000001 2f");
    assert_eq!(
        Message::decode(&removed).unwrap_err().to_string(),
        "type at byte 16 cannot be read: 5 is not defined"
    );
}

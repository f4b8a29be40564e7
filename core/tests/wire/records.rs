//! Any record.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::TestRunner;
use queenright_core::op::{Change, Stat};
use queenright_core::wire::{
    Acl, AddWatchMode, AuthId, Check, ConnectRequest, ConnectResponse, Create, CreateFlags, CreateForm,
    Delete, ErrorCode, MultiReadRequest, MultiReadResult, MultiRequest, MultiResult, OpCode, Permissions,
    Read, Request, Response, SetData, WatchedEvent, WatcherType,
};
use queenright_core::{SessionId, Zxid};

pub(crate) fn connect_request() -> impl Strategy<Value = ConnectRequest> {
    let numbers = (any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>());
    (numbers, data(), any::<Option<bool>>()).prop_map(
        |((protocol_version, zxid, timeout_ms, session), password, read_only)| ConnectRequest {
            protocol_version,
            last_zxid_seen: Zxid(zxid),
            timeout_ms,
            session: SessionId(session),
            password,
            read_only,
        },
    )
}

pub(crate) fn connect_response() -> impl Strategy<Value = ConnectResponse> {
    (any::<i32>(), any::<i32>(), any::<i64>(), bytes(), any::<Option<bool>>()).prop_map(
        |(protocol_version, timeout_ms, session, password, read_only)| ConnectResponse {
            protocol_version,
            timeout_ms,
            session: SessionId(session),
            password,
            read_only,
        },
    )
}

pub(crate) fn event() -> impl Strategy<Value = WatchedEvent> {
    let change = prop::sample::select(vec![
        Change::Created,
        Change::Deleted,
        Change::DataChanged,
        Change::ChildrenChanged,
    ]);
    (change, text(), any::<i64>()).prop_map(|(change, path, zxid)| WatchedEvent {
        change,
        path,
        zxid: Zxid(zxid),
    })
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let watcher = || {
        prop::sample::select(vec![
            WatcherType::Children,
            WatcherType::Data,
            WatcherType::Any,
            WatcherType::Persistent,
            WatcherType::PersistentRecursive,
        ])
    };
    let mode = prop::sample::select(vec![AddWatchMode::Persistent, AddWatchMode::PersistentRecursive]);
    let known = |number: &i32| OpCode::from_number(*number).is_none();
    // What has no body can have no bad one.
    let with_body = |opcode: &OpCode| !matches!(opcode, OpCode::Ping | OpCode::WhoAmI | OpCode::CloseSession);
    Union::new([
        create().prop_map(Request::Create).boxed(),
        delete().prop_map(Request::Delete).boxed(),
        read().prop_map(Request::Exists).boxed(),
        read().prop_map(Request::GetData).boxed(),
        set_data().prop_map(Request::SetData).boxed(),
        text().prop_map(|path| Request::GetAcl { path }).boxed(),
        (text(), option::of(acl()), any::<i32>())
            .prop_map(|(path, acl, version)| Request::SetAcl { path, acl, version })
            .boxed(),
        read().prop_map(Request::GetChildren).boxed(),
        read().prop_map(Request::GetChildren2).boxed(),
        text().prop_map(|path| Request::Sync { path }).boxed(),
        Just(Request::Ping).boxed(),
        check().prop_map(Request::Check).boxed(),
        vec(write(), 0..5).prop_map(Request::Multi).boxed(),
        vec(multi_read(), 0..5).prop_map(Request::MultiRead).boxed(),
        (option::of(text()), option::of(text()), option::of(text()), any::<i64>())
            .prop_map(|(joining, leaving, new_members, config_id)| Request::Reconfig {
                joining,
                leaving,
                new_members,
                config_id,
            })
            .boxed(),
        (text(), watcher()).prop_map(|(path, watcher)| Request::CheckWatches { path, watcher }).boxed(),
        (text(), watcher()).prop_map(|(path, watcher)| Request::RemoveWatches { path, watcher }).boxed(),
        (text(), mode).prop_map(|(path, mode)| Request::AddWatch { path, mode }).boxed(),
        (text(), data()).prop_map(|(scheme, auth)| Request::Auth { scheme, auth }).boxed(),
        (any::<i64>(), texts(), texts(), texts())
            .prop_map(|(zxid, data, exist, child)| Request::SetWatches {
                relative_zxid: Zxid(zxid),
                data,
                exist,
                child,
            })
            .boxed(),
        (any::<i64>(), texts(), texts(), texts(), texts(), texts())
            .prop_map(|(zxid, data, exist, child, persistent, recursive)| Request::SetWatches2 {
                relative_zxid: Zxid(zxid),
                data,
                exist,
                child,
                persistent,
                recursive,
            })
            .boxed(),
        text().prop_map(|prefix| Request::GetEphemerals { prefix }).boxed(),
        text().prop_map(|path| Request::GetAllChildrenNumber { path }).boxed(),
        Just(Request::WhoAmI).boxed(),
        Just(Request::CloseSession).boxed(),
        prop::sample::select(OpCode::ALL)
            .prop_filter("a body", with_body)
            .prop_map(|opcode| Request::Garbled { opcode })
            .boxed(),
        any::<i32>().prop_filter("unknown", known).prop_map(|opcode| Request::Unsupported { opcode }).boxed(),
    ])
}

/// A reply, and the type of a request that it answers.
pub(crate) fn response() -> impl Strategy<Value = (OpCode, Response)> {
    let of = |opcodes: &'static [OpCode], response: BoxedStrategy<Response>| {
        (prop::sample::select(opcodes), response).boxed()
    };
    let path_and_stat = (text(), stat()).prop_map(|(path, stat)| Response::Create2 { path, stat });
    Union::new([
        of(&[OpCode::Create], text().prop_map(|path| Response::Create { path }).boxed()),
        of(&[OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl], path_and_stat.boxed()),
        of(&[OpCode::Delete], Just(Response::Delete).boxed()),
        of(&[OpCode::Exists], stat().prop_map(|stat| Response::Exists { stat }).boxed()),
        of(
            &[OpCode::GetData],
            (data(), stat()).prop_map(|(data, stat)| Response::GetData { data, stat }).boxed(),
        ),
        of(&[OpCode::SetData], stat().prop_map(|stat| Response::SetData { stat }).boxed()),
        of(&[OpCode::GetAcl], (acl(), stat()).prop_map(|(acl, stat)| Response::GetAcl { acl, stat }).boxed()),
        of(&[OpCode::SetAcl], stat().prop_map(|stat| Response::SetAcl { stat }).boxed()),
        of(&[OpCode::GetChildren], texts().prop_map(|children| Response::GetChildren { children }).boxed()),
        of(
            &[OpCode::GetChildren2],
            (texts(), stat()).prop_map(|(children, stat)| Response::GetChildren2 { children, stat }).boxed(),
        ),
        of(&[OpCode::Sync], text().prop_map(|path| Response::Sync { path }).boxed()),
        of(&[OpCode::Ping], Just(Response::Ping).boxed()),
        of(&[OpCode::Multi], vec(write_result(), 0..5).prop_map(Response::Multi).boxed()),
        of(&[OpCode::MultiRead], vec(read_result(), 0..5).prop_map(Response::MultiRead).boxed()),
        of(&[OpCode::CheckWatches], Just(Response::CheckWatches).boxed()),
        of(&[OpCode::RemoveWatches], Just(Response::RemoveWatches).boxed()),
        of(&[OpCode::AddWatch], Just(Response::AddWatch).boxed()),
        of(&[OpCode::Auth], Just(Response::Auth).boxed()),
        of(&[OpCode::SetWatches, OpCode::SetWatches2], Just(Response::SetWatches).boxed()),
        of(&[OpCode::GetEphemerals], texts().prop_map(|paths| Response::GetEphemerals { paths }).boxed()),
        of(
            &[OpCode::GetAllChildrenNumber],
            any::<i32>().prop_map(|count| Response::GetAllChildrenNumber { count }).boxed(),
        ),
        of(
            &[OpCode::WhoAmI],
            vec(auth_id(), 0..4).prop_map(|identities| Response::WhoAmI { identities }).boxed(),
        ),
        of(&[OpCode::CloseSession], Just(Response::CloseSession).boxed()),
    ])
}

#[test]
fn every_type_is_among_them() {
    let mut runner = TestRunner::deterministic();
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..3_000 {
        let request = request().new_tree(&mut runner).unwrap().current();
        if !matches!(request, Request::Garbled { .. } | Request::Unsupported { .. }) {
            asked.insert(request.opcode().unwrap());
        }
        answered.insert(response().new_tree(&mut runner).unwrap().current().0);
    }
    assert_eq!(asked, OpCode::ALL.iter().copied().collect());
    // These two are never answered but with errors.
    answered.extend([OpCode::Check, OpCode::Reconfig]);
    assert_eq!(answered, OpCode::ALL.iter().copied().collect());
}

fn create() -> impl Strategy<Value = Create> {
    let form = prop_oneof![
        Just(CreateForm::Create),
        Just(CreateForm::Create2),
        Just(CreateForm::Container),
        any::<i64>().prop_map(|ttl| CreateForm::Ttl { ttl }),
    ];
    (form, text(), data(), option::of(acl()), any::<i32>()).prop_map(|(form, path, data, acl, flags)| {
        Create { form, path, data, acl, flags: CreateFlags(flags) }
    })
}

fn delete() -> impl Strategy<Value = Delete> {
    (text(), any::<i32>()).prop_map(|(path, version)| Delete { path, version })
}

fn set_data() -> impl Strategy<Value = SetData> {
    (text(), data(), any::<i32>()).prop_map(|(path, data, version)| SetData { path, data, version })
}

fn check() -> impl Strategy<Value = Check> {
    (text(), any::<i32>()).prop_map(|(path, version)| Check { path, version })
}

fn read() -> impl Strategy<Value = Read> {
    (text(), any::<bool>()).prop_map(|(path, watch)| Read { path, watch })
}

fn write() -> impl Strategy<Value = MultiRequest> {
    prop_oneof![
        create().prop_map(MultiRequest::Create),
        delete().prop_map(MultiRequest::Delete),
        set_data().prop_map(MultiRequest::SetData),
        check().prop_map(MultiRequest::Check),
    ]
}

fn multi_read() -> impl Strategy<Value = MultiReadRequest> {
    prop_oneof![read().prop_map(MultiReadRequest::GetData), read().prop_map(MultiReadRequest::GetChildren)]
}

fn write_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        text().prop_map(|path| MultiResult::Create { path }),
        (text(), stat()).prop_map(|(path, stat)| MultiResult::Create2 { path, stat }),
        Just(MultiResult::Delete),
        stat().prop_map(|stat| MultiResult::SetData { stat }),
        Just(MultiResult::Check),
        any::<i32>().prop_map(|code| MultiResult::Error(ErrorCode(code))),
    ]
}

fn read_result() -> impl Strategy<Value = MultiReadResult> {
    prop_oneof![
        (data(), stat()).prop_map(|(data, stat)| MultiReadResult::GetData { data, stat }),
        texts().prop_map(|children| MultiReadResult::GetChildren { children }),
        any::<i32>().prop_map(|code| MultiReadResult::Error(ErrorCode(code))),
    ]
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(long, int)| Stat {
        czxid: Zxid(long[0]),
        mzxid: Zxid(long[1]),
        ctime: long[2],
        mtime: long[3],
        version: int[0],
        cversion: int[1],
        aversion: int[2],
        ephemeral_owner: long[4],
        data_length: int[3],
        num_children: int[4],
        pzxid: Zxid(long[5]),
    })
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    let entry = (any::<i32>(), auth_id()).prop_map(|(bits, id)| Acl { permissions: Permissions(bits), id });
    vec(entry, 0..4)
}

fn auth_id() -> impl Strategy<Value = AuthId> {
    (text(), text()).prop_map(|(scheme, id)| AuthId { scheme, id })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "/[a-z/]{0,12}", any::<String>()]
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(bytes())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

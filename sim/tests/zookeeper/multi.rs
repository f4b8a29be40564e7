//! Transactions.

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{
    Create, CreateFlags, CreateForm, ErrorCode, MultiReadRequest, MultiReadResult, MultiRequest, MultiResult,
    OpCode, Read, Request, Response,
};
use queenright_sim::zookeeper::{MULTI_READ_MAX, ServerId};

use crate::harness::{
    World, check, create, creation, deletion, event, setting, watch_below, watch_children, watch_data,
};

fn make(path: &str, flags: CreateFlags) -> MultiRequest {
    MultiRequest::Create(creation(path, flags))
}

fn put(path: &str, data: &str) -> MultiRequest {
    MultiRequest::SetData(setting(path, data, -1))
}

fn drop(path: &str) -> MultiRequest {
    MultiRequest::Delete(deletion(path, -1))
}

#[test]
fn parts_share_a_zxid_and_see_the_effects_of_those_before() {
    let mut world = World::new();
    let client = world.client();
    let before = world.server.last_zxid(ServerId::FIRST);
    let parts = vec![
        make("/a", CreateFlags::PERSISTENT),
        make("/a/q-", CreateFlags::PERSISTENT_SEQUENTIAL),
        make("/a/q-", CreateFlags::PERSISTENT_SEQUENTIAL),
        put("/a", "one"),
        check("/a", 1),
        put("/a", "two"),
        drop("/a/q-0000000000"),
    ];
    let Response::Multi(results) = world.ok(&client, Request::Multi(parts)) else { panic!("no results") };
    let zxid = Zxid(before.0 + 1);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), zxid);
    let [
        MultiResult::Create { path: first },
        MultiResult::Create { path: second },
        MultiResult::Create { path: third },
        MultiResult::SetData { stat: one },
        MultiResult::Check,
        MultiResult::SetData { stat: two },
        MultiResult::Delete,
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!([first, second, third], ["/a", "/a/q-0000000000", "/a/q-0000000001"]);
    // Each stat is that of its own part; the zxid is that of the whole.
    assert_eq!((one.version, one.mzxid, two.version, two.mzxid), (1, zxid, 2, zxid));
    let stat = world.stat("/a");
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid, stat.cversion), (zxid, zxid, zxid, 3));
}

#[test]
fn a_failed_one_changes_nothing_and_tells_where_it_failed() {
    let mut world = World::new();
    let (client, other) = (world.client(), world.client());
    world.ok(&client, create("/a"));
    world.ok(&other, watch_below("/"));
    let tree = world.server.tree(ServerId::FIRST).clone();
    let zxid = world.server.last_zxid(ServerId::FIRST);
    let parts = vec![
        make("/b", CreateFlags::PERSISTENT),
        drop("/a"),
        MultiRequest::SetData(setting("/b", "", 7)),
        drop("/nope"),
    ];
    let reply = world.ask(&client, Request::Multi(parts));
    let codes = [ErrorCode::OK, ErrorCode::OK, ErrorCode::BAD_VERSION, ErrorCode::RUNTIME_INCONSISTENCY];
    assert_eq!(reply.result, Ok(Response::Multi(codes.map(MultiResult::Error).into())));
    assert_eq!(reply.zxid, Zxid(zxid.0 + 1), "a failed one spends a zxid");
    assert_eq!(*world.server.tree(ServerId::FIRST), tree);
    assert_eq!(world.events(&other), []);
}

#[test]
fn an_empty_one_succeeds() {
    let mut world = World::new();
    let client = world.client();
    assert_eq!(world.ok(&client, Request::Multi(Vec::new())), Response::Multi(Vec::new()));
}

#[test]
fn a_znode_deleted_before_can_be_made_again_and_one_made_before_deleted() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let parts = vec![
        drop("/a"),
        make("/a", CreateFlags::EPHEMERAL),
        make("/b", CreateFlags::PERSISTENT),
        make("/b/c", CreateFlags::PERSISTENT),
        drop("/b/c"),
        drop("/b"),
    ];
    let Response::Multi(results) = world.ok(&client, Request::Multi(parts)) else { panic!("no results") };
    assert!(results.iter().all(|result| !matches!(result, MultiResult::Error(_))), "{results:?}");
    assert_eq!(world.stat("/a").ephemeral_owner, client.session().0);
    assert!(!world.has("/b"));
}

#[test]
fn effects_of_earlier_parts_can_make_later_ones_fail() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let cases = [
        (vec![drop("/a"), put("/a", "")], ErrorCode::NO_NODE),
        (vec![put("/a", ""), check("/a", 0)], ErrorCode::BAD_VERSION),
        (vec![make("/a/b", CreateFlags::PERSISTENT), drop("/a")], ErrorCode::NOT_EMPTY),
        (
            vec![make("/b", CreateFlags::PERSISTENT), make("/b", CreateFlags::PERSISTENT)],
            ErrorCode::NODE_EXISTS,
        ),
        (
            vec![make("/e", CreateFlags::EPHEMERAL), make("/e/x", CreateFlags::PERSISTENT)],
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ),
    ];
    for (parts, code) in cases {
        let expected = [ErrorCode::OK, code].map(MultiResult::Error);
        assert_eq!(world.ok(&client, Request::Multi(parts)), Response::Multi(expected.into()));
    }
}

#[test]
fn events_come_in_the_order_of_the_parts_and_before_the_reply() {
    use queenright_sim::zookeeper::FromServer;

    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    for watch in [watch_data("/a"), watch_children("/"), watch_below("/a/b")] {
        world.ok(&client, watch);
    }
    let parts =
        vec![make("/a/b", CreateFlags::PERSISTENT), put("/a/b", "1"), put("/a", "2"), put("/a/b", "3")];
    world.send(&client, 5, Request::Multi(parts));
    let mut inbox = world.inbox(&client);
    assert!(matches!(inbox.pop(), Some(FromServer::Reply { xid: 5, .. })));
    let events: Vec<_> = inbox
        .into_iter()
        .map(|message| match message {
            FromServer::Event(event) => (event.change, event.path),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        event(Change::Created, "/a/b"),
        event(Change::DataChanged, "/a/b"),
        event(Change::DataChanged, "/a"),
        // Recursive watches hear of both writes, and nobody hears of the children of "/".
        event(Change::DataChanged, "/a/b"),
    ];
    assert_eq!(events, expected);
}

#[test]
fn flags_say_what_is_created_and_how_it_is_answered() {
    let mut world = World::new();
    let client = world.client();
    let part = |form, flags, path: &str| MultiRequest::Create(Create { form, ..creation(path, flags) });
    let parts = vec![
        part(CreateForm::Create, CreateFlags::CONTAINER, "/container"),
        part(CreateForm::Container, CreateFlags::EPHEMERAL, "/ephemeral"),
        part(CreateForm::Create2, CreateFlags::PERSISTENT, "/stat"),
        part(CreateForm::Ttl { ttl: 5 }, CreateFlags::TTL, "/ttl"),
    ];
    let Response::Multi(results) = world.ok(&client, Request::Multi(parts)) else { panic!("no results") };
    let with_stat: Vec<_> =
        results.iter().map(|result| matches!(result, MultiResult::Create2 { .. })).collect();
    assert_eq!(with_stat, [true, false, true, true]);
    assert_eq!(world.stat("/ephemeral").ephemeral_owner, client.session().0);
}

#[test]
fn what_cannot_be_read_fails_as_a_whole_and_spends_a_zxid() {
    let mut world = World::new();
    let client = world.client();
    let null_list = Create { acl: None, ..creation("/a", CreateFlags::PERSISTENT) };
    let requests = [
        Request::Multi(vec![make("/a", CreateFlags::PERSISTENT), make("/b", CreateFlags(9))]),
        Request::Multi(vec![MultiRequest::Create(null_list)]),
        Request::Garbled { opcode: OpCode::Multi },
    ];
    for request in requests {
        let before = world.server.last_zxid(ServerId::FIRST);
        let reply = world.ask(&client, request);
        assert_eq!(reply.result, Err(ErrorCode::MARSHALLING_ERROR));
        assert_eq!(reply.zxid, Zxid(before.0 + 1));
    }
    assert!(!world.has("/a"));
}

#[test]
fn reads_fail_one_by_one_and_leave_no_watch() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let reads = vec![
        MultiReadRequest::GetData(Read::watching("/a")),
        MultiReadRequest::GetData(Read::plain("/nope")),
        MultiReadRequest::GetChildren(Read::watching("/a")),
    ];
    let before = world.server.last_zxid(ServerId::FIRST);
    let reply = world.ask(&client, Request::MultiRead(reads));
    let expected = vec![
        MultiReadResult::GetData { data: Some(Vec::new()), stat: world.stat("/a") },
        MultiReadResult::Error(ErrorCode::NO_NODE),
        MultiReadResult::GetChildren { children: Vec::new() },
    ];
    assert_eq!(reply.result, Ok(Response::MultiRead(expected)));
    assert_eq!(reply.zxid, before);
    world.ok(&client, create("/a/b"));
    world.ok(&client, Request::SetData(setting("/a", "", -1)));
    assert_eq!(world.events(&client), []);
}

/// One frame may ask sixty thousand times for a megabyte.
#[test]
fn what_one_multi_read_is_answered_with_is_bounded() {
    let mut world = World::new();
    let client = world.client();
    let data = vec![b'x'; 900_000];
    let create = Create { data: Some(data.clone()), ..creation("/a", CreateFlags::PERSISTENT) };
    world.ok(&client, Request::Create(create));
    let reads = vec![MultiReadRequest::GetData(Read::plain("/a")); 1_000];
    let Ok(Response::MultiRead(results)) = world.ask(&client, Request::MultiRead(reads)).result else {
        panic!("it is answered")
    };
    let served = MULTI_READ_MAX.div_ceil(data.len());
    let (first, rest) = results.split_at(served);
    assert!(first.iter().all(|result| matches!(result, MultiReadResult::GetData { .. })));
    let refused = MultiReadResult::Error(ErrorCode::SYSTEM_ERROR);
    assert_eq!(rest, vec![refused; 1_000 - served]);
}

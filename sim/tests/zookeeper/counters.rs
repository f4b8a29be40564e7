//! Versions, zxids and sequence numbers.

use std::time::Duration;

use queenright_core::Zxid;
use queenright_core::op::Stat;
use queenright_core::wire::{Acl, Create, CreateFlags, CreateForm, Request, Response};
use queenright_sim::zookeeper::ServerId;

use crate::harness::{World, create, create_as, creation, delete, get, set, set_acl, setting};

fn sequential(path: &str) -> Request {
    create_as(path, CreateFlags::PERSISTENT_SEQUENTIAL)
}

#[test]
fn a_fresh_tree_has_the_servers_own_znodes() {
    let world = World::new();
    let paths: Vec<_> = world.server.tree(ServerId::FIRST).iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
    for (path, cversion, aversion, num_children) in [
        ("/", -1, 0, 1),
        ("/zookeeper", -2, 0, 2),
        ("/zookeeper/config", 0, -1, 0),
        ("/zookeeper/quota", 0, 0, 0),
    ] {
        let expected = Stat { cversion, aversion, num_children, ..Stat::default() };
        assert_eq!(world.stat(path), expected, "{path}");
    }
}

#[test]
fn the_data_of_a_fresh_tree_is_empty_and_not_null() {
    let mut world = World::new();
    let client = world.client();
    for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
        let Response::GetData { data, .. } = world.ok(&client, get(path)) else { panic!("no data") };
        assert_eq!(data, Some(Vec::new()), "{path}");
    }
}

#[test]
fn create_sets_all_zxids_and_counts_at_the_parent() {
    let mut world = World::new();
    let client = world.client();
    let Response::Create2 { stat, .. } = world.ok(
        &client,
        Request::Create(Create {
            form: CreateForm::Create2,
            data: Some(b"four".into()),
            ..creation("/a", CreateFlags::EPHEMERAL)
        }),
    ) else {
        panic!("no stat")
    };
    let zxid = world.server.last_zxid(ServerId::FIRST);
    let expected = Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: 1_000_000,
        mtime: 1_000_000,
        ephemeral_owner: client.session().0,
        data_length: 4,
        ..Stat::default()
    };
    assert_eq!(stat, expected);
    assert_eq!(world.stat("/a"), expected);
    let root = world.stat("/");
    assert_eq!((root.pzxid, root.cversion, root.num_children), (zxid, 0, 2));
    assert_eq!((root.czxid, root.mzxid, root.version), (Zxid(0), Zxid(0), 0));
}

#[test]
fn set_data_counts_also_equal_data() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let before = world.stat("/a");
    world.pass(Duration::from_millis(5));
    for version in 1..=2 {
        let Response::SetData { stat } = world.ok(&client, set("/a", "same")) else { panic!("no stat") };
        let mtime = before.mtime + 5;
        let expected =
            Stat { version, mtime, mzxid: world.server.last_zxid(ServerId::FIRST), data_length: 4, ..before };
        assert_eq!(stat, expected);
    }
}

#[test]
fn set_acl_counts_nothing_but_the_version_of_the_list() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let before = world.stat("/a");
    world.pass(Duration::from_millis(5));
    let Response::SetAcl { stat } = world.ok(&client, set_acl("/a", &[Acl::open()], -1)) else {
        panic!("no stat")
    };
    assert_eq!(stat, Stat { aversion: 1, ..before });
}

#[test]
fn delete_counts_at_the_parent() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    world.ok(&client, create("/a/b"));
    assert_eq!(world.stat("/a").cversion, 1);
    world.ok(&client, delete("/a/b"));
    let stat = world.stat("/a");
    assert_eq!(
        (stat.cversion, stat.num_children, stat.pzxid),
        (2, 0, world.server.last_zxid(ServerId::FIRST))
    );
}

#[test]
fn sequence_numbers_count_creates_not_changes() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    assert_eq!(world.created(&client, sequential("/a/q-")), "/a/q-0000000000");
    world.ok(&client, delete("/a/q-0000000000"));
    // The version of the children is 2 by now, and the next number is 1.
    assert_eq!(world.stat("/a").cversion, 2);
    assert_eq!(world.created(&client, sequential("/a/q-")), "/a/q-0000000001");
    // Any child counts, sequential or not.
    world.ok(&client, create("/a/plain"));
    assert_eq!(world.created(&client, sequential("/a/other-")), "/a/other-0000000003");
    // One that failed does not.
    world.ask(&client, create("/a/plain")).result.unwrap_err();
    assert_eq!(world.created(&client, sequential("/a/q-")), "/a/q-0000000004");
}

#[test]
fn a_sequential_create_fails_when_somebody_took_the_name() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    world.ok(&client, create("/a/q-0000000001"));
    world.ask(&client, sequential("/a/q-")).result.unwrap_err();
}

#[test]
fn version_minus_one_is_any_and_others_must_match() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    for (version, fits) in [(1, false), (-2, false), (0, true), (0, false), (-1, true), (2, true)] {
        let result = world.ask(&client, Request::SetData(setting("/a", "x", version))).result;
        assert_eq!(result.is_ok(), fits, "{version}");
    }
}

#[test]
fn every_attempt_to_write_spends_a_zxid_and_no_read_does() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    let writes = [
        create("/a"),
        create("bad"),
        delete("/nope"),
        set("/nope", ""),
        set("/a", ""),
        set_acl("/nope", &[], -1),
        Request::Multi(Vec::new()),
        Request::Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 },
    ];
    for request in writes {
        let (before, shown) = (world.server.last_zxid(ServerId::FIRST), format!("{request:?}"));
        let reply = world.ask(&client, request);
        assert_eq!(
            (world.server.last_zxid(ServerId::FIRST), reply.zxid),
            (Zxid(before.0 + 1), Zxid(before.0 + 1)),
            "{shown}"
        );
    }
    for request in [get("/a"), get("/nope"), Request::Ping, Request::Sync { path: "anything".into() }] {
        let (before, shown) = (world.server.last_zxid(ServerId::FIRST), format!("{request:?}"));
        let reply = world.ask(&client, request);
        assert_eq!((world.server.last_zxid(ServerId::FIRST), reply.zxid), (before, before), "{shown}");
    }
}

#[test]
fn null_data_and_empty_data_are_two_things() {
    let mut world = World::new();
    let client = world.client();
    for (path, data) in [("/null", None), ("/empty", Some(Vec::new()))] {
        let creation = Create { data: data.clone(), ..creation(path, CreateFlags::PERSISTENT) };
        world.ok(&client, Request::Create(creation));
        let Response::GetData { data: read, stat } = world.ok(&client, get(path)) else { panic!("no data") };
        assert_eq!((read, stat.data_length), (data, 0));
    }
}

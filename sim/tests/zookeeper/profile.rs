//! Where 3.8 and 3.9 differ.

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{
    Acl, Check, Create, CreateFlags, CreateForm, ErrorCode, MultiRequest, MultiResult, OpCode, Permissions,
    Request, Response, WatcherType,
};
use queenright_sim::zookeeper::{FromServer, Profile, ServerConfig};

use crate::harness::{
    World, check, create, create_for, creation, delete, event, exists, set, watch_always, watch_below,
    watch_children, watch_data,
};

fn both() -> [(World, Profile); 2] {
    [Profile::V3_8, Profile::V3_9]
        .map(|profile| (World::with(ServerConfig { profile, ..ServerConfig::default() }), profile))
}

fn removal(path: &str, watcher: WatcherType) -> Request {
    Request::RemoveWatches { path: path.into(), watcher }
}

fn question(path: &str, watcher: WatcherType) -> Request {
    Request::CheckWatches { path: path.into(), watcher }
}

#[test]
fn exists_asks_for_read_since_3_9() {
    for (mut world, profile) in both() {
        let client = world.client();
        world.ok(&client, create_for("/a", &[Acl::new(Permissions::ADMIN, "world", "anyone")]));
        let result = world.ask(&client, exists("/a")).result;
        match profile {
            Profile::V3_8 => assert!(result.is_ok()),
            Profile::V3_9 => assert_eq!(result, Err(ErrorCode::NO_AUTH)),
        }
    }
}

#[test]
fn events_carry_a_zxid_since_3_9() {
    for (mut world, profile) in both() {
        let client = world.client();
        world.ok(&client, watch_below("/"));
        let zxid = world.ask(&client, create("/a")).zxid;
        let inbox = world.inbox(&client);
        let [FromServer::Event(event)] = &inbox[..] else { panic!("{inbox:?}") };
        let carried = match profile {
            Profile::V3_8 => Zxid(-1),
            Profile::V3_9 => zxid,
        };
        assert_eq!(event.zxid, carried);
    }
}

#[test]
fn create2_in_a_multi_is_answered_with_a_stat_since_3_9() {
    for (mut world, profile) in both() {
        let client = world.client();
        let create2 = Create { form: CreateForm::Create2, ..creation("/a", CreateFlags::PERSISTENT) };
        let answer = world.ok(&client, Request::Multi(vec![MultiRequest::Create(create2)]));
        let stat = world.stat("/a");
        let result = match profile {
            Profile::V3_8 => MultiResult::Create { path: "/a".into() },
            Profile::V3_9 => MultiResult::Create2 { path: "/a".into(), stat },
        };
        assert_eq!(answer, Response::Multi(vec![result]));
    }
}

#[test]
fn a_part_without_a_list_or_with_undefined_flags_fails_alone_in_3_8() {
    let no_list = Create { acl: None, ..creation("/b", CreateFlags::PERSISTENT) };
    for (part, code) in
        [(no_list, ErrorCode::INVALID_ACL), (creation("/b", CreateFlags(7)), ErrorCode::BAD_ARGUMENTS)]
    {
        for (mut world, profile) in both() {
            let client = world.client();
            let first = MultiRequest::Create(creation("/a", CreateFlags::PERSISTENT));
            let multi = Request::Multi(vec![first, MultiRequest::Create(part.clone())]);
            let result = world.ask(&client, multi).result;
            match profile {
                Profile::V3_8 => {
                    let results = [ErrorCode::OK, code].map(MultiResult::Error);
                    assert_eq!(result, Ok(Response::Multi(results.into())));
                }
                Profile::V3_9 => assert_eq!(result, Err(ErrorCode::MARSHALLING_ERROR)),
            }
            assert!(!world.has("/a"));
        }
    }
}

#[test]
fn a_check_alone_that_holds_is_never_answered_in_3_8_and_none_is_served_in_3_9() {
    for (mut world, profile) in both() {
        let client = world.client();
        let holds = Request::Check(Check { path: "/".into(), version: -1 });
        let fails = Request::Check(Check { path: "/".into(), version: 7 });
        let unserved = |xid| FromServer::Reply { xid, zxid: Zxid(-1), result: Err(ErrorCode::UNIMPLEMENTED) };
        match profile {
            Profile::V3_8 => {
                let reply = world.ask(&client, fails);
                assert_eq!(reply.result, Err(ErrorCode::BAD_VERSION));
                world.send(&client, 1, holds);
                assert_eq!(world.inbox(&client), []);
                // It did spend a zxid, and the connection is as good as ever.
                assert_eq!(world.ask(&client, Request::Ping).zxid, Zxid(reply.zxid.0 + 1));
            }
            Profile::V3_9 => {
                world.send(&client, 1, holds);
                assert_eq!(world.inbox(&client), [unserved(1), FromServer::Close]);
            }
        }
    }
}

#[test]
fn the_later_of_two_modes_at_one_path_replaces_the_earlier_in_3_8() {
    for (mut world, profile) in both() {
        let client = world.client();
        for path in ["/a", "/b"] {
            world.ok(&client, create(path));
        }
        for request in [watch_always("/a"), watch_data("/a"), watch_data("/b"), watch_always("/b")] {
            world.ok(&client, request);
        }
        for data in ["1", "2"] {
            for path in ["/a", "/b"] {
                world.ok(&client, set(path, data));
            }
        }
        let [a, b] = ["/a", "/b"].map(|path| event(Change::DataChanged, path));
        match profile {
            Profile::V3_8 => assert_eq!(world.events(&client), [a, b.clone(), b]),
            Profile::V3_9 => assert_eq!(world.events(&client), [a.clone(), b.clone(), a, b]),
        }
    }
}

#[test]
fn types_of_watches_name_tables_in_3_8_and_modes_in_3_9() {
    for (mut world, profile) in both() {
        let (client, other) = (world.client(), world.client());
        for path in ["/a", "/b"] {
            world.ok(&client, create(path));
        }
        world.ok(&client, watch_always("/a"));
        world.ok(&client, watch_below("/b"));
        let data = |path| removal(path, WatcherType::Data);
        match profile {
            Profile::V3_8 => {
                // Anybody's watches count.
                for (path, watcher) in [("/a", WatcherType::Data), ("/b", WatcherType::Children)] {
                    world.ok(&other, question(path, watcher));
                }
                assert_eq!(world.error(&other, data("/a")), ErrorCode::NO_WATCHER);
                // One half is gone, the other goes on.
                for path in ["/a", "/b"] {
                    world.ok(&client, data(path));
                    assert_eq!(world.error(&client, data(path)), ErrorCode::NO_WATCHER);
                    world.ok(&client, set(path, "x"));
                    world.ok(&client, create(&format!("{path}/x")));
                    world.ok(&client, delete(&format!("{path}/x")));
                }
                assert_eq!(
                    world.events(&client),
                    [
                        event(Change::ChildrenChanged, "/a"),
                        event(Change::ChildrenChanged, "/a"),
                        event(Change::Deleted, "/b/x"),
                    ]
                );
                for watcher in [WatcherType::Persistent, WatcherType::PersistentRecursive] {
                    for request in [question("/a", watcher), removal("/a", watcher)] {
                        assert_eq!(world.error(&client, request), ErrorCode::MARSHALLING_ERROR);
                    }
                }
            }
            Profile::V3_9 => {
                for path in ["/a", "/b"] {
                    assert_eq!(world.error(&client, data(path)), ErrorCode::NO_WATCHER);
                    assert_eq!(world.error(&other, question(path, WatcherType::Any)), ErrorCode::NO_WATCHER);
                }
                world.ok(&client, removal("/a", WatcherType::Persistent));
                world.ok(&client, removal("/b", WatcherType::PersistentRecursive));
            }
        }
    }
}

#[test]
fn a_one_shot_on_children_is_not_removed_as_data_in_either() {
    for (mut world, _) in both() {
        let client = world.client();
        world.ok(&client, create("/a"));
        world.ok(&client, watch_children("/a"));
        assert_eq!(world.error(&client, removal("/a", WatcherType::Data)), ErrorCode::NO_WATCHER);
        world.ok(&client, removal("/a", WatcherType::Children));
        world.ok(&client, create("/a/x"));
        assert_eq!(world.events(&client), []);
    }
}

#[test]
fn a_ttl_node_without_a_time_to_live_fails_alone_since_3_9_and_the_whole_unless_a_part_failed_before_in_3_8()
{
    for (mut world, profile) in both() {
        let client = world.client();
        for flags in [CreateFlags::TTL, CreateFlags::TTL_SEQUENTIAL] {
            let part = MultiRequest::Create(creation("/a", flags));
            let result = world.ask(&client, Request::Multi(vec![check("/", -1), part.clone()])).result;
            match profile {
                Profile::V3_8 => assert_eq!(result, Err(ErrorCode::MARSHALLING_ERROR)),
                Profile::V3_9 => {
                    let results = [ErrorCode::OK, ErrorCode::BAD_ARGUMENTS].map(MultiResult::Error);
                    assert_eq!(result, Ok(Response::Multi(results.into())));
                }
            }
            let late = Request::Multi(vec![check("/nope", -1), part]);
            let results = [ErrorCode::NO_NODE, ErrorCode::RUNTIME_INCONSISTENCY].map(MultiResult::Error);
            assert_eq!(world.ok(&client, late), Response::Multi(results.into()));
        }
    }
}

#[test]
fn a_check_alone_that_cannot_be_read_spends_a_zxid_in_3_8() {
    for (mut world, profile) in both() {
        let client = world.client();
        let reply = world.ask(&client, Request::Garbled { opcode: OpCode::Check });
        let zxid = match profile {
            Profile::V3_8 => Zxid(2),
            Profile::V3_9 => Zxid(1),
        };
        assert_eq!((reply.zxid, reply.result), (zxid, Err(ErrorCode::MARSHALLING_ERROR)));
    }
}

//! Watches after a reconnect: what was missed is told, the rest is watched again.

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{Request, Response, WatchedEvent};
use queenright_sim::zookeeper::{FromServer, ServerId};

use crate::harness::{Client, World, create, delete, event, set};

fn again(relative_zxid: Zxid, data: &[&str], exist: &[&str], child: &[&str]) -> Request {
    let list = |paths: &[&str]| paths.iter().map(|path| (*path).into()).collect();
    Request::SetWatches { relative_zxid, data: list(data), exist: list(exist), child: list(child) }
}

/// `/a` and `/gone`, and the zxid at which the watcher lost its connection.
fn world() -> (World, Client, Client, Zxid) {
    let mut world = World::new();
    let (actor, watcher) = (world.client(), world.client());
    for path in ["/a", "/gone"] {
        world.ok(&actor, create(path));
    }
    let seen = world.server.last_zxid(ServerId::FIRST);
    world.disconnect(&watcher);
    let watcher = world.reattach(&watcher);
    (world, actor, watcher, seen)
}

#[test]
fn what_changed_since_is_told_and_is_not_watched_any_more() {
    let (mut world, actor, watcher, seen) = world();
    for change in [set("/a", "x"), create("/a/b"), delete("/gone"), create("/new")] {
        world.ok(&actor, change);
    }
    let lists = again(seen, &["/a", "/gone"], &["/new"], &["/a", "/gone"]);
    assert_eq!(world.ok(&watcher, lists), Response::SetWatches);
    let expected = [
        event(Change::DataChanged, "/a"),
        event(Change::Deleted, "/gone"),
        event(Change::Created, "/new"),
        event(Change::ChildrenChanged, "/a"),
        event(Change::Deleted, "/gone"),
    ];
    assert_eq!(world.events(&watcher), expected);
    for change in [set("/a", "y"), create("/a/c"), create("/gone"), set("/new", "x")] {
        world.ok(&actor, change);
    }
    assert_eq!(world.events(&watcher), []);
}

#[test]
fn what_did_not_change_is_watched() {
    let (mut world, actor, watcher, seen) = world();
    world.ok(&watcher, again(seen, &["/a"], &["/new"], &["/gone"]));
    assert_eq!(world.events(&watcher), []);
    for change in [set("/a", "x"), create("/new"), create("/gone/child")] {
        world.ok(&actor, change);
    }
    let expected = [
        event(Change::DataChanged, "/a"),
        event(Change::Created, "/new"),
        event(Change::ChildrenChanged, "/gone"),
    ];
    assert_eq!(world.events(&watcher), expected);
}

#[test]
fn a_child_watch_does_not_hear_of_data_nor_a_data_watch_of_children() {
    let (mut world, actor, watcher, seen) = world();
    world.ok(&actor, set("/a", "x"));
    world.ok(&actor, create("/gone/child"));
    world.ok(&watcher, again(seen, &["/gone"], &[], &["/a"]));
    assert_eq!(world.events(&watcher), []);
}

#[test]
fn missed_events_come_before_the_reply_and_name_no_transaction() {
    let (mut world, actor, watcher, seen) = world();
    world.ok(&actor, set("/a", "x"));
    world.send(&watcher, -8, again(seen, &["/a"], &[], &[]));
    let missed = WatchedEvent { change: Change::DataChanged, path: "/a".into(), zxid: Zxid(-1) };
    let zxid = world.server.last_zxid(ServerId::FIRST);
    let reply = FromServer::Reply { xid: -8, zxid, result: Ok(Response::SetWatches) };
    assert_eq!(world.inbox(&watcher), [FromServer::Event(missed), reply]);
}

#[test]
fn persistent_watches_are_set_and_tell_nothing_of_the_past() {
    let (mut world, actor, watcher, seen) = world();
    world.ok(&actor, set("/a", "x"));
    let lists = Request::SetWatches2 {
        relative_zxid: seen,
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
        persistent: vec!["/a".into()],
        recursive: vec!["/gone".into()],
    };
    world.ok(&watcher, lists);
    assert_eq!(world.events(&watcher), []);
    for change in [set("/a", "y"), create("/a/b"), create("/gone/c"), set("/gone/c", "x")] {
        world.ok(&actor, change);
    }
    let expected = [
        event(Change::DataChanged, "/a"),
        event(Change::ChildrenChanged, "/a"),
        event(Change::Created, "/gone/c"),
        event(Change::DataChanged, "/gone/c"),
    ];
    assert_eq!(world.events(&watcher), expected);
}

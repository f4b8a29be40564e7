//! Which watch hears of what, in which order, and how often.

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{
    Acl, CreateFlags, ErrorCode, Permissions, Request, Response, WatchedEvent, WatcherType,
};
use queenright_sim::zookeeper::{FromServer, ServerId};

use crate::harness::{
    Client, World, create, create_as, create_for, delete, event, get, log_in, set, set_acl, watch_always,
    watch_below, watch_children, watch_data, watch_exists,
};

/// A watch, where it is left, what happens, and what it hears of.
type Row = (fn(&str) -> Request, &'static str, Request, &'static [(Change, &'static str)]);

/// A world with `/a` and `/a/b`, somebody who acts and somebody who watches.
fn world() -> (World, Client, Client) {
    let mut world = World::new();
    let (actor, watcher) = (world.client(), world.client());
    world.ok(&actor, create("/a"));
    world.ok(&actor, create("/a/b"));
    (world, actor, watcher)
}

#[test]
fn each_kind_of_watch_hears_of_its_changes() {
    use Change::{ChildrenChanged, Created, DataChanged, Deleted};

    let data = watch_data as fn(&str) -> Request;
    let none: &[(Change, &str)] = &[];
    let table: &[Row] = &[
        // One-shots on data: the znode itself.
        (data, "/a", set("/a", "x"), &[(DataChanged, "/a")]),
        (data, "/a", create("/a/c"), none),
        (data, "/a/b", delete("/a/b"), &[(Deleted, "/a/b")]),
        (data, "/a", set_acl("/a", &[Acl::open()], -1), none),
        (data, "/a", set("/a/b", "x"), none),
        (watch_exists, "/a", set("/a", "x"), &[(DataChanged, "/a")]),
        (watch_exists, "/a/c", create("/a/c"), &[(Created, "/a/c")]),
        (watch_exists, "/a/b", delete("/a/b"), &[(Deleted, "/a/b")]),
        // One-shots on children: the list, and the end of the parent.
        (watch_children, "/a", create("/a/c"), &[(ChildrenChanged, "/a")]),
        (watch_children, "/a", delete("/a/b"), &[(ChildrenChanged, "/a")]),
        (watch_children, "/a", set("/a", "x"), none),
        (watch_children, "/a", create("/a/b/c"), none),
        (watch_children, "/a/b", delete("/a/b"), &[(Deleted, "/a/b")]),
        (watch_children, "/", create("/z"), &[(ChildrenChanged, "/")]),
        // Persistent: all of it at their path, and nothing below.
        (watch_always, "/a", set("/a", "x"), &[(DataChanged, "/a")]),
        (watch_always, "/a", create("/a/c"), &[(ChildrenChanged, "/a")]),
        (watch_always, "/a", set("/a/b", "x"), none),
        (watch_always, "/a/b", delete("/a/b"), &[(Deleted, "/a/b")]),
        (watch_always, "/c", create("/c"), &[(Created, "/c")]),
        // Recursive: everything below, and never a list.
        (watch_below, "/a", set("/a", "x"), &[(DataChanged, "/a")]),
        (watch_below, "/a", create("/a/c"), &[(Created, "/a/c")]),
        (watch_below, "/a", create("/a/b/c"), &[(Created, "/a/b/c")]),
        (watch_below, "/a", delete("/a/b"), &[(Deleted, "/a/b")]),
        (watch_below, "/a/b", delete("/a/b"), &[(Deleted, "/a/b")]),
        (watch_below, "/", set("/a/b", "x"), &[(DataChanged, "/a/b")]),
        (watch_below, "/", set("/", "x"), &[(DataChanged, "/")]),
        (watch_below, "/c", create("/c"), &[(Created, "/c")]),
        (watch_below, "/a", create("/ab"), none),
        (watch_below, "/a/", set("/a/b", "x"), none),
        // The root's other name reads it, and does not watch it.
        (data, "", set("/", "x"), none),
        (watch_below, "", create("/c"), none),
        // Failed operations.
        (watch_below, "/", create("/a"), none),
        (data, "/a", delete("/a"), none),
    ];
    for (watch, path, change, expected) in table {
        let (mut world, actor, watcher) = world();
        let _ = world.ask(&watcher, watch(path));
        let _ = world.ask(&actor, change.clone());
        let expected: Vec<_> = expected.iter().map(|(change, path)| event(*change, path)).collect();
        assert_eq!(world.events(&watcher), expected, "{:?}, then {change:?}", watch(path));
    }
}

#[test]
fn one_shots_fire_once_and_persistent_ones_each_time() {
    for (watch, expected) in [(watch_data("/a"), 1), (watch_always("/a"), 3), (watch_below("/a"), 3)] {
        let (mut world, actor, watcher) = world();
        // Twice the same is one watch.
        world.ok(&watcher, watch.clone());
        world.ok(&watcher, watch.clone());
        for _ in 0..3 {
            world.ok(&actor, set("/a", "x"));
        }
        assert_eq!(world.events(&watcher).len(), expected, "{watch:?}");
    }
}

#[test]
fn one_change_is_one_event_however_many_watches_match() {
    let (mut world, actor, watcher) = world();
    for watch in
        [watch_data("/a/b"), watch_always("/a/b"), watch_below("/a/b"), watch_below("/a"), watch_below("/")]
    {
        world.ok(&watcher, watch);
    }
    world.ok(&actor, set("/a/b", "x"));
    assert_eq!(world.events(&watcher), [event(Change::DataChanged, "/a/b")]);
}

#[test]
fn the_end_of_a_znode_is_one_event_for_both_tables_then_comes_the_parents() {
    let (mut world, actor, watcher) = world();
    for watch in [watch_children("/a"), watch_children("/a/b"), watch_data("/a/b")] {
        world.ok(&watcher, watch);
    }
    world.ok(&actor, delete("/a/b"));
    assert_eq!(
        world.events(&watcher),
        [event(Change::Deleted, "/a/b"), event(Change::ChildrenChanged, "/a")]
    );
}

#[test]
fn a_create_tells_the_znodes_watchers_before_its_parents() {
    let (mut world, actor, watcher) = world();
    world.ok(&watcher, watch_children("/a"));
    world.ask(&watcher, watch_exists("/a/c")).result.unwrap_err();
    world.ok(&actor, create("/a/c"));
    assert_eq!(
        world.events(&watcher),
        [event(Change::Created, "/a/c"), event(Change::ChildrenChanged, "/a")]
    );
}

#[test]
fn the_one_who_acts_gets_the_event_before_the_reply_and_both_carry_the_zxid() {
    let (mut world, actor, _) = world();
    world.ok(&actor, watch_data("/a"));
    world.send(&actor, 9, set("/a", "x"));
    let zxid = world.server.last_zxid(ServerId::FIRST);
    let inbox = world.inbox(&actor);
    let expected = WatchedEvent { change: Change::DataChanged, path: "/a".into(), zxid };
    assert_eq!(inbox[0], FromServer::Event(expected));
    assert!(matches!(&inbox[1], FromServer::Reply { xid: 9, zxid: of_reply, .. } if *of_reply == zxid));
    assert_eq!(inbox.len(), 2);
}

#[test]
fn only_exists_watches_what_is_not_there() {
    let (mut world, actor, watcher) = world();
    for watch in [watch_data("/c"), watch_children("/c")] {
        assert_eq!(world.error(&watcher, watch), ErrorCode::NO_NODE);
    }
    world.ok(&actor, create("/c"));
    world.ok(&actor, create("/c/d"));
    assert_eq!(world.events(&watcher), []);
}

#[test]
fn a_read_that_is_not_permitted_leaves_no_watch() {
    let (mut world, actor, watcher) = world();
    world.ok(&actor, create_for("/p", &[Acl::new(Permissions(30), "world", "anyone")]));
    for watch in [watch_data("/p"), watch_exists("/p"), watch_children("/p")] {
        assert_eq!(world.error(&watcher, watch), ErrorCode::NO_AUTH);
    }
    world.ok(&actor, set_acl("/p", &[Acl::open()], -1));
    world.ok(&actor, set("/p", "x"));
    assert_eq!(world.events(&watcher), []);
}

#[test]
fn events_go_only_to_who_may_read_the_znode_as_it_is_then() {
    let (mut world, actor, watcher) = world();
    world.ok(&actor, log_in("actor:secret"));
    world.ask(&watcher, watch_exists("/p")).result.unwrap_err();
    world.ok(&watcher, watch_below("/"));
    world.ok(&watcher, watch_children("/"));
    world.ok(&actor, create_for("/p", &[Acl::creator_all()]));
    // The parent may be read, and so the list.
    assert_eq!(world.events(&watcher), [event(Change::ChildrenChanged, "/")]);
    world.ok(&actor, set("/p", "x"));
    assert_eq!(world.events(&watcher), []);
    // The one-shot is used up: only the recursive one is left.
    world.ok(&actor, set_acl("/p", &[Acl::open()], -1));
    let remove = Request::RemoveWatches { path: "/".into(), watcher: WatcherType::Any };
    world.ok(&watcher, remove);
    world.ok(&actor, set("/p", "x"));
    assert_eq!(world.events(&watcher), []);
}

#[test]
fn watches_go_with_the_connection_and_not_with_the_session() {
    let (mut world, actor, watcher) = world();
    for watch in [watch_data("/a"), watch_below("/a")] {
        world.ok(&watcher, watch);
    }
    world.disconnect(&watcher);
    let again = world.reattach(&watcher);
    world.ok(&actor, set("/a", "x"));
    assert_eq!((world.events(&watcher), world.events(&again)), (vec![], vec![]));
}

#[test]
fn one_shot_and_persistent_at_one_path_live_side_by_side() {
    let (mut world, actor, watcher) = world();
    world.ok(&watcher, watch_below("/a"));
    world.ok(&watcher, watch_data("/a"));
    for _ in 0..2 {
        world.ok(&actor, set("/a/b", "x"));
        world.ok(&actor, set("/a", "x"));
    }
    let round = [event(Change::DataChanged, "/a/b"), event(Change::DataChanged, "/a")];
    assert_eq!(world.events(&watcher), [round.clone(), round].concat());
}

#[test]
fn remove_watches_takes_exactly_the_type_that_it_names() {
    let types = [
        (WatcherType::Data, watch_data as fn(&str) -> Request),
        (WatcherType::Children, watch_children),
        (WatcherType::Persistent, watch_always),
        (WatcherType::PersistentRecursive, watch_below),
    ];
    for (set_type, watch) in types {
        for asked in types.map(|(watcher, _)| watcher).into_iter().chain([WatcherType::Any]) {
            let (mut world, _, watcher) = world();
            world.ok(&watcher, watch("/a"));
            let (path, other) = ("/a".to_owned(), "/a/b".to_owned());
            let has = asked == set_type || asked == WatcherType::Any;
            let check = Request::CheckWatches { path: path.clone(), watcher: asked };
            let checked = world.ask(&watcher, check.clone()).result;
            assert_eq!(checked.is_ok(), has, "{set_type:?} {asked:?}");
            let removed = world.ask(&watcher, Request::RemoveWatches { path, watcher: asked }).result;
            let expected = if has { Ok(Response::RemoveWatches) } else { Err(ErrorCode::NO_WATCHER) };
            assert_eq!(removed, expected, "{set_type:?} {asked:?}");
            assert_eq!(world.error(&watcher, check), ErrorCode::NO_WATCHER);
            let left = Request::CheckWatches { path: "/a".into(), watcher: set_type };
            assert_eq!(world.ask(&watcher, left).result.is_ok(), !has, "{set_type:?} {asked:?}");
            let elsewhere = Request::RemoveWatches { path: other, watcher: asked };
            assert_eq!(world.error(&watcher, elsewhere), ErrorCode::NO_WATCHER);
        }
    }
}

#[test]
fn a_removed_watch_is_silent_and_others_of_the_path_are_not() {
    let (mut world, actor, watcher) = world();
    for watch in [watch_data("/a"), watch_children("/a"), watch_always("/a")] {
        world.ok(&watcher, watch);
    }
    world.ok(&watcher, Request::RemoveWatches { path: "/a".into(), watcher: WatcherType::Persistent });
    world.ok(&actor, set("/a", "x"));
    world.ok(&actor, set("/a", "y"));
    world.ok(&actor, create("/a/c"));
    let expected = [event(Change::DataChanged, "/a"), event(Change::ChildrenChanged, "/a")];
    assert_eq!(world.events(&watcher), expected);
}

#[test]
fn the_watches_of_others_are_not_to_be_removed_nor_seen() {
    let (mut world, actor, watcher) = world();
    world.ok(&watcher, watch_data("/a"));
    let remove = Request::RemoveWatches { path: "/a".into(), watcher: WatcherType::Any };
    assert_eq!(world.error(&actor, remove), ErrorCode::NO_WATCHER);
    let check = Request::CheckWatches { path: "/a".into(), watcher: WatcherType::Data };
    assert_eq!(world.error(&actor, check), ErrorCode::NO_WATCHER);
}

#[test]
fn the_end_of_a_session_fires_the_watches_on_its_ephemerals_in_one_transaction() {
    let (mut world, actor, watcher) = world();
    for path in ["/a/e1", "/a/e2"] {
        world.ok(&actor, create_as(path, CreateFlags::EPHEMERAL));
    }
    world.ok(&watcher, watch_below("/"));
    world.ok(&watcher, watch_children("/a"));
    let before = world.server.last_zxid(ServerId::FIRST);
    world.expire(actor.session());
    let expected = [
        event(Change::Deleted, "/a/e1"),
        event(Change::ChildrenChanged, "/a"),
        event(Change::Deleted, "/a/e2"),
    ];
    assert_eq!(world.events(&watcher), expected);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), Zxid(before.0 + 1));
    assert_eq!(world.error(&watcher, get("/a/e1")), ErrorCode::NO_NODE);
}

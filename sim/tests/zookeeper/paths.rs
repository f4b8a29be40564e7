//! Which paths are taken, and by which operations. Every row was asked of ZooKeeper 3.8.0.

use queenright_core::wire::{CreateFlags, ErrorCode, Response};

use crate::harness::{World, create, create_as, delete, exists, get, set};

const BAD_ARGUMENTS: ErrorCode = ErrorCode::BAD_ARGUMENTS;
const NO_NODE: ErrorCode = ErrorCode::NO_NODE;
const NODE_EXISTS: ErrorCode = ErrorCode::NODE_EXISTS;

#[test]
fn create_looks_for_a_slash_and_nul_then_for_the_parent_then_at_the_whole_path() {
    let table = [
        ("", BAD_ARGUMENTS),
        ("a", BAD_ARGUMENTS),
        ("/a\0", BAD_ARGUMENTS),
        ("/nope/a\0b", BAD_ARGUMENTS),
        ("a/b", NO_NODE),
        ("/nope//x", NO_NODE),
        ("/a//b", NO_NODE),
        ("/nope/./x", NO_NODE),
        ("/nope/", NO_NODE),
        ("/nope/😀", NO_NODE),
        ("//b", BAD_ARGUMENTS),
        ("/a/", BAD_ARGUMENTS),
        ("/a/.", BAD_ARGUMENTS),
        ("/a/..", BAD_ARGUMENTS),
        ("/a/\u{1}x", BAD_ARGUMENTS),
        ("/a/\u{1f}", BAD_ARGUMENTS),
        ("/a/\u{7f}", BAD_ARGUMENTS),
        ("/a/\u{9f}", BAD_ARGUMENTS),
        ("/a/\u{e000}", BAD_ARGUMENTS),
        ("/a/\u{f8ff}", BAD_ARGUMENTS),
        ("/a/\u{fff0}", BAD_ARGUMENTS),
        ("/a/\u{ffff}", BAD_ARGUMENTS),
        // Two surrogates for a server written in Java.
        ("/a/😀", BAD_ARGUMENTS),
        ("/", NODE_EXISTS),
        ("/a", NODE_EXISTS),
    ];
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    for (path, code) in table {
        assert_eq!(world.error(&client, create(path)), code, "{path:?}");
    }
    for path in
        ["/a/...", "/a/.b", "/a/ ", "/a/\u{a0}", "/a/\u{d7ff}", "/a/\u{f900}", "/a/\u{ffef}", "/zookeeper/x"]
    {
        assert_eq!(world.created(&client, create(path)), path);
    }
}

#[test]
fn a_sequential_create_may_end_in_a_slash() {
    let mut world = World::new();
    let client = world.client();
    let sequential = |path| create_as(path, CreateFlags::PERSISTENT_SEQUENTIAL);
    assert_eq!(world.created(&client, sequential("/")), "/0000000000");
    world.ok(&client, create("/a"));
    assert_eq!(world.created(&client, sequential("/a/")), "/a/0000000000");
    assert_eq!(world.error(&client, sequential("/a/b/")), NO_NODE);
    assert_eq!(world.error(&client, sequential("/a//")), NO_NODE);
}

#[test]
fn set_looks_at_the_whole_path_first() {
    let mut world = World::new();
    let client = world.client();
    for path in ["", "a", "/a//b", "/a/.", "/a\0", "/a/", "/nope/😀"] {
        assert_eq!(world.error(&client, set(path, "x")), BAD_ARGUMENTS, "{path:?}");
    }
    assert_eq!(world.error(&client, set("/nope", "x")), NO_NODE);
    world.ok(&client, set("/", "the root has data, too"));
}

#[test]
fn delete_does_not_look_at_the_path_but_keeps_the_servers_own() {
    let mut world = World::new();
    let client = world.client();
    for path in ["", "a", "/a\0", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        assert_eq!(world.error(&client, delete(path)), BAD_ARGUMENTS, "{path:?}");
    }
    for path in ["/a//b", "/a/", "/nope", "/zookeeper/quota/x"] {
        assert_eq!(world.error(&client, delete(path)), NO_NODE, "{path:?}");
    }
}

#[test]
fn reads_do_not_look_at_the_path() {
    let mut world = World::new();
    let client = world.client();
    for path in ["a", "/a//b", "/a/", "/a/."] {
        assert_eq!(world.error(&client, exists(path)), NO_NODE, "{path:?}");
        assert_eq!(world.error(&client, get(path)), NO_NODE, "{path:?}");
    }
    assert_eq!(world.error(&client, exists("/a\0")), BAD_ARGUMENTS);
    assert_eq!(world.error(&client, get("/a\0")), NO_NODE);
}

#[test]
fn the_empty_path_reads_the_root() {
    let mut world = World::new();
    let client = world.client();
    let (empty, root) = (world.ok(&client, get("")), world.ok(&client, get("/")));
    assert_eq!(empty, root);
    assert!(matches!(root, Response::GetData { data: Some(data), .. } if data.is_empty()));
}

//! What a client can make the server keep.

use std::time::Duration;

use queenright_core::wire::{AddWatchMode, CreateFlags, Request, SetData};
use queenright_sim::endpoint::{CLOSING_TIMEOUT, EVENTS_MAX, OPENING_MAX, OPENING_TIMEOUT, OUTPUT_LOW};
use queenright_sim::zookeeper::ServerId;

use crate::harness::{World, create, frame, get};

#[test]
fn a_client_that_does_not_read_is_not_served_on() {
    let mut world = World::new();
    let (conn, _) = world.client();
    let data = vec![b'x'; 10_000];
    world.request(conn, 0, &create("/a", &data, CreateFlags::PERSISTENT));
    let reply_len = 4 + 16 + 4 + data.len() + 68;
    // One segment, a thousand requests, ten megabytes of answers.
    let segment: Vec<u8> = (1..=1000).flat_map(|xid| frame(xid, &get("/a"))).collect();
    world.receive(conn, &segment);
    let waiting = world.endpoint.transmit(conn).len();
    assert!((OUTPUT_LOW..OUTPUT_LOW + reply_len).contains(&waiting), "{waiting} bytes");
    assert!(!world.endpoint.wants_input(conn));
    // It reads some, and gets some more.
    world.endpoint.transmitted(world.now, conn, 100_000);
    let waiting = world.endpoint.transmit(conn).len();
    assert!((OUTPUT_LOW..OUTPUT_LOW + reply_len).contains(&waiting), "{waiting} bytes");
    // It reads on, and nothing is missing.
    let mut read = 100_000;
    while !world.endpoint.transmit(conn).is_empty() {
        let some = world.endpoint.transmit(conn).len().min(7_777);
        world.endpoint.transmitted(world.now, conn, some);
        read += some;
    }
    let create_reply_len = 4 + 16 + 4 + 2;
    assert_eq!(read, create_reply_len + 1000 * reply_len);
    assert!(world.endpoint.wants_input(conn));
}

#[test]
fn a_client_that_does_not_read_its_events_is_cut_off() {
    let mut world = World::new();
    let (lazy, _) = world.client();
    let (writer, _) = world.client();
    let path = format!("/{}", "x".repeat(10_000));
    world.request(writer, 1, &create(&path, b"", CreateFlags::PERSISTENT));
    world.request(lazy, 1, &Request::AddWatch { path: path.clone(), mode: AddWatchMode::Persistent });
    assert_eq!(world.messages(lazy).len(), 1);
    let set = Request::SetData(SetData { path, data: None, version: -1 });
    let mut most = 0;
    for xid in 2.. {
        world.request(writer, xid, &set);
        world.read(writer);
        if world.is_over(lazy) {
            break;
        }
        most = most.max(world.endpoint.transmit(lazy).len());
        assert!(most < EVENTS_MAX + 20_000, "{most} bytes wait");
    }
    assert!(most >= EVENTS_MAX, "cut off with {most} bytes");
    assert!(world.endpoint.transmit(lazy).is_empty());
    assert_eq!(world.endpoint.ensemble().sessions().count(), 2, "its session lives on");
    assert_eq!(world.endpoint.ensemble().watch_count(ServerId::FIRST), 0);
}

#[test]
fn one_long_answer_is_no_reason_to_cut_a_client_off() {
    let mut world = World::new();
    let (reader, _) = world.client();
    let (writer, _) = world.client();
    let data = vec![b'x'; 900_000];
    world.request(writer, 1, &create("/a", &data, CreateFlags::PERSISTENT));
    let names: Vec<String> = (0..15).map(|n| format!("/{n}{}", "x".repeat(900_000))).collect();
    for name in &names {
        world.request(writer, 1, &create(name, b"", CreateFlags::PERSISTENT));
        world.read(writer);
    }
    world.request(reader, 1, &Request::AddWatch { path: "/a".into(), mode: AddWatchMode::Persistent });
    world.request(reader, 2, &Request::GetChildren(queenright_core::wire::Read::plain("/")));
    assert!(world.endpoint.transmit(reader).len() > EVENTS_MAX);
    world.request(writer, 2, &Request::SetData(SetData { path: "/a".into(), data: None, version: -1 }));
    assert!(!world.is_over(reader));
    assert_eq!(world.messages(reader).len(), 3);
}

#[test]
fn connections_without_a_session_are_limited_in_number() {
    let mut world = World::new();
    let opening: Vec<_> = (0..OPENING_MAX).map(|_| world.accept()).collect();
    let one_more = world.accept();
    assert!(world.is_over(one_more));
    world.endpoint.disconnect(world.now, one_more);
    // One goes, and there is room for one.
    assert!(!world.is_over(opening[0]));
    world.endpoint.disconnect(world.now, opening[0]);
    let (conn, _) = world.client();
    assert!(!world.is_over(conn));
    // Those with a session do not count.
    let conn = world.accept();
    assert!(!world.is_over(conn));
}

#[test]
fn connections_without_a_session_are_limited_in_time() {
    let mut world = World::new();
    let silent = world.accept();
    let half = world.accept();
    world.receive(half, &[0, 0]);
    assert_eq!(world.endpoint.poll_timeout(), Some(world.now.after(OPENING_TIMEOUT)));
    world.pass(OPENING_TIMEOUT - Duration::from_nanos(1));
    assert!(!world.is_over(silent) && !world.is_over(half));
    world.pass(Duration::from_nanos(1));
    assert!(world.is_over(silent) && world.is_over(half));
    assert_eq!(world.endpoint.poll_timeout(), None);
}

#[test]
fn who_does_not_read_the_last_answer_does_not_get_it() {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.request(conn, 1, &Request::CloseSession);
    assert!(!world.endpoint.transmit(conn).is_empty() && !world.is_over(conn));
    assert!(!world.endpoint.wants_input(conn));
    world.pass(CLOSING_TIMEOUT);
    assert!(world.endpoint.transmit(conn).is_empty() && world.is_over(conn));
}

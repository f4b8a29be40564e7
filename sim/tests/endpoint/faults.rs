//! What tests of clients ask for.

use queenright_core::SessionId;
use queenright_core::wire::{ConnectRequest, CreateFlags, CreateForm, OpCode, Request};
use queenright_sim::zookeeper::ServerId;

use crate::harness::{SESSION_MS, World, connect, create, frame, get};

#[test]
fn a_lost_reply_is_that_of_a_write_that_was_applied() {
    let mut world = World::new();
    let (conn, session) = world.client();
    world.endpoint.lose_next_reply(OpCode::Create);
    let mut segment = frame(1, &get("/"));
    segment.extend(frame(2, &create("/a", b"", CreateFlags::PERSISTENT)));
    segment.extend(frame(3, &create("/b", b"", CreateFlags::PERSISTENT)));
    world.receive(conn, &segment);
    assert_eq!(world.messages(conn).iter().map(|reply| reply.xid).collect::<Vec<_>>(), [1]);
    assert!(world.is_over(conn));
    let tree = world.endpoint.ensemble().tree(ServerId::FIRST);
    assert!(tree.get("/a").is_some() && tree.get("/b").is_none());
    world.endpoint.disconnect(world.now, conn);
    // Its session lives on, and the next one is answered.
    let conn = world.accept();
    let request = ConnectRequest {
        session: SessionId(session.id),
        password: Some(session.password.clone()),
        ..ConnectRequest::new_session(SESSION_MS)
    };
    world.receive(conn, &connect(&request));
    assert_eq!(world.session(conn), session);
    world.request(conn, 1, &create("/b", b"", CreateFlags::PERSISTENT));
    assert_eq!(world.messages(conn)[0].error, 0);
}

#[test]
fn all_requests_that_create_are_one_kind_and_each_call_loses_one() {
    let mut world = World::new();
    world.endpoint.lose_next_reply(OpCode::Create);
    world.endpoint.lose_next_reply(OpCode::Create);
    for (path, form, lost) in [
        ("/a", CreateForm::Create2, true),
        ("/b", CreateForm::Container, true),
        ("/c", CreateForm::Create, false),
    ] {
        let (conn, _) = world.client();
        let Request::Create(create) = create(path, b"", CreateFlags::PERSISTENT) else { unreachable!() };
        let flags = if form == CreateForm::Container { CreateFlags::CONTAINER } else { create.flags };
        world.request(conn, 1, &Request::Create(queenright_core::wire::Create { form, flags, ..create }));
        assert_eq!(world.messages(conn).is_empty(), lost, "{path}");
        assert_eq!(world.is_over(conn), lost);
        assert!(world.endpoint.ensemble().tree(ServerId::FIRST).get(path).is_some());
    }
}

#[test]
fn the_end_of_a_session_can_be_lost_too() {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.endpoint.lose_next_reply(OpCode::CloseSession);
    world.request(conn, 1, &Request::CloseSession);
    assert!(world.is_over(conn) && world.read(conn).is_empty());
    assert_eq!(world.endpoint.ensemble().sessions().count(), 0);
}

#[test]
fn sessions_end_by_force() {
    let mut world = World::new();
    let (conn, session) = world.client();
    world.request(conn, 1, &create("/a", b"", CreateFlags::EPHEMERAL));
    world.read(conn);
    let now = world.now;
    world.endpoint.change(now, |ensemble| ensemble.expire(now, SessionId(session.id)));
    assert!(world.is_over(conn));
    assert!(world.endpoint.ensemble().tree(ServerId::FIRST).get("/a").is_none());
    assert_eq!(world.endpoint.ensemble().sessions().count(), 0);
}

#[test]
fn all_connections_break_and_their_sessions_live() {
    let mut world = World::new();
    let (first, _) = world.client();
    let (second, _) = world.client();
    let third = world.accept();
    world.request(first, 1, &get("/"));
    world.endpoint.cut_all(world.now);
    for conn in [first, second, third] {
        assert!(world.is_over(conn) && world.read(conn).is_empty());
    }
    let named: Vec<_> = std::iter::from_fn(|| world.endpoint.poll_ready()).collect();
    assert_eq!(named, [first, second, third]);
    assert_eq!(world.endpoint.ensemble().sessions().count(), 2);
    let (conn, _) = world.client();
    assert!(!world.is_over(conn));
}

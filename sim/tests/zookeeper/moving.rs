//! Sessions and several servers: who renews them, who knows that they are over, and how they move.

use std::time::Duration;

use queenright_core::wire::{ConnectRequest, CreateFlags, ErrorCode, Request, Response};
use queenright_core::{SessionId, Zxid};
use queenright_sim::zookeeper::FromServer;

use crate::harness::{Client, TICK, World, create, create_as, get, watch_data};
use crate::replication::{LEADER, ONE, TWO};

fn is_live(world: &World, session: SessionId) -> bool {
    world.server.sessions().any(|live| live == session)
}

fn is_refused(answers: &[FromServer]) -> bool {
    matches!(answers, [FromServer::Connected(response), FromServer::Close] if response.is_refusal())
}

/// A client of follower one, with a session of 4 s.
fn short(world: &mut World) -> Client {
    let (conn, answers) = world.connect_to(ONE, ConnectRequest::new_session(4_000));
    let [FromServer::Connected(established)] = &answers[..] else { panic!("{answers:?}") };
    Client { conn, established: established.clone() }
}

#[test]
fn a_follower_tells_the_leader_of_its_clients_when_it_is_pinged() {
    let mut world = World::ensemble(3);
    let client = short(&mut world);
    for _ in 0..10 {
        world.pass(TICK);
        world.ok(&client, Request::Ping);
    }
    assert!(is_live(&world, client.session()));
    // The leader hears of the last frame at the next half tick, and counts from there.
    world.pass(Duration::from_millis(700));
    world.ok(&client, Request::Ping);
    let beat = world.now.after(Duration::from_millis(300));
    world.pass(Duration::from_millis(300) + TICK * 2);
    assert_eq!(world.now, beat.after(TICK * 2));
    assert!(is_live(&world, client.session()));
    world.pass(TICK);
    assert!(!is_live(&world, client.session()));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
}

#[test]
fn a_forwarded_write_renews_nothing_by_itself() {
    let mut world = World::ensemble(3);
    let (client, other) = (short(&mut world), world.client_of(ONE));
    // No ping arrives any more, but what the follower sends does.
    world.strike(|servers, now| servers.cut(now, LEADER, ONE));
    for xid in 0..3 {
        world.pass(Duration::from_millis(1_900));
        world.send(&client, xid, create(&format!("/n{xid}")));
    }
    assert!(world.server.tree(LEADER).get("/n1").is_some());
    world.pass(Duration::from_millis(300));
    assert!(!is_live(&world, client.session()));
    // The follower does not know yet.
    assert_eq!(world.error(&other, get("/n0")), ErrorCode::NO_NODE);
    assert_eq!(world.inbox(&client), []);
}

#[test]
fn the_end_of_a_session_closes_its_connection_where_and_when_it_is_applied() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(ONE), world.client_of(TWO));
    world.ok(&client, create_as("/e", CreateFlags::EPHEMERAL));
    world.ok(&client, watch_data("/e"));
    world.strike(|servers, now| servers.hold(now, ONE));
    world.expire(client.session());
    assert_eq!(world.error(&other, get("/e")), ErrorCode::NO_NODE);
    // Here it lives on, for the time being; but it cannot write, and nobody can take it up.
    world.ok(&client, get("/e"));
    world.send(&client, 1, create("/late"));
    let request = ConnectRequest::reattach(&client.established, Zxid(0));
    let (_, answers) = world.connect_to(TWO, request);
    assert!(is_refused(&answers), "{answers:?}");
    world.strike(|servers, now| servers.release(now, ONE));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert!(world.server.tree(LEADER).get("/late").is_none());
}

#[test]
fn a_client_ends_its_session_over_any_server() {
    for server in [ONE, LEADER] {
        let mut world = World::ensemble(3);
        let client = world.client_of(server);
        world.ok(&client, create_as("/e", CreateFlags::EPHEMERAL));
        world.send(&client, 7, Request::CloseSession);
        let zxid = world.server.last_zxid(server);
        let closed = FromServer::Reply { xid: 7, zxid, result: Ok(Response::CloseSession) };
        assert_eq!(world.inbox(&client), [closed, FromServer::Close]);
        assert!(!world.has("/e") && !is_live(&world, client.session()));
    }
}

/// As seen on an ensemble of 3.8.0.
#[test]
fn a_session_moves_and_who_writes_over_the_old_connection_loses_it() {
    let mut world = World::ensemble(3);
    let old = world.client_of(ONE);
    let new = world.reattach_to(TWO, &old);
    assert_eq!((new.session(), &new.established.password), (old.session(), &old.established.password));
    world.ok(&new, create("/a"));
    // A follower does not know that the session has moved.
    world.ok(&old, get("/a"));
    world.ok(&old, Request::Ping);
    world.ok(&old, Request::Sync { path: "/a".into() });
    let before = world.server.last_zxid(LEADER);
    for request in [create("/b"), Request::Multi(vec![])] {
        let old = world.reattach_to(ONE, &old);
        let new = world.reattach_to(TWO, &old);
        world.send(&old, 1, request);
        assert_eq!(world.inbox(&old), [FromServer::Close]);
        assert_eq!(world.inbox(&new), []);
        world.ok(&new, get("/a"));
    }
    // Nothing happened, for a zxid each.
    assert!(!world.has("/b"));
    assert_eq!(world.server.last_zxid(LEADER), Zxid(before.0 + 2));
}

#[test]
fn a_leader_serves_nothing_to_a_session_that_has_moved_away() {
    for request in [get("/"), Request::Ping] {
        let mut world = World::ensemble(3);
        let old = world.client_of(LEADER);
        world.reattach_to(ONE, &old);
        world.send(&old, 1, request);
        assert_eq!(world.inbox(&old), [FromServer::Close]);
    }
}

#[test]
fn the_end_of_a_session_closes_all_its_connections() {
    let mut world = World::ensemble(3);
    for by_old in [true, false] {
        let old = world.client_of(ONE);
        let new = world.reattach_to(TWO, &old);
        let (asks, hears) = if by_old { (&old, &new) } else { (&new, &old) };
        world.send(asks, 1, Request::CloseSession);
        assert!(matches!(world.inbox(asks)[..], [FromServer::Reply { .. }, FromServer::Close]));
        assert_eq!(world.inbox(hears), [FromServer::Close]);
    }
}

#[test]
fn a_wrong_password_closes_only_what_is_open_at_that_server() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    let mut request = ConnectRequest::reattach(&client.established, Zxid(0));
    request.password = Some(vec![7; 16]);
    let (_, answers) = world.connect_to(TWO, request.clone());
    assert!(is_refused(&answers));
    world.ok(&client, create("/a"));
    let (_, answers) = world.connect_to(ONE, request);
    assert!(is_refused(&answers));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
}

#[test]
fn a_server_that_is_behind_refuses_a_client_that_is_not() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    world.strike(|servers, now| servers.hold(now, TWO));
    let zxid = world.ask(&client, create("/a")).zxid;
    let request = ConnectRequest::reattach(&client.established, zxid);
    let (_, answers) = world.connect_to(TWO, request.clone());
    assert_eq!(answers, [FromServer::Close]);
    world.strike(|servers, now| servers.release(now, TWO));
    let (_, answers) = world.connect_to(TWO, request);
    assert!(matches!(answers[..], [FromServer::Connected(_)]));
}

#[test]
fn a_late_write_of_a_session_that_has_moved_does_nothing() {
    let mut world = World::ensemble(3);
    let old = world.client_of(ONE);
    let slow = Duration::from_millis(500);
    world.strike(|servers, now| servers.delay(now, ONE, LEADER, slow));
    world.send(&old, 1, create("/late"));
    world.disconnect(&old);
    let new = world.reattach_to(TWO, &old);
    world.pass(slow);
    assert!(!world.has("/late"));
    world.ok(&new, create("/late"));
}

#[test]
fn what_a_client_sends_before_its_session_is_there_is_served_when_it_is() {
    let mut world = World::ensemble(3);
    let slow = Duration::from_millis(500);
    world.strike(|servers, now| servers.delay(now, ONE, LEADER, slow));
    let (conn, answers) = world.connect_to(ONE, ConnectRequest::new_session(10_000));
    assert_eq!(answers, []);
    let unfinished = Client {
        conn,
        established: queenright_core::wire::ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session: SessionId(0),
            password: vec![],
            read_only: None,
        },
    };
    world.send(&unfinished, 1, create("/a"));
    world.send(&unfinished, 2, get("/a"));
    world.pass(slow);
    let inbox = world.inbox(&unfinished);
    assert!(matches!(inbox[..], [FromServer::Connected(_)]), "{inbox:?}");
    world.pass(slow);
    let inbox = world.inbox(&unfinished);
    let [FromServer::Reply { xid: 1, .. }, FromServer::Reply { xid: 2, result, .. }] = &inbox[..] else {
        panic!("{inbox:?}")
    };
    assert!(result.is_ok());
}

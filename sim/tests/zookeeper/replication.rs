//! Several servers: one decides, all apply, each shows what it has applied.

use std::time::Duration;

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{CreateFlags, ErrorCode, Request, Response, xid};
use queenright_sim::zookeeper::{FromServer, Role, ServerId};

use crate::harness::{
    Client, World, create, create_as, delete, event, get, log_in, set, watch_below, watch_data, watch_exists,
};

pub(crate) const ONE: ServerId = ServerId(1);
pub(crate) const TWO: ServerId = ServerId(2);
/// It leads from the beginning.
pub(crate) const LEADER: ServerId = ServerId(3);

const SLOW: Duration = Duration::from_millis(300);

/// The xids of the replies that have come for `client`, and whether they are good.
fn replies(world: &mut World, client: &Client) -> Vec<(i32, bool)> {
    let inbox = world.inbox(client).into_iter();
    inbox
        .filter_map(|message| match message {
            FromServer::Reply { xid, result, .. } => Some((xid, result.is_ok())),
            FromServer::Connected(_) | FromServer::Event(_) | FromServer::Close => None,
        })
        .collect()
}

/// Messages between follower one and the leader take a while, each way.
fn slow(world: &mut World) {
    world.strike(|servers, now| servers.delay(now, ONE, LEADER, SLOW));
    world.strike(|servers, now| servers.delay(now, LEADER, ONE, SLOW));
}

fn sync(path: &str) -> Request {
    Request::Sync { path: path.into() }
}

#[test]
fn all_servers_make_the_same_of_the_same_writes() {
    let mut world = World::ensemble(3);
    let roles: Vec<_> = world.server.servers().map(|server| world.server.role(server)).collect();
    assert_eq!(roles, [Role::Following, Role::Following, Role::Leading]);
    assert_eq!(world.server.leader(), Some(LEADER));
    let clients = [ONE, TWO, LEADER].map(|server| world.client_of(server));
    // The epoch is in the upper half.
    assert_eq!(world.server.last_zxid(LEADER), Zxid(0x1_0000_0003));
    for (index, client) in clients.iter().enumerate() {
        let reply = world.ask(client, create(&format!("/n{index}")));
        assert_eq!(reply.zxid, Zxid(0x1_0000_0004 + i64::try_from(index).unwrap()));
    }
    for client in &clients {
        for index in 0..3 {
            world.ok(client, get(&format!("/n{index}")));
        }
    }
    assert_eq!(world.server.tree(ONE), world.server.tree(LEADER));
    assert_eq!(world.server.tree(TWO), world.server.tree(LEADER));
}

#[test]
fn sessions_are_named_after_the_servers_where_they_began() {
    let mut world = World::ensemble(3);
    for server in [ONE, TWO, LEADER] {
        let client = world.client_of(server);
        assert_eq!(client.session().0 >> 56, i64::from(server.0));
    }
    assert_eq!(world.server.sessions().count(), 3);
}

/// Without it, what a client wrote behind a sync was answered before the sync.
#[test]
fn a_sync_is_answered_in_its_turn_when_several_writes_are_committed_at_once() {
    let mut world = World::ensemble(4);
    let client = world.client_of(ONE);
    // The leader, the fourth one, has one follower left, and it takes three of them.
    for other in [TWO, LEADER] {
        world.strike(|servers, now| servers.crash(now, other));
    }
    world.send(&client, 1, create("/a"));
    world.send(&client, 2, sync("/"));
    world.send(&client, 3, create("/b"));
    assert_eq!(replies(&mut world, &client), []);
    world.strike(|servers, now| servers.restart(now, TWO));
    let half_tick = world.server.config().tick / 2;
    world.pass(half_tick);
    assert_eq!(replies(&mut world, &client), [(1, true), (2, true), (3, true)]);
}

#[test]
fn a_lagging_server_shows_the_past_and_its_events_come_before_what_they_announce() {
    let mut world = World::ensemble(3);
    let (writer, reader) = (world.client_of(ONE), world.client_of(TWO));
    assert_eq!(world.error(&reader, watch_exists("/a")), ErrorCode::NO_NODE);
    world.strike(|servers, now| servers.hold(now, TWO));
    world.ok(&writer, create("/a"));
    world.ok(&writer, set("/a", "1"));
    let before = world.server.last_zxid(TWO);
    assert_eq!(world.ask(&reader, get("/a")).result, Err(ErrorCode::NO_NODE));
    assert_eq!(world.ask(&reader, Request::Ping).zxid, before);
    assert_eq!(world.events(&reader), []);
    world.strike(|servers, now| servers.release(now, TWO));
    assert_eq!(world.events(&reader), [event(Change::Created, "/a")]);
    let Response::GetData { data, .. } = world.ok(&reader, get("/a")) else { panic!("no data") };
    assert_eq!(data.as_deref(), Some(&b"1"[..]));
    assert_eq!(world.server.last_zxid(TWO), world.server.last_zxid(LEADER));
}

#[test]
fn the_answer_to_a_write_comes_when_the_clients_own_server_has_applied_it() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(TWO), world.client_of(ONE));
    world.ok(&client, watch_below("/"));
    world.strike(|servers, now| servers.hold(now, TWO));
    world.send(&client, 1, create("/a"));
    // Everybody else has it.
    world.ok(&other, get("/a"));
    assert_eq!(world.inbox(&client), []);
    world.strike(|servers, now| servers.release(now, TWO));
    let zxid = world.server.last_zxid(TWO);
    let inbox = world.inbox(&client);
    assert!(matches!(&inbox[0], FromServer::Event(event) if event.path == "/a" && event.zxid == zxid));
    let created = Ok(Response::Create { path: "/a".into() });
    assert_eq!(inbox[1..], [FromServer::Reply { xid: 1, zxid, result: created }]);
}

#[test]
fn what_comes_after_a_forwarded_write_waits_for_it_but_not_authentication() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(ONE), world.client_of(ONE));
    slow(&mut world);
    world.send(&client, 1, create("/a"));
    world.send(&client, 2, get("/a"));
    world.send(&client, 3, create("/a/b"));
    world.send(&client, -2, Request::Ping);
    world.send(&client, -4, log_in("user:secret"));
    // Seen on 3.8.0 with its leader stopped: the proof of identity is answered, all else waits.
    assert_eq!(replies(&mut world, &client), [(-4, true)]);
    assert_eq!(world.ask(&other, get("/a")).result, Err(ErrorCode::NO_NODE));
    // To the leader, and its commit back: the other follower makes the majority.
    world.pass(SLOW * 2);
    assert_eq!(replies(&mut world, &client), [(1, true), (2, true), (3, true), (-2, true)]);
}

#[test]
fn who_asks_is_settled_when_the_request_comes() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    slow(&mut world);
    let own = queenright_core::wire::Acl::creator_all();
    world.send(&client, 1, crate::harness::create_for("/early", std::slice::from_ref(&own)));
    world.send(&client, 2, log_in("user:secret"));
    world.send(&client, 3, crate::harness::create_for("/late", &[own]));
    world.pass(SLOW * 2);
    assert_eq!(replies(&mut world, &client), [(2, true), (1, false), (3, true)]);
}

#[test]
fn sync_waits_until_the_server_has_what_was_committed_at_the_leader() {
    let mut world = World::ensemble(3);
    let (writer, reader) = (world.client_of(LEADER), world.client_of(TWO));
    world.strike(|servers, now| servers.hold(now, TWO));
    world.ok(&writer, create("/a"));
    world.send(&reader, 1, sync("/a"));
    world.send(&reader, 2, get("/a"));
    assert_eq!(world.inbox(&reader), []);
    world.strike(|servers, now| servers.release(now, TWO));
    assert_eq!(replies(&mut world, &reader), [(1, true), (2, true)]);
    // In its turn, before what the same client has written since.
    world.strike(|servers, now| servers.hold(now, TWO));
    world.ok(&writer, create("/b"));
    world.send(&reader, 3, sync("/b"));
    world.send(&reader, 4, create("/c"));
    world.strike(|servers, now| servers.release(now, TWO));
    assert_eq!(replies(&mut world, &reader), [(3, true), (4, true)]);
    // A server that lags and has nothing to catch up with does not wait.
    world.strike(|servers, now| servers.hold(now, TWO));
    world.ok(&reader, sync("/"));
}

#[test]
fn sync_waits_for_what_is_proposed_too() {
    let mut world = World::ensemble(3);
    let (writer, reader) = (world.client_of(LEADER), world.client_of(TWO));
    for follower in [ONE, TWO] {
        world.strike(|servers, now| servers.delay(now, follower, LEADER, SLOW));
    }
    world.send(&writer, 1, create("/a"));
    world.pass(SLOW / 2);
    // It gets to the leader after the acknowledgement.
    world.send(&reader, 1, sync("/a"));
    world.send(&reader, 2, get("/a"));
    world.pass(SLOW);
    assert_eq!(replies(&mut world, &reader), [(1, true), (2, true)]);
    // At the leader itself nothing is synced with anything.
    world.send(&writer, 3, create("/b"));
    let other = world.reattach_to(LEADER, &writer);
    world.ok(&other, sync("/b"));
    assert_eq!(world.error(&other, get("/b")), ErrorCode::NO_NODE);
}

#[test]
fn writes_are_decided_against_the_newest_state_and_not_against_what_is_applied() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(LEADER), world.client_of(LEADER));
    for follower in [ONE, TWO] {
        world.strike(|servers, now| servers.delay(now, follower, LEADER, SLOW));
    }
    world.send(&client, 1, create("/q"));
    for xid in 2..5 {
        world.send(&client, xid, create_as("/q/n-", CreateFlags::EPHEMERAL_SEQUENTIAL));
    }
    world.send(&client, 5, delete("/q/n-0000000001"));
    world.send(&client, 6, delete("/q/n-0000000001"));
    world.send(&client, 7, delete("/q"));
    world.send(&other, 1, create("/q"));
    assert_eq!(world.inbox(&client), []);
    world.pass(SLOW);
    let expected = [(1, true), (2, true), (3, true), (4, true), (5, true), (6, false), (7, false)];
    assert_eq!(replies(&mut world, &client), expected);
    assert_eq!(replies(&mut world, &other), [(1, false)]);
    let names: Vec<_> = world.server.tree(LEADER).children("/q").map(String::from).collect();
    assert_eq!(names, ["n-0000000000", "n-0000000002"]);
    // The end of the session takes along what it has asked for and nobody has yet.
    world.send(&client, 8, create_as("/q/n-", CreateFlags::EPHEMERAL_SEQUENTIAL));
    world.send(&client, 9, delete("/q/n-0000000000"));
    world.send(&client, 10, Request::CloseSession);
    world.pass(SLOW);
    assert_eq!(replies(&mut world, &client), [(8, true), (9, true), (10, true)]);
    assert_eq!(world.server.tree(LEADER).children("/q").count(), 0);
}

#[test]
fn each_server_has_watches_of_its_own() {
    let mut world = World::ensemble(3);
    let clients = [ONE, TWO, LEADER].map(|server| world.client_of(server));
    world.ok(&clients[0], create("/a"));
    for client in &clients {
        world.ok(client, watch_data("/a"));
    }
    world.ok(&clients[1], set("/a", "x"));
    for client in &clients {
        assert_eq!(world.events(client), [event(Change::DataChanged, "/a")]);
    }
}

#[test]
fn a_write_needs_a_majority_that_can_talk_with_the_leader() {
    let mut world = World::ensemble(5);
    let leader = ServerId(5);
    let client = world.client_of(leader);
    for follower in [1, 2] {
        world.part(ServerId(follower), leader);
    }
    world.ok(&client, create("/three-of-five"));
    world.part(ServerId(3), leader);
    world.send(&client, 1, create("/two-of-five"));
    assert_eq!(world.inbox(&client), []);
    world.heal(ServerId(1), leader);
    assert_eq!(replies(&mut world, &client), [(1, true)]);
}

#[test]
fn counters_near_their_end_wrap_around_on_all_servers() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    world.ok(&client, create("/q"));
    world.strike(|servers, now| assert!(servers.preset_sequence(now, "/q", i32::MAX)));
    let sequential = || create_as("/q/n-", CreateFlags::PERSISTENT_SEQUENTIAL);
    assert_eq!(world.created(&client, sequential()), "/q/n-2147483647");
    assert_eq!(world.created(&client, sequential()), "/q/n--2147483648");
    assert_eq!(world.created(&client, sequential()), "/q/n--2147483647");
    assert_eq!(world.server.tree(TWO), world.server.tree(LEADER));
    world.strike(|servers, now| assert!(!servers.preset_sequence(now, "/nope", 7)));
}

/// The fuzz target `session` met it. Clients know such a reply by its xid, which is no ordinary one.
#[test]
fn a_proof_of_identity_is_answered_before_a_write_that_is_on_its_way() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    slow(&mut world);
    world.send(&client, 1, create("/a"));
    world.send(&client, xid::AUTH, log_in("ann:1"));
    world.send(&client, 2, get("/a"));
    assert_eq!(replies(&mut world, &client), [(xid::AUTH, true)]);
    world.pass(SLOW * 4);
    assert_eq!(replies(&mut world, &client), [(1, true), (2, true)]);
}

/// The connection ends with the refusal: the write happens, and its client is not told.
#[test]
fn what_is_not_served_is_refused_before_a_write_that_is_on_its_way() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    slow(&mut world);
    world.send(&client, 1, create("/a"));
    world.send(&client, 2, Request::Unsupported { opcode: 99 });
    let refusal = FromServer::Reply { xid: 2, zxid: Zxid(-1), result: Err(ErrorCode::UNIMPLEMENTED) };
    assert_eq!(world.inbox(&client), [refusal, FromServer::Close]);
    world.pass(SLOW * 4);
    assert_eq!(world.inbox(&client), []);
    assert!(world.server.tree(LEADER).get("/a").is_some());
}

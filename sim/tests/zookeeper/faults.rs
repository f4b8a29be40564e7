//! Links that break, servers that die: how long each serves on, and what it takes to come back.

use std::time::Duration;

use queenright_core::Zxid;
use queenright_core::wire::{ConnectRequest, ErrorCode, Request};
use queenright_sim::zookeeper::{FromServer, Role, ServerConfig, ServerId};

use crate::harness::{TICK, World, create, get, set, watch_data};
use crate::replication::{LEADER, ONE, TWO};

const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);

/// As seen on an ensemble of 3.8.0 whose leader was stopped: reads and pings go on for `syncLimit` ticks to the moment,
/// writes and new connections wait; then all are closed, and whoever comes is turned away.
#[test]
fn a_follower_without_its_leader_serves_on_and_then_drops_its_clients() {
    let mut world = World::ensemble(3);
    let (client, writer, other) = (world.client_of(ONE), world.client_of(ONE), world.client_of(TWO));
    world.ok(&client, create("/a"));
    world.part(ONE, LEADER);
    let start = world.now;
    world.ok(&other, set("/a", "x"));
    world.send(&writer, 1, create("/w"));
    world.send(&writer, 2, get("/a"));
    world.send(&writer, 3, Request::Sync { path: "/".into() });
    let (new, answers) = world.connect_to(ONE, ConnectRequest::new_session(10_000));
    assert_eq!(answers, []);
    let request = ConnectRequest::reattach(&other.established, Zxid(0));
    let (moving, answers) = world.connect_to(ONE, request);
    assert_eq!(answers, []);
    while world.now < start.after(PATIENCE - TICK) {
        world.pass(TICK);
        world.ok(&client, Request::Ping);
        world.ok(&client, get("/a"));
        assert_eq!(world.stat("/a").version, 0, "it shows the past");
    }
    assert_eq!(world.inbox(&writer), []);
    world.pass(TICK);
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert_eq!(world.inbox(&writer), [FromServer::Close]);
    for conn in [new, moving] {
        let client = crate::harness::Client { conn, established: client.established.clone() };
        assert_eq!(world.inbox(&client), [FromServer::Close]);
    }
    assert_eq!(world.server.role(ONE), Role::Looking);
    let (_, answers) = world.connect_to(ONE, ConnectRequest::new_session(10_000));
    assert_eq!(answers, [FromServer::Close]);
    // Nobody else noticed.
    world.ok(&other, create("/b"));
    // It comes back within half a tick, with all that it missed. The write that it could not deliver is lost.
    world.heal(ONE, LEADER);
    world.pass(TICK / 2);
    assert_eq!(world.server.role(ONE), Role::Following);
    assert_eq!(world.server.tree(ONE), world.server.tree(LEADER));
    assert!(!world.has("/w"));
}

#[test]
fn a_cut_that_is_healed_in_time_loses_nothing() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(ONE), world.client_of(TWO));
    world.part(ONE, LEADER);
    world.send(&client, 1, create("/w"));
    world.ok(&other, create("/a"));
    world.pass(PATIENCE / 2);
    assert_eq!(world.inbox(&client), []);
    world.heal(ONE, LEADER);
    assert!(matches!(world.inbox(&client)[..], [FromServer::Reply { xid: 1, result: Ok(_), .. }]));
    world.ok(&client, get("/a"));
    world.ok(&other, get("/w"));
}

#[test]
fn one_direction_is_enough_to_part_with_a_follower() {
    for (from, to) in [(ONE, LEADER), (LEADER, ONE)] {
        let mut world = World::ensemble(3);
        let client = world.client_of(ONE);
        world.strike(|servers, now| servers.cut(now, from, to));
        world.pass(PATIENCE - TICK);
        assert_eq!(world.inbox(&client), []);
        world.pass(TICK * 2);
        assert_eq!(world.inbox(&client), [FromServer::Close], "{from:?} to {to:?}");
        assert_eq!(world.server.role(ONE), Role::Looking);
        // Half of the link is no link.
        world.pass(TICK);
        assert_eq!(world.server.role(ONE), Role::Looking);
        world.strike(|servers, now| servers.heal(now, from, to));
        world.pass(TICK);
        assert_eq!(world.server.role(ONE), Role::Following);
    }
}

#[test]
fn a_slow_link_is_no_broken_one() {
    let mut world = World::ensemble(3);
    let slow = Duration::from_secs(3);
    for (from, to) in [(ONE, LEADER), (LEADER, ONE)] {
        world.strike(|servers, now| servers.delay(now, from, to, slow));
    }
    world.pass(PATIENCE * 3);
    assert_eq!(world.server.role(ONE), Role::Following);
    let (conn, answers) = world.connect_to(ONE, ConnectRequest::new_session(10_000));
    assert_eq!(answers, []);
    world.pass(slow * 2);
    assert!(world.server.sessions().any(|session| world.server.connection_of(ONE, session) == Some(conn)));
}

#[test]
fn a_leader_without_a_majority_commits_nothing_and_steps_down() {
    let mut world = World::ensemble(3);
    let (client, idle) = (world.client_of(LEADER), world.client_of(LEADER));
    world.part(ONE, LEADER);
    world.part(TWO, LEADER);
    world.send(&client, 1, create("/w"));
    for _ in 0..4 {
        world.pass(TICK);
        world.ok(&idle, Request::Ping);
        assert_eq!(world.error(&idle, get("/w")), ErrorCode::NO_NODE);
    }
    assert_eq!(world.server.leader(), Some(LEADER));
    world.pass(TICK + TICK / 2);
    for client in [&client, &idle] {
        assert_eq!(world.inbox(client), [FromServer::Close]);
    }
    assert_eq!(world.server.leader(), None);
    assert!(world.server.servers().all(|server| world.server.role(server) == Role::Looking));
    // Nobody leads until somebody is elected: not by itself.
    world.heal(ONE, LEADER);
    world.heal(TWO, LEADER);
    world.pass(PATIENCE);
    assert_eq!(world.server.leader(), None);
    assert_eq!(world.server.poll_timeout(), None);
    world.strike(|servers, now| servers.set_leader(now, ONE).unwrap());
    assert!(!world.has("/w"));
}

#[test]
fn a_server_that_was_away_for_long_gets_the_tree_and_not_the_log() {
    let mut world = World::ensemble(3);
    let client = world.client_of(TWO);
    world.strike(|servers, now| servers.crash(now, ONE));
    assert_eq!(world.server.role(ONE), Role::Down);
    for index in 0..50 {
        world.ok(&client, create(&format!("/n{index}")));
    }
    world.pass(TICK);
    assert_eq!(world.server.role(ONE), Role::Down);
    world.strike(|servers, now| servers.restart(now, ONE));
    assert_eq!(world.server.role(ONE), Role::Looking);
    world.pass(TICK / 2);
    assert_eq!(world.server.tree(ONE), world.server.tree(LEADER));
    let other = world.client_of(ONE);
    world.ok(&other, create("/again"));
}

#[test]
fn a_follower_that_dies_takes_its_connections_along_and_no_session() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    world.ok(&client, create("/a"));
    world.ok(&client, watch_data("/a"));
    world.strike(|servers, now| servers.restart(now, ONE));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    let client = world.reattach_to(TWO, &client);
    world.ok(&client, set("/a", "x"));
    world.pass(TICK / 2);
    let client = world.reattach_to(ONE, &client);
    world.ok(&client, get("/a"));
    assert_eq!(world.inbox(&client), []);
}

#[test]
fn a_server_alone_comes_back_at_once_with_everything_and_all_sessions_anew() {
    let mut world = World::with(ServerConfig { tick: TICK, ..ServerConfig::default() });
    let client = world.client();
    world.ok(&client, create("/a"));
    world.pass(Duration::from_secs(9));
    let zxid = world.server.last_zxid(ServerId::FIRST);
    world.strike(|servers, now| servers.crash(now, ServerId::FIRST));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    let (_, answers) = world.connect(ConnectRequest::new_session(10_000));
    assert_eq!(answers, [FromServer::Close]);
    world.strike(|servers, now| servers.restart(now, ServerId::FIRST));
    assert_eq!(world.server.role(ServerId::FIRST), Role::Standalone);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), zxid);
    world.pass(Duration::from_secs(9));
    let client = world.reattach(&client);
    assert_eq!(world.ask(&client, create("/b")).zxid, Zxid(zxid.0 + 1));
}

#[test]
fn deadlines_are_exact() {
    let mut world = World::ensemble(3);
    world.part(ONE, LEADER);
    let start = world.now;
    // Whoever sleeps until then misses nothing, and is never woken for nothing: each time something happens.
    let mut wakings = 0;
    while world.server.role(ONE) == Role::Following {
        let at = world.server.poll_timeout().unwrap();
        assert!(at > world.now);
        world.now = at.before(MOMENT);
        world.strike(|servers, now| servers.handle_timeout(now));
        assert_eq!(world.server.poll_timeout(), Some(at), "early: nothing happens");
        world.now = at;
        world.strike(|servers, now| servers.handle_timeout(now));
        wakings += 1;
    }
    assert_eq!(world.now, start.after(PATIENCE));
    assert_eq!(wakings, 10, "two beats a tick");
}

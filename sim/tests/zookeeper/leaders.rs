//! Changes of leaders: what is kept, what is lost, and what an old leader does that has not noticed.

use std::time::Duration;

use queenright_core::wire::{CreateFlags, ErrorCode, Request};
use queenright_core::{SessionId, Zxid};
use queenright_sim::zookeeper::{FromServer, NoMajority, Role, ServerId};

use crate::harness::{TICK, World, create, create_as, get, set};
use crate::replication::{LEADER, ONE, TWO};

const PATIENCE: Duration = Duration::from_secs(10);

fn is_live(world: &World, session: SessionId) -> bool {
    world.server.sessions().any(|live| live == session)
}

#[test]
fn a_change_of_leaders_closes_all_connections_and_keeps_all_that_is_committed() {
    let mut world = World::ensemble(3);
    let clients = [ONE, TWO, LEADER].map(|server| world.client_of(server));
    world.ok(&clients[0], create_as("/e", CreateFlags::EPHEMERAL));
    world.strike(|servers, now| servers.set_leader(now, TWO).unwrap());
    for client in &clients {
        assert_eq!(world.inbox(client), [FromServer::Close]);
    }
    assert_eq!(world.server.leader(), Some(TWO));
    let roles = [ONE, TWO, LEADER].map(|server| world.server.role(server));
    assert_eq!(roles, [Role::Following, Role::Leading, Role::Following]);
    let client = world.reattach_to(ONE, &clients[0]);
    world.ok(&client, get("/e"));
    // As seen on 3.8.0: the leader shows the new epoch at once, followers with the first transaction in it.
    assert_eq!(world.server.last_zxid(TWO), Zxid(0x2_0000_0000));
    assert_eq!(world.server.last_zxid(ONE), Zxid(0x1_0000_0004));
    assert_eq!(world.ask(&client, create("/a")).zxid, Zxid(0x2_0000_0001));
}

#[test]
fn sessions_get_their_whole_timeout_from_a_new_leader() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    world.pass(Duration::from_secs(9));
    world.strike(|servers, now| servers.set_leader(now, TWO).unwrap());
    world.pass(Duration::from_secs(10));
    assert!(is_live(&world, client.session()));
    world.pass(TICK);
    assert!(!is_live(&world, client.session()));
}

#[test]
fn a_deposed_leader_serves_the_past_and_commits_nothing() {
    let mut world = World::ensemble(3);
    let (client, reader, other) = (world.client_of(LEADER), world.client_of(LEADER), world.client_of(ONE));
    world.ok(&client, create("/a"));
    world.part(ONE, LEADER);
    world.part(TWO, LEADER);
    world.strike(|servers, now| servers.set_leader(now, ONE).unwrap());
    assert_eq!((world.server.role(LEADER), world.server.leader()), (Role::Leading, Some(ONE)));
    let other = world.reattach_to(TWO, &other);
    world.ok(&other, set("/a", "new"));
    world.send(&client, 1, set("/a", "lost"));
    world.ok(&other, create("/b"));
    world.ok(&reader, get("/a"));
    assert_eq!(world.server.tree(LEADER).get("/a").unwrap().stat().version, 0);
    assert_eq!(world.error(&reader, get("/b")), ErrorCode::NO_NODE);
    // Too late for the old one, even if its followers of old could be reached: they follow another.
    world.heal(TWO, LEADER);
    assert_eq!(world.inbox(&client), []);
    world.pass(PATIENCE / 2);
    world.ok(&reader, Request::Ping);
    world.ok(&other, Request::Ping);
    world.pass(PATIENCE / 2 + TICK / 2);
    for client in [&client, &reader] {
        assert_eq!(world.inbox(client), [FromServer::Close]);
    }
    assert_eq!(world.server.role(LEADER), Role::Looking);
    world.heal(ONE, LEADER);
    world.pass(TICK / 2);
    assert_eq!(world.server.tree(LEADER), world.server.tree(ONE));
    assert_eq!(world.server.tree(LEADER).get("/a").unwrap().data(), b"new");
}

#[test]
fn what_no_majority_has_is_lost_with_its_leader_and_nobody_hears_of_it() {
    let mut world = World::ensemble(3);
    let (client, other) = (world.client_of(LEADER), world.client_of(ONE));
    for follower in [ONE, TWO] {
        world.strike(|servers, now| servers.cut(now, follower, LEADER));
    }
    world.send(&client, 1, create("/lost"));
    world.send(&other, 1, create("/lost-too"));
    for follower in [ONE, TWO] {
        world.strike(|servers, now| servers.cut(now, LEADER, follower));
    }
    world.strike(|servers, now| servers.set_leader(now, TWO).unwrap());
    assert_eq!(world.inbox(&other), [FromServer::Close]);
    world.heal(ONE, LEADER);
    world.heal(TWO, LEADER);
    world.pass(PATIENCE + TICK);
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    let client = world.client_of(LEADER);
    for path in ["/lost", "/lost-too"] {
        assert_eq!(world.error(&client, get(path)), ErrorCode::NO_NODE);
    }
}

#[test]
fn nobody_leads_without_a_majority() {
    let mut world = World::ensemble(5);
    for (one, other) in [(1, 3), (1, 4), (1, 5)] {
        world.part(ServerId(one), ServerId(other));
    }
    let client = world.client_of(ServerId(5));
    let refused = |server, found| Err(NoMajority { server, found, needed: 3 });
    world.strike(|servers, now| assert_eq!(servers.set_leader(now, ONE), refused(ONE, 2)));
    world.strike(|servers, now| servers.crash(now, TWO));
    world.strike(|servers, now| assert_eq!(servers.set_leader(now, TWO), refused(TWO, 0)));
    world.ok(&client, create("/a"));
    assert_eq!(world.server.leader(), Some(ServerId(5)));
}

#[test]
fn a_leader_that_dies_leaves_nobody_in_charge() {
    let mut world = World::ensemble(3);
    let client = world.client_of(ONE);
    world.strike(|servers, now| servers.crash(now, LEADER));
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert_eq!(world.server.leader(), None);
    world.strike(|servers, now| servers.set_leader(now, ONE).unwrap());
    let client = world.reattach_to(TWO, &client);
    world.ok(&client, create("/a"));
    world.strike(|servers, now| servers.restart(now, LEADER));
    world.pass(TICK / 2);
    assert_eq!(world.server.tree(LEADER), world.server.tree(ONE));
}

#[test]
fn a_minority_follows_its_old_leader_until_that_steps_down() {
    let mut world = World::ensemble(5);
    let (old, new) = (ServerId(5), ServerId(1));
    let client = world.client_of(ServerId(4));
    for majority in 1..4 {
        for minority in 4..6 {
            world.part(ServerId(majority), ServerId(minority));
        }
    }
    world.strike(|servers, now| servers.set_leader(now, new).unwrap());
    let other = world.client_of(ServerId(2));
    world.ok(&other, create("/new"));
    world.ok(&client, Request::Ping);
    assert_eq!(world.error(&client, get("/new")), ErrorCode::NO_NODE);
    assert_eq!(world.server.role(ServerId(4)), Role::Following);
    world.pass(PATIENCE + TICK / 2);
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert_eq!([old, ServerId(4)].map(|server| world.server.role(server)), [Role::Looking; 2]);
    assert_eq!(world.server.leader(), Some(new));
}

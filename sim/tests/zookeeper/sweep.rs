//! Containers and TTL nodes: the server removes them by itself.

use std::time::Duration;

use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{Create, CreateFlags, CreateForm, Request};
use queenright_sim::zookeeper::ServerId;

use crate::harness::{Client, World, container, create, creation, delete, event, set, watch_below};

const SWEEP: Duration = Duration::from_secs(60);

/// A world and a client that does not go away by silence.
fn world() -> (World, Client) {
    let mut world = World::new();
    let client = world.client();
    (world, client)
}

/// Time passes, and the client pings.
fn pass(world: &mut World, client: &Client, time: Duration) {
    let step = Duration::from_secs(5);
    let mut left = time;
    while left > Duration::ZERO {
        world.pass(step.min(left));
        world.ok(client, Request::Ping);
        left = left.saturating_sub(step);
    }
}

fn ttl(path: &str, ttl: Duration) -> Request {
    let ttl = i64::try_from(ttl.as_millis()).unwrap();
    Request::Create(Create { form: CreateForm::Ttl { ttl }, ..creation(path, CreateFlags::TTL) })
}

#[test]
fn a_container_goes_after_its_last_child_and_not_before_its_first() {
    let (mut world, client) = world();
    for path in ["/empty", "/used", "/in-use"] {
        world.ok(&client, container(path));
    }
    for path in ["/used/x", "/in-use/x"] {
        world.ok(&client, create(path));
    }
    world.ok(&client, delete("/used/x"));
    world.ok(&client, watch_below("/"));
    let before = world.server.last_zxid(ServerId::FIRST);
    pass(&mut world, &client, SWEEP);
    assert!(world.has("/empty") && world.has("/in-use") && !world.has("/used"));
    assert_eq!(world.events(&client), [event(Change::Deleted, "/used")]);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), Zxid(before.0 + 1));
}

#[test]
fn a_ttl_node_goes_when_it_was_not_written_for_its_time_and_has_no_children() {
    let (mut world, client) = world();
    let short = Duration::from_secs(30);
    for path in ["/old", "/written", "/parent"] {
        world.ok(&client, ttl(path, short));
    }
    world.ok(&client, ttl("/long", SWEEP * 10));
    world.ok(&client, create("/parent/x"));
    pass(&mut world, &client, Duration::from_secs(50));
    world.ok(&client, set("/written", "x"));
    assert!(world.has("/old"), "only the sweep removes it");
    pass(&mut world, &client, Duration::from_secs(10));
    assert!(!world.has("/old"));
    assert!(world.has("/written") && world.has("/parent") && world.has("/long"));
    world.ok(&client, delete("/parent/x"));
    pass(&mut world, &client, SWEEP);
    assert!(!world.has("/written") && !world.has("/parent") && world.has("/long"));
}

#[test]
fn each_removal_is_a_transaction_of_its_own() {
    let (mut world, client) = world();
    for path in ["/a", "/b"] {
        world.ok(&client, container(path));
        world.ok(&client, create(&format!("{path}/x")));
        world.ok(&client, delete(&format!("{path}/x")));
    }
    let before = world.server.last_zxid(ServerId::FIRST);
    pass(&mut world, &client, SWEEP);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), Zxid(before.0 + 2));
}

#[test]
fn containers_in_containers_go_one_sweep_after_the_other() {
    let (mut world, client) = world();
    for path in ["/a", "/a/b"] {
        world.ok(&client, container(path));
    }
    world.ok(&client, create("/a/b/x"));
    world.ok(&client, delete("/a/b/x"));
    pass(&mut world, &client, SWEEP);
    assert!(world.has("/a") && !world.has("/a/b"));
    pass(&mut world, &client, SWEEP);
    assert!(!world.has("/a"));
}

#[test]
fn sweeps_are_a_deadline_only_while_there_is_something_to_look_at() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, container("/c"));
    world.send(&client, 1, Request::CloseSession);
    let sweep_at = world.server.poll_timeout().unwrap();
    assert_eq!(sweep_at.since(world.now), SWEEP);
    // Late by many: one sweep, and the next is in its time.
    world.now = world.now.after(SWEEP * 10 + Duration::from_secs(1));
    world.server.handle_timeout(world.now);
    assert_eq!(world.server.poll_timeout().unwrap(), sweep_at.after(SWEEP * 10));
    let client = world.client();
    world.ok(&client, delete("/c"));
    world.send(&client, 1, Request::CloseSession);
    assert_eq!(world.server.poll_timeout(), None);
}

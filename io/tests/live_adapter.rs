//! The zookeeper-client adapter against real servers: what it alone must add to the crate. What every client of the port
//! promises is in `port`.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

#[path = "port/holder.rs"]
mod holder;
mod support;

use std::future::poll_fn;
use std::time::Duration;

use queenright::Config;
use queenright::adapter::ZooKeeperClient;
use queenright::port::ZooKeeper as _;
use queenright_core::op::{CreateMode, ErrorCode, OpError, Outcome, Reply, Version};
use queenright_core::{Input, Op, Path, SessionEvent};
use tokio::time::{Instant, timeout};

use crate::holder::{Holder, PATIENCE};
use crate::support::relay::Relay;
use crate::support::zookeeper::ZooKeeper;

async fn connect(config: &Config) -> Holder {
    Holder::connect(Box::new(ZooKeeperClient::new(config).unwrap())).await
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn create(at: &str, mode: CreateMode) -> Op {
    Op::Create { path: path(at), data: b"data".to_vec(), mode }
}

fn config(zookeeper: &ZooKeeper) -> Config {
    Config::new(zookeeper.connect_string()).with_session_timeout(Duration::from_secs(4))
}

fn relayed(relay: &Relay) -> Config {
    Config::new(relay.address().to_string()).with_session_timeout(Duration::from_secs(6))
}

const NO_NODE: Outcome = Err(OpError::Refused(ErrorCode::NoNode));

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_gap_that_nobody_polled_through_is_told_as_a_gap() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut port = connect(&relayed(&relay)).await;
    let before = relay.connection_count();
    relay.cut();
    tokio::time::sleep(Duration::from_millis(200)).await;
    relay.heal();
    let deadline = Instant::now() + PATIENCE;
    while zookeeper.sessions(1).is_empty() || relay.connection_count() == before {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    port.silence().await;
}

/// An instance comes before a gap and goes in it, while the process is paused: told after the gap, the first would
/// never be taken back.
#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn an_event_from_before_a_gap_is_not_told_after_it() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut other = connect(&config(&zookeeper)).await;
    other.call(create("/s", CreateMode::Persistent)).await.unwrap();
    let mut port = connect(&relayed(&relay)).await;
    port.call(Op::AddWatch { path: path("/s") }).await.unwrap();
    let before = relay.connection_count();
    other.call(create("/s/ghost", CreateMode::Persistent)).await.unwrap();
    // Nobody polls the port: the event waits in the client.
    tokio::time::sleep(Duration::from_millis(200)).await;
    relay.cut();
    other.call(Op::Delete { path: path("/s/ghost"), version: Version::Any }).await.unwrap();
    relay.heal();
    let deadline = Instant::now() + PATIENCE;
    while relay.connection_count() == before {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    port.silence().await;
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn watches_beyond_what_a_reconnect_can_carry_are_refused() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut port = connect(&relayed(&relay)).await;
    let long = |n: usize| path(&format!("/{}{n:05}", "x".repeat(400)));
    let mut armed = 0;
    let refused = loop {
        match port.call(Op::Exists { path: long(armed), watch: true }).await {
            Err(OpError::Refused(ErrorCode::NoNode)) => armed += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Err(OpError::Refused(ErrorCode::TooLarge)));
    assert!(armed > 200, "{armed}");
    // With the most that it takes, a reconnect works, and it still has room for none more.
    relay.cut();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    relay.heal();
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    let again = port.call(Op::Exists { path: long(0), watch: true }).await;
    assert_eq!(again, NO_NODE, "the session lives, and a watch that is armed can be armed again");
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn it_connects_when_the_server_comes_at_last() {
    let mut zookeeper = ZooKeeper::start();
    zookeeper.stop(1);
    let mut port = ZooKeeperClient::new(&config(&zookeeper)).unwrap();
    let nothing = timeout(Duration::from_millis(700), poll_fn(|cx| port.poll_input(cx))).await;
    assert!(nothing.is_err(), "{nothing:?}");
    zookeeper.restart(1);
    let input = timeout(PATIENCE, poll_fn(|cx| port.poll_input(cx))).await.expect("no session in time");
    assert!(matches!(input, Input::Session(SessionEvent::Connected { .. })), "{input:?}");
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn an_ensemble_survives_its_leader() {
    let mut zookeeper = ZooKeeper::ensemble();
    let mut port = connect(&config(&zookeeper)).await;
    port.call(create("/kept", CreateMode::Ephemeral)).await.unwrap();
    let leader = zookeeper.leader().expect("an ensemble has a leader");
    zookeeper.kill(leader);
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    let found = port.call(Op::Exists { path: path("/kept"), watch: false }).await;
    assert!(matches!(found, Ok(Reply::Exists { stat }) if stat.owner() == Some(port.session)), "{found:?}");
    zookeeper.restart(leader);
    assert_eq!(zookeeper.len(), 3);
}

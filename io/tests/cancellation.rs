//! Calls that are given up half-way: what they did not return is withdrawn, and nobody is told what is not so. Without
//! ZooKeeper, so that every call is given up in its middle.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use std::net::TcpListener;
use std::time::Duration;

use futures_util::poll;
use queenright::{Config, Error, Node};

use crate::support::cluster::{idler, soon};

/// A node that reaches no ZooKeeper.
async fn node() -> Node {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config::new(refused.to_string())
        .with_request_timeout(Duration::from_millis(300))
        .with_close_timeout(Duration::from_millis(200));
    Node::start(config).await.unwrap()
}

#[tokio::test]
async fn an_offer_that_was_given_up_is_not_taken_for_published() {
    let node = node().await;
    let pid = idler(&node);
    let mut publishing = Box::pin(node.register_zk("svc", &pid));
    assert!(poll!(publishing.as_mut()).is_pending());
    drop(publishing);
    let again = soon(node.register_zk("svc", &pid)).await;
    assert!(matches!(again, Err(Error::Timeout { .. } | Error::Misuse(_))), "{again:?}");
    assert!(!node.unregister_zk("svc", &pid), "nothing stays behind");
    node.close().await;
}

#[tokio::test]
async fn nobody_is_told_that_a_process_is_published_before_it_is() {
    let node = node().await;
    let pid = idler(&node);
    let (first, second) =
        soon(async { tokio::join!(node.register_zk("svc", &pid), node.register_zk("svc", &pid)) }).await;
    assert!(matches!(first, Err(Error::Timeout { .. })), "{first:?}");
    assert!(second.is_err(), "ZooKeeper has heard of nothing");
    node.close().await;
}

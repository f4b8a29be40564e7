//! A node that never meets a ZooKeeper: messages between nodes need none.

use std::sync::Arc;
use std::task::{Context, Poll};

use queenright::adapter::{OperatingSystem, Tcp};
use queenright::port::ZooKeeper;
use queenright::{Config, Error, Node};
use queenright_core::{Input, Request};

struct Nowhere;

impl ZooKeeper for Nowhere {
    fn submit(&mut self, _: Request) {}

    fn poll_input(&mut self, _: &mut Context<'_>) -> Poll<Input> {
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

pub(crate) async fn node() -> Result<Node, Error> {
    let config = Config::new("nowhere:1").with_listen("127.0.0.1:0");
    Node::with_ports(config, Box::new(Nowhere), Arc::new(Tcp), Arc::new(OperatingSystem)).await
}

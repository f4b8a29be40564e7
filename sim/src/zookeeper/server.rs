//! The machine.

use queenright_core::wire::{ConnectRequest, Request};
use queenright_core::{Instant, SessionId, Zxid};

use super::{ConnectionId, FromServer, ServerConfig, Tree};

/// SKELETON: the API is final in shape, the bodies are being written.
#[derive(Clone, Debug)]
pub struct ZooKeeper {
    config: ServerConfig,
    tree: Tree,
}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl ZooKeeper {
    pub fn new(config: ServerConfig, now: Instant) -> Self { Self { config, tree: Tree::new() } }
    pub fn connect(&mut self, now: Instant, conn: ConnectionId, request: ConnectRequest) { todo!() }
    pub fn request(&mut self, now: Instant, conn: ConnectionId, xid: i32, request: Request) { todo!() }
    pub fn disconnect(&mut self, now: Instant, conn: ConnectionId) { todo!() }
    pub fn handle_timeout(&mut self, now: Instant) { todo!() }
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
    pub fn poll_output(&mut self) -> Option<(ConnectionId, FromServer)> { todo!() }
    pub fn expire(&mut self, now: Instant, session: SessionId) { todo!() }
    pub fn tree(&self) -> &Tree { &self.tree }
    pub fn last_zxid(&self) -> Zxid { todo!() }
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> { std::iter::empty() }
    pub fn config(&self) -> &ServerConfig { &self.config }
}

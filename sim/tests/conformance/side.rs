//! What a trial needs from a server, be it the model or a real one.

use queenright_core::Zxid;
use queenright_core::wire::ConnectRequest;
use queenright_sim::zookeeper::FromServer;

use crate::place::Place;
use crate::step::{Ask, Fault, Spot};

/// A connection, numbered by the trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link(pub(crate) u64);

/// What a server is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Many trials, each below a znode of its own.
    Shared,
    /// One trial, at the root of a server without history.
    Fresh,
    /// Trials in which containers and TTL nodes are removed.
    Sweeping,
    /// Trials with three servers, to which things happen.
    Ensemble,
}

/// A server, and connections to it.
pub(crate) trait Side {
    /// A new trial, without any connection: a fresh place for it.
    fn begin(&mut self) -> Place;

    /// The last transaction.
    fn zxid(&mut self) -> Zxid;

    /// Opens a connection with this first frame.
    fn open(&mut self, link: Link, at: Spot, hello: ConnectRequest);

    /// Writes these requests, all at once.
    fn send(&mut self, link: Link, asks: Vec<(i32, Ask)>);

    /// Breaks a connection from this side.
    fn cut(&mut self, link: Link);

    /// Something happens to a server of an ensemble.
    fn strike(&mut self, fault: Fault, at: Spot);

    /// Waits until nothing is under way, `link` first, but for what a cut holds, and gives what came, in order for each connection.
    fn settle(&mut self, link: Option<Link>) -> Vec<(Link, FromServer)>;

    /// Waits until the server has done a transaction after `zxid` by itself.
    fn wait_beyond(&mut self, zxid: Zxid);

    /// Waits until a sweep of containers and TTL nodes is over.
    fn sweep(&mut self);

    /// The trial is over, its connections are cut, and its sessions are closed: clears its place.
    fn end(&mut self, place: &Place);
}

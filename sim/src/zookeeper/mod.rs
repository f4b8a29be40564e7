//! A model of ZooKeeper: a server as a pure machine.
//!
//! [`Ensemble`] takes what clients send, and the time, and gives what a server of version 3.9 would answer, or one of
//! 3.8 ([`Profile`]): replies, watch events, closed connections. It has no clock, no sockets, no disk and no randomness, so that it can be driven
//! by a simulator, cloned by an exhaustive checker, or put behind real sockets. Same inputs, same outputs.
//!
//! What happens to a write, file by file: `clients` takes the frame to the leader, over `links` if that is another server;
//! `decide` and `prepare` find out against the newest state whether it may happen and what it comes to, as a
//! `transaction`; the `quorum` commits it to the `log`; `apply` and `replica` change the tree of each server, later, fire
//! its watches, and `answer` whoever asked. What a server may say by itself is in `service` and `read`. `faults` has what
//! an embedder breaks.
//!
//! Where real servers are free, in the order in which an expired session's ephemerals go and in which connections
//! hear of one change, the model takes the order of paths and of connection ids.

mod acl;
mod answer;
mod apply;
mod clients;
mod connections;
mod decide;
pub(crate) mod digest;
mod ensemble;
mod faults;
mod fingerprint;
mod invariants;
mod leader;
mod links;
mod log;
mod mutation;
mod outstanding;
mod path;
mod prepare;
mod quorum;
mod read;
mod replica;
mod server;
mod service;
mod sessions;
mod transaction;
mod tree;
mod watches;

use std::time::Duration;

use queenright_core::Zxid;
use queenright_core::wire::{ConnectResponse, ErrorCode, Response, WatchedEvent};

pub use ensemble::Ensemble;
pub use faults::NoMajority;
pub use mutation::Mutation;
pub use read::MULTI_READ_MAX;
pub use tree::{Owner, Tree, Znode};

/// What a server is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The unit of session timeouts: they are rounded up to a whole number of ticks, counted from the driver's origin.
    pub tick: Duration,
    /// The shortest session timeout that a client can have.
    pub min_session: Duration,
    /// The longest session timeout that a client can have.
    pub max_session: Duration,
    /// How often containers and TTL nodes without children are looked for.
    pub sweep: Duration,
    /// The identity that may do everything: `super:` and the digest of `super:<password>`, as in ZooKeeper's
    /// `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<String>,
    /// After so many ticks without a word of each other, followers and their leader give each other up.
    pub sync_limit: u32,
    /// Whom to be like where versions differ.
    pub profile: Profile,
}

/// A version of ZooKeeper. They differ little in what clients see:
///
/// | | 3.8 | 3.9 |
/// |---|---|---|
/// | `exists` asks for READ | no | yes |
/// | events carry the zxid of the change | no: −1 | yes |
/// | `create2` in a multi is answered with | the path | path and stat |
/// | no list, or undefined flags, in a multi | that part fails | the whole cannot be read |
/// | `check` alone | is silent when it holds | is not served |
/// | one-shot and persistent watch at one path | the later replaces the earlier | live side by side |
/// | `removeWatches` and `checkWatches` | take any mode for the type; the latter also those of others | are exact |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// 3.8.0, as Debian 12 has it.
    V3_8,
    /// 3.9.3.
    #[default]
    V3_9,
}

impl Default for ServerConfig {
    /// ZooKeeper's own: a tick of 2 s, sessions of 2 to 20 ticks, a sweep each minute, 5 ticks of patience.
    fn default() -> Self {
        let tick = Duration::from_secs(2);
        Self {
            tick,
            min_session: tick * 2,
            max_session: tick * 20,
            sweep: Duration::from_secs(60),
            super_digest: None,
            sync_limit: 5,
            profile: Profile::default(),
        }
    }
}

/// Names a server of an ensemble, as `myid` does: from 1 to the number of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u8);

impl ServerId {
    /// The first one; the only one where there is no ensemble.
    pub const FIRST: Self = Self(1);
}

/// What a server does in its ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It is alone.
    Standalone,
    /// It leads, or has not noticed yet that another one does.
    Leading,
    /// It follows a leader.
    Following,
    /// It looks for a leader, and serves nobody.
    Looking,
    /// It has crashed.
    Down,
}

/// Names a connection of a client. The driver chooses it, and uses it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a server sends over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// The answer to the connect request. A refused session is followed by [`FromServer::Close`].
    Connected(ConnectResponse),
    /// The answer to a request.
    Reply {
        /// The xid of the request.
        xid: i32,
        /// The last transaction before the answer, or that of the write itself, also of one that failed.
        zxid: Zxid,
        /// The answer. A multi that failed is `Ok`, with errors inside.
        result: Result<Response, ErrorCode>,
    },
    /// A watch fired.
    Event(WatchedEvent),
    /// The server closes the connection. Nothing follows.
    Close,
}

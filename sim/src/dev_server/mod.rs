//! A ZooKeeper server for development and tests: the [model](crate::zookeeper) on the real wire protocol, over TCP.

mod builder;
mod clock;
mod serve;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use queenright_core::SessionId;
use queenright_core::wire::OpCode;
use tokio::sync::{Notify, watch};

use self::state::{SERVER, Shared};
use crate::zookeeper::Tree;

pub use self::builder::{DevServerBuilder, StartError};

/// A ZooKeeper server in this process, for tests and for development.
///
/// Any client of ZooKeeper can use it, over TCP, as it would use a server of version 3.9 that stands alone. It starts in
/// a millisecond or so, and **keeps everything in memory only**: when it stops, all is gone. It is no place for data, and
/// one server is no ensemble.
///
/// It runs in a thread of its own. So it serves also while the runtime of a test is blocked, has its clock paused, or is
/// gone, and several tests can share one. It stops when it is dropped, and has stopped when `drop` returns.
///
/// ```
/// use queenright_sim::DevServer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = DevServer::start().await?;
/// // Any client will do. This is what one looks like to a shell: echo ruok | nc 127.0.0.1 PORT
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let mut client = tokio::net::TcpStream::connect(server.address()).await?;
/// client.write_all(b"ruok").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "imok");
/// # Ok(())
/// # }
/// ```
///
/// # What goes wrong in production
///
/// Sessions expire, connections break, servers hang, and replies are lost after the write was applied. Programs have
/// code for that, and here is how to reach it from a test:
///
/// ```no_run
/// use queenright_sim::{DevServer, OpCode};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = DevServer::start().await?;
/// // … connect a client to server.connect_string(), and let it create an ephemeral …
///
/// // Its session is over, and with it the ephemeral.
/// for session in server.sessions() {
///     server.expire_session(session);
/// }
///
/// // It has to reconnect; its session lives on.
/// server.drop_connections();
///
/// // The server hangs, for a while or until the client gives up.
/// server.pause();
/// server.resume();
///
/// // The next create is carried out, and its reply never comes: has it happened or not?
/// server.lose_next_reply(OpCode::Create);
///
/// // What is there in the end?
/// assert!(server.tree().get("/jobs/0000000000").is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DevServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    stopped: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl DevServer {
    /// Starts a server with ZooKeeper's usual settings, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port or no thread is to be had.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A server with other settings.
    pub fn builder() -> DevServerBuilder {
        DevServerBuilder::default()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as clients want it: `host:port`.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// The sessions that are not over, in the order in which they began.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.shared.look(|state| state.endpoint.ensemble().sessions().collect())
    }

    /// The znodes as they are now. A copy: it does not change any more.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.shared.look(|state| state.endpoint.ensemble().tree(SERVER).clone())
    }

    /// Ends a session at once, as if its client had been silent for too long: its ephemerals are gone, their watches
    /// have fired, and its connection is closed. Tells whether there was such a session.
    ///
    /// Works on a paused server, too; but what clients are to hear of it waits.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.shared.change(|now, state| {
            let is_live = state.endpoint.ensemble().sessions().any(|live| live == session);
            state.endpoint.change(now, |ensemble| ensemble.expire(now, session));
            is_live
        })
    }

    /// Breaks all connections. What was not sent yet is lost; sessions live on, so that clients can come back.
    ///
    /// Works on a paused server, too.
    pub fn drop_connections(&self) {
        self.shared.change(|now, state| state.endpoint.cut_all(now));
    }

    /// Lets the server hang: connections stay open, and new ones are accepted, but nothing is read, answered or
    /// noticed.
    pub fn pause(&self) {
        self.shared.pause();
    }

    /// Lets a paused server go on. The clock went on all the time: sessions whose timeout has passed meanwhile are
    /// over, whatever their clients had sent.
    pub fn resume(&self) {
        self.shared.resume();
    }

    /// Loses one reply: the next request of this type, whoever sends it, is carried out, and then its connection breaks
    /// instead of the reply. Several calls lose several.
    ///
    /// [`OpCode::Create`] stands for all four requests that create a znode: which one a client uses is its own
    /// business.
    pub fn lose_next_reply(&self, to: OpCode) {
        self.shared.change(|_, state| state.endpoint.lose_next_reply(to));
    }

    /// Waits until the server has stopped by itself: when it was idle for as long as
    /// [`exit_when_idle`](DevServerBuilder::exit_when_idle) says. Otherwise this never ends.
    ///
    /// # Cancellation
    /// Nothing is lost when it is dropped.
    pub async fn stopped(&mut self) {
        // An error says that the thread is gone, which is all that is asked.
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

//! The ZooKeeper port on the crate `zookeeper-client`.
//!
//! It translates and decides nothing about the protocol. What the crate does, and what an adapter must therefore do,
//! was measured on version 0.11.2; "item n" in comments is a row of this table:
//!
//! | item | what is done here |
//! |---|---|
//! | 1, 26 | one watcher for each path and kind; a recursive one survives reconnects, and `AddWatch` revives it |
//! | 2 | watched path bytes are bounded, and what would exceed the bound is refused |
//! | 3 | there is no `TCP_NODELAY`: requests leave in the order of submission, so the core submits claims first |
//! | 4 | a watching read on a path with a recursive watch is refused |
//! | 6 | a session task that died silently counts as a lost session |
//! | 7, 8, 10 | a submitted request is polled once, which enqueues it; then only the front of the queue is polled |
//! | 11 | a white list of definite answers; everything else is unknown |
//! | 13 | what does not fit into a frame is refused before it is sent |
//! | 14, 15 | states come from `changed()`; a blip that nobody saw is told as a blip |
//! | 16 | never read-only |
//! | 17, 19, 21, 22 | see `connect` |
//! | 18 | a terminal state ends a session; the next one is another `Client` and another epoch |
//! | 20 | closing drops all clones and waits for `Closed` |
//! | 23 | a reply that preceded an event is delivered before it |
//! | 27 | after a terminal state no watcher is polled |

mod acl;
mod connect;
mod diagnosis;
mod request;
mod session;
mod watches;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use queenright_core::op::OpError;
use queenright_core::{Input, Request, SessionEpoch, SessionEvent, SessionId};
use tracing::debug;

use self::connect::{Attempt, Backoff, Connector, States};
pub(crate) use self::diagnosis::diagnose;
use self::session::{Session, Verdict};
use crate::config::Config;
use crate::error::Error;
use crate::port::ZooKeeper;

/// ZooKeeper through the crate `zookeeper-client`: for production. It opens real sockets and has a reactor thread of
/// its own, so it cannot run on a simulated network or a paused clock.
pub struct ZooKeeperClient {
    connector: Arc<Connector>,
    session_epoch: SessionEpoch,
    state: State,
    backoff: Backoff,
    /// Found, and not yet delivered.
    inputs: VecDeque<Input>,
    last_failure: LastFailure,
}

/// Why the last attempt to get a session failed; empty while there is one. For error messages.
pub(crate) type LastFailure = Arc<ArcSwapOption<String>>;

enum State {
    Connecting(Attempt),
    Pausing(Pin<Box<tokio::time::Sleep>>),
    Open(Session),
    /// All clones of the client are dropped; the session task is saying good-bye.
    Closing(States),
    Closed,
}

impl ZooKeeperClient {
    /// A port that connects when it is first polled, within a tokio runtime.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let connector = Arc::new(Connector::new(config)?);
        let state = State::Connecting(connector.attempt());
        Ok(Self {
            connector,
            session_epoch: SessionEpoch(0),
            state,
            backoff: Backoff::default(),
            inputs: VecDeque::new(),
            last_failure: LastFailure::default(),
        })
    }

    pub(crate) fn last_failure(&self) -> LastFailure {
        Arc::clone(&self.last_failure)
    }

    /// A pause of this length follows, or none after a session that had been good for something.
    fn start_over(&mut self, was_stable: bool) {
        self.state = if was_stable {
            self.backoff.reset();
            State::Connecting(self.connector.attempt())
        } else {
            State::Pausing(self.backoff.pause())
        };
    }
}

impl ZooKeeper for ZooKeeperClient {
    fn submit(&mut self, request: Request) {
        match &mut self.state {
            State::Open(session) if session.epoch() == request.session_epoch => session.submit(request),
            State::Open(_) | State::Connecting(_) | State::Pausing(_) | State::Closing(_) | State::Closed => {
                self.inputs.push_back(Input::Response {
                    session_epoch: request.session_epoch,
                    request: request.id,
                    zxid: None,
                    outcome: Err(OpError::Unknown),
                })
            }
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        loop {
            if let Some(input) = self.inputs.pop_front() {
                return Poll::Ready(input);
            }
            match &mut self.state {
                State::Pausing(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    self.state = State::Connecting(self.connector.attempt());
                }
                State::Connecting(attempt) => match ready!(attempt.as_mut().poll(cx)) {
                    Ok(established) => {
                        self.last_failure.store(None);
                        self.session_epoch.0 += 1;
                        let session = SessionId(established.client.session_id().0);
                        let session_epoch = self.session_epoch;
                        self.inputs
                            .push_back(Input::Session(SessionEvent::Connected { session_epoch, session }));
                        let session = Session::new(session_epoch, established, &self.connector);
                        self.state = State::Open(session);
                    }
                    Err(failure) => {
                        debug!(%failure, "no session");
                        self.last_failure.store(Some(Arc::new(failure)));
                        self.start_over(false);
                    }
                },
                State::Open(session) => match ready!(session.poll(cx, &mut self.inputs)) {
                    Verdict::Alive => {}
                    Verdict::Over { reason } => {
                        let was_stable = session.is_stable();
                        debug!(session_epoch = %self.session_epoch, %reason, "the session is over");
                        self.last_failure.store(Some(Arc::new(reason)));
                        self.start_over(was_stable);
                    }
                },
                State::Closing(_) | State::Closed => return Poll::Pending,
            }
        }
    }

    /// What is in flight is carried out, and not answered any more.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match std::mem::replace(&mut self.state, State::Closed) {
                State::Closed | State::Connecting(_) | State::Pausing(_) => return Poll::Ready(()),
                State::Open(session) => {
                    // A session without a connection would only be closed after a reconnect: it is left to expire.
                    if let Some(states) = session.close() {
                        self.state = State::Closing(states);
                    }
                }
                State::Closing(mut states) => match states.poll_next_unpin(cx) {
                    Poll::Ready(Some(state)) if !state.is_terminated() => {
                        self.state = State::Closing(states);
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => {
                        self.state = State::Closing(states);
                        return Poll::Pending;
                    }
                },
            }
        }
    }
}

impl fmt::Debug for ZooKeeperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperClient").field("session_epoch", &self.session_epoch).finish_non_exhaustive()
    }
}

//! The ZooKeeper client of one node: small, and within the contract of the port. Nothing but this file knows that it is not the
//! native session machine.
//!
//! | state | due | accepted | refused | broken | silent for 2T/3 | 7T/5 without a word |
//! |---|---|---|---|---|---|---|
//! | Waiting | Connecting | – | – | – | – | no session: Lost |
//! | Connecting | Waiting | Up: Connected or Reconnected | Waiting, no session: Lost | Waiting | – | no session: Lost |
//! | Up | ping | – | – | Waiting: Suspended | Waiting: Suspended | – |

use std::collections::VecDeque;
use std::time::Duration;

use queenright_core::op::OpError;
use queenright_core::wire::{Acl, ConnectRequest, ConnectResponse, Request as Record, convert, xid};
use queenright_core::{Input, Instant, Request, SessionEpoch, SessionEvent, SessionId, Zxid};

use super::T;
use super::network::ToServer;
use crate::zookeeper::FromServer;

const RECONNECT: Duration = Duration::from_millis(100);

/// What the client wants done.
#[derive(Debug)]
pub(super) enum Action {
    /// A new connection, and this over it.
    Open(ConnectRequest),
    /// Over the present one.
    Send(ToServer),
    /// The present one is given up.
    Leave,
    /// To the machine.
    Tell(Input),
}

#[derive(Debug)]
pub(super) struct Client {
    state: State,
    session: Option<ConnectResponse>,
    epoch: SessionEpoch,
    xid: i32,
    in_flight: VecDeque<(i32, Request)>,
    last_zxid: Zxid,
    heard_at: Instant,
    sent_at: Instant,
    timeout: Duration,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Connecting { until: Instant },
    Up,
    Closed,
}

impl Client {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Waiting { until: now },
            session: None,
            epoch: SessionEpoch(0),
            xid: 0,
            in_flight: VecDeque::new(),
            last_zxid: Zxid(0),
            heard_at: now,
            sent_at: now,
            timeout: T,
            actions: VecDeque::new(),
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.session)
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = match self.state {
            State::Waiting { until } | State::Connecting { until } => until,
            State::Up => self.silent_at().min(self.ping_at()),
            State::Closed => return None,
        };
        Some(self.local_expiry().map_or(due, |expiry| due.min(expiry)))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.local_expiry().is_some_and(|at| at <= now) {
            self.lose_session();
            self.leave(now);
        }
        match self.state {
            State::Waiting { until } if until <= now => {
                let request = match &self.session {
                    Some(session) => ConnectRequest::reattach(session, self.last_zxid),
                    None => ConnectRequest::new_session(
                        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX),
                    ),
                };
                self.actions.push_back(Action::Open(request));
                self.state = State::Connecting { until: now.after(self.timeout / 3) };
            }
            State::Connecting { until } if until <= now => self.leave(now),
            State::Up if self.silent_at() <= now => {
                self.actions.push_back(Action::Leave);
                self.broken(now);
            }
            State::Up if self.ping_at() <= now => self.put(now, xid::PING, Record::Ping),
            State::Waiting { .. } | State::Connecting { .. } | State::Up | State::Closed => {}
        }
    }

    /// Sends a request, or answers that nobody can tell. Gives the number under which it went out.
    pub(super) fn submit(&mut self, now: Instant, request: Request, acl: &[Acl]) -> Option<i32> {
        if self.state != State::Up || request.session_epoch != self.epoch {
            self.answer_unknown(&request);
            return None;
        }
        self.xid += 1;
        let record = convert::request(&request.op, acl);
        self.in_flight.push_back((self.xid, request));
        self.put(now, self.xid, record);
        Some(self.xid)
    }

    pub(super) fn receive(&mut self, now: Instant, message: FromServer) {
        if message != FromServer::Close {
            self.heard_at = now;
        }
        match (self.state, message) {
            (State::Connecting { .. }, FromServer::Connected(response)) => self.accepted(now, response),
            (State::Up, FromServer::Reply { xid: xid::PING, zxid, .. }) => {
                self.last_zxid = self.last_zxid.max(zxid)
            }
            (State::Up, FromServer::Reply { xid, zxid, result }) => {
                self.last_zxid = self.last_zxid.max(zxid);
                let Some((awaited, request)) = self.in_flight.pop_front() else { return };
                assert_eq!(awaited, xid, "the model answers in order");
                let outcome = convert::outcome(&request.op, result);
                self.tell(Input::Response {
                    session_epoch: request.session_epoch,
                    request: request.id,
                    zxid: Some(zxid),
                    outcome,
                });
            }
            (State::Up, FromServer::Event(event)) => {
                if let Some(event) = convert::watch_event(event) {
                    self.tell(Input::Watch { session_epoch: self.epoch, event });
                }
            }
            (State::Up | State::Connecting { .. }, FromServer::Close) => self.broken(now),
            (State::Waiting { .. } | State::Closed, _)
            | (State::Connecting { .. }, FromServer::Reply { .. } | FromServer::Event(_))
            | (State::Up, FromServer::Connected(_)) => {}
        }
    }

    /// The connection is gone.
    pub(super) fn broken(&mut self, now: Instant) {
        let was_up = self.state == State::Up;
        if self.state != State::Closed {
            self.state = State::Waiting { until: now.after(RECONNECT) };
        }
        if was_up {
            self.tell(Input::Session(SessionEvent::Suspended));
            self.give_up_in_flight();
        }
    }

    /// Ends the session and says no more.
    pub(super) fn close(&mut self, now: Instant) {
        if self.state == State::Up {
            self.xid += 1;
            self.put(now, self.xid, Record::CloseSession);
        }
        self.state = State::Closed;
    }

    fn accepted(&mut self, now: Instant, response: ConnectResponse) {
        if response.is_refusal() {
            self.lose_session();
            self.state = State::Waiting { until: now.after(RECONNECT) };
            return;
        }
        self.state = State::Up;
        let event = if self.session.is_some() {
            SessionEvent::Reconnected
        } else {
            self.epoch.0 += 1;
            // A new client object knows nothing of the old one's reads.
            self.last_zxid = Zxid(0);
            SessionEvent::Connected { session_epoch: self.epoch, session: response.session }
        };
        self.session = Some(response);
        self.tell(Input::Session(event));
    }

    fn leave(&mut self, now: Instant) {
        self.actions.push_back(Action::Leave);
        self.state = State::Waiting { until: now.after(RECONNECT) };
    }

    fn lose_session(&mut self) {
        if self.session.take().is_some() {
            self.give_up_in_flight();
            self.tell(Input::Session(SessionEvent::Lost));
        }
    }

    fn give_up_in_flight(&mut self) {
        for (_, request) in std::mem::take(&mut self.in_flight) {
            self.answer_unknown(&request);
        }
    }

    fn answer_unknown(&mut self, request: &Request) {
        self.tell(Input::Response {
            session_epoch: request.session_epoch,
            request: request.id,
            zxid: None,
            outcome: Err(OpError::Unknown),
        });
    }

    fn put(&mut self, now: Instant, xid: i32, request: Record) {
        self.actions.push_back(Action::Send(ToServer::Request { xid, request }));
        self.sent_at = now;
    }

    fn tell(&mut self, input: Input) {
        self.actions.push_back(Action::Tell(input));
    }

    fn silent_at(&self) -> Instant {
        self.heard_at.after(self.timeout * 2 / 3)
    }

    fn ping_at(&self) -> Instant {
        self.sent_at.after(self.timeout / 3)
    }

    /// Later than the server's, as zookeeper-client 0.11 does it.
    fn local_expiry(&self) -> Option<Instant> {
        self.session.as_ref()?;
        match self.state {
            State::Up | State::Closed => None,
            State::Waiting { .. } | State::Connecting { .. } => {
                Some(self.heard_at.after(self.timeout * 7 / 5))
            }
        }
    }
}

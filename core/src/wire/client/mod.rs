//! The client's side of a session with ZooKeeper, as a pure machine on records.
//!
//! [`Client`] turns the core's requests into records and records into the core's inputs, and keeps a session alive
//! over connections that come and go. It has no sockets, no clock and no randomness. [`Bytes`] is one connection
//! of it in bytes.
//!
//! ```text
//! state       event                                    next
//! Waiting     pause over                               Connecting: Connect
//!             the same, long without a connection      Lost; Connecting: Connect, for a new session
//! Connecting  accepted, new session                    Preparing: credentials, is the chroot there?
//!             accepted, the session it knows           Up: credentials, perhaps watches; Reconnected
//!             refused                                  Lost; Waiting, without a pause
//!             another session                          Lost; Preparing
//!             took too long                            Waiting
//! Preparing   credentials accepted, chroot there       Up: Connected
//!             credentials or chroot refused            Waiting
//! Up          request                                  Up: Send
//!             reply, event                             Up: Input, in the order of the wire
//!             nothing sent or heard for a while        Up: ping
//!             reply out of order, misfit, nonsense     as below
//!             pinged and silent for too long, broke    Waiting: Suspended, and what was in flight is Unknown
//!             close                                    Closing: closeSession
//! Closing     its answer, its deadline, broke          Closed
//! any         abandon                                  Lost; Waiting
//! any other   close                                    Closed
//! not Up      request                                  Unknown at once; nothing is kept, nothing is sent twice
//! ```

mod bytes;
mod chroot;
mod config;
mod link;
mod output;
mod prepare;
mod retry;
mod watches;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use core::time::Duration;

pub use bytes::Bytes;
pub use config::{Config, Credentials};
pub use output::{Break, Output};
pub use watches::{Matching, Watches};

use crate::ids::{SessionEpoch, SessionId, Zxid};
use crate::input::{Input, SessionEvent};
use crate::mutation::Mutation;
use crate::op::{self, Op, OpError, Outcome};
use crate::output::Request;
use crate::time::Instant;
use crate::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, Request as Record, Response, WatchedEvent, convert,
    xid,
};
use chroot::Chroot;
use link::{Awaited, Link};
use retry::Retry;

/// So many session timeouts after its last connection a session is given up: no leader keeps it for so long, unless there
/// was none all the time.
const OVERDUE_TIMEOUTS: u32 = 2;

/// A client of ZooKeeper.
///
/// The embedder hands in what happened, with the time, and after each call drains [`poll_output`](Self::poll_output)
/// to `None` and carries out what it gives, in order; it calls [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout). It hands in records of the connection of the last [`Output::Connect`] only,
/// and none after [`Output::Disconnect`]. Time never goes back.
///
/// What the core gets, as [`Output::Input`]:
/// - Each request is answered exactly once, within a session in the order of submission. While there is no connection
///   it is answered at once as [`OpError::Unknown`]: nothing is kept, and nothing is ever sent a second time.
/// - Replies and events come in the order of the wire. After [`SessionEvent::Reconnected`] there is none from before.
/// - [`SessionEvent::Connected`] comes once the credentials were accepted and the chroot is there.
/// - Replies carry their zxid.
///
/// Nothing that a server says makes it panic: what makes no sense costs that server the connection.
#[derive(Debug)]
pub struct Client {
    config: Config,
    chroot: Chroot,
    acl_len: usize,
    state: State,
    /// The session that the core knows of.
    session: Option<ConnectResponse>,
    /// When the last connection of that session was left, if it has none.
    left_at: Instant,
    session_epoch: SessionEpoch,
    xid: i32,
    /// In the order of their answers. As long as the embedder submits: it bounds what is in flight.
    in_flight: VecDeque<Awaited>,
    watches: Watches,
    /// The highest zxid that the session's replies told.
    last_zxid: Zxid,
    /// Up to here all events of the armed watches were told. Behind `last_zxid` while watches are armed again.
    told_zxid: Zxid,
    retry: Retry,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// Until the next attempt.
    Waiting { until: Instant },
    /// To this server; given up then.
    Connecting { until: Instant },
    /// There is a session that the core does not know of.
    Preparing { link: Link, session: ConnectResponse },
    /// There is a session, and it can be used.
    Up(Link),
    /// The server was told to end it.
    Closing { link: Link, until: Instant },
    /// For ever.
    Closed,
}

impl Client {
    /// A client that begins to connect at once, with the first [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            chroot: Chroot::new(config.chroot.clone()),
            acl_len: config.acl.iter().map(|acl| 12 + acl.id.scheme.len() + acl.id.id.len()).sum::<usize>()
                + 4,
            config,
            state: State::Waiting { until: now },
            session: None,
            left_at: now,
            session_epoch: SessionEpoch(0),
            xid: 0,
            in_flight: VecDeque::new(),
            watches: Watches::default(),
            last_zxid: Zxid(0),
            told_zxid: Zxid(0),
            retry: Retry::default(),
            outputs: VecDeque::new(),
        }
    }

    /// The session that the core knows of, and that may still live.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.session)
    }

    /// How many sessions there were.
    #[must_use]
    pub const fn session_epoch(&self) -> SessionEpoch {
        self.session_epoch
    }

    /// Whether requests are sent.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The watches of the connection, or of the session if they are armed again, as far as the client can know them.
    #[must_use]
    pub const fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The type of the request that a reply numbered `xid` answers, when it is this reply's turn: what a decoder needs
    /// to know. `None` when nothing of that number is awaited now.
    #[must_use]
    pub fn awaited(&self, xid: i32) -> Option<OpCode> {
        let link = self.link()?;
        match xid {
            xid::PING => (link.pings > 0).then_some(OpCode::Ping),
            xid::AUTH => (link.auths > 0).then_some(OpCode::Auth),
            xid::SET_WATCHES => (link.set_watches > 0).then_some(OpCode::SetWatches2),
            xid => {
                let (awaited, opcode) = self.in_flight.front()?.sent()?;
                (awaited == xid).then_some(opcode)
            }
        }
    }

    /// Sends a request of the core, or answers it at once.
    pub fn submit(&mut self, now: Instant, request: Request) {
        let is_current = request.session_epoch == self.session_epoch
            || self.config.is_mutated(Mutation::SentIntoNextSession);
        let State::Up(_) = &self.state else { return self.answer(&request, None, Err(OpError::Unknown)) };
        if !is_current {
            return self.answer(&request, None, Err(OpError::Unknown));
        }
        match self.refusal(&request.op) {
            Some(code) if self.in_flight.is_empty() => {
                self.answer(&request, None, Err(OpError::Refused(code)));
            }
            Some(code) => self.in_flight.push_back(Awaited::Refused { request, code }),
            None => {
                let mut record = convert::request(&request.op, &self.config.acl);
                self.chroot.prefix_all(&mut record);
                let xid = self.next_xid();
                let opcode = convert::opcode(&request.op);
                self.in_flight.push_back(Awaited::Request { xid, opcode, request });
                self.send(now, xid, record);
            }
        }
    }

    /// The server answered the first record.
    pub fn handle_connected(&mut self, now: Instant, response: ConnectResponse) {
        let State::Connecting { .. } = self.state else { return self.fall(now, Break::OutOfTurn) };
        if response.is_refusal() || response.session == SessionId(0) {
            let reason = if self.session.is_some() { Break::Expired } else { Break::NoSession };
            self.fall(now, reason);
            if !self.config.is_mutated(Mutation::RefusalIsNoLoss) {
                self.lose_session();
            }
            return;
        }
        if response.read_only == Some(true) {
            return self.fall(now, Break::ReadOnly);
        }
        let timeout = Duration::from_millis(u64::try_from(response.timeout_ms).unwrap_or(0));
        let link = Link::new(now, self.config.silence_max, timeout);
        match &mut self.session {
            Some(session) if session.session == response.session => {
                *session = response;
                self.state = State::Up(link);
                self.tell(SessionEvent::Reconnected);
                self.authenticate(now);
                self.rearm(now);
            }
            Some(_) | None => {
                self.lose_session();
                self.state = State::Preparing { link, session: response };
                self.prepare(now);
            }
        }
    }

    /// The server answered a request.
    pub fn handle_reply(&mut self, now: Instant, xid: i32, zxid: Zxid, result: Result<Response, ErrorCode>) {
        let Some(link) = self.heard(now) else { return self.fall(now, Break::OutOfTurn) };
        let outstanding = match xid {
            xid::PING => &mut link.pings,
            xid::AUTH => &mut link.auths,
            xid::SET_WATCHES => &mut link.set_watches,
            xid => return self.handle_ordered_reply(now, xid, zxid, result),
        };
        if *outstanding == 0 {
            return self.fall(now, Break::WrongXid { awaited: None, received: xid });
        }
        *outstanding -= 1;
        match (xid, result) {
            (xid::AUTH, Err(code)) => return self.fall(now, Break::AuthRefused(code)),
            (xid::SET_WATCHES, Err(code)) => return self.fall(now, Break::WatchesRefused(code)),
            (_, Ok(_) | Err(_)) => {}
        }
        self.saw(zxid);
        self.establish_when_prepared();
    }

    /// A watch fired.
    pub fn handle_event(&mut self, now: Instant, event: WatchedEvent) {
        if self.heard(now).is_none() || matches!(self.state, State::Preparing { .. }) {
            return self.fall(now, Break::OutOfTurn);
        }
        // Below a recursive watch there may be names that are none of ours.
        let Some(event) = self.chroot.strip_event(event).and_then(convert::watch_event) else { return };
        self.watches.fired(event.change, &event.path);
        let session_epoch = self.session_epoch;
        self.outputs.push_back(Output::Input(Input::Watch { session_epoch, event }));
    }

    /// The connection broke or could not be dialled, or what came cannot be read. Does nothing when there is none.
    pub fn handle_break(&mut self, now: Instant, reason: Break) {
        self.fall(now, reason);
    }

    /// A deadline may have passed. Early or repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Waiting { until } if *until <= now => self.connect(now),
            State::Connecting { until } if *until <= now => self.fall(now, Break::ConnectTimeout),
            State::Closing { until, .. } if *until <= now => self.fall(now, Break::Closed),
            State::Preparing { link, .. } | State::Up(link) | State::Closing { link, .. } => {
                if link.silent_at().is_some_and(|at| at <= now) {
                    self.fall(now, Break::Silent);
                } else if link.ping_at() <= now {
                    self.ping(now);
                }
            }
            State::Waiting { .. } | State::Connecting { .. } | State::Closed => {}
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } | State::Connecting { until } => Some(*until),
            State::Preparing { link, .. } | State::Up(link) => Some(link.due_at()),
            State::Closing { link, until } => Some(link.due_at().min(*until)),
            State::Closed => None,
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Gives the session up although the server may still keep it. Another one follows.
    pub fn abandon(&mut self, now: Instant) {
        if self.session.is_some() && !matches!(self.state, State::Closing { .. } | State::Closed) {
            self.fall(now, Break::Abandoned);
            self.lose_session();
        }
    }

    /// Ends the session, after what was submitted before. [`Output::Closed`] follows: when the server has answered,
    /// or cannot be reached, or after the close timeout. Without a connection the session is left to expire.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Up(link) => {
                let xid = self.next_xid();
                self.in_flight.push_back(Awaited::Close { xid });
                self.send(now, xid, Record::CloseSession);
                self.state = State::Closing { link, until: now.after(self.config.close_timeout) };
            }
            State::Connecting { .. } | State::Preparing { .. } => {
                self.in_flight.clear();
                self.outputs.push_back(Output::Disconnect { reason: Break::Closed });
                self.end();
            }
            State::Waiting { .. } => self.end(),
            State::Closing { .. } | State::Closed => {}
        }
    }

    /// # Panics
    /// When something that must always hold does not.
    pub fn check_invariants(&self) {
        self.watches.check_invariants();
        assert!(self.retry.server < self.config.server_count.max(1), "no such server");
        assert!(self.told_zxid <= self.last_zxid, "events were told before they were heard of");
        match &self.state {
            State::Waiting { .. } | State::Connecting { .. } => {
                assert!(self.in_flight.is_empty(), "in flight without a connection");
            }
            State::Preparing { .. } => {
                assert!(self.session.is_none(), "a second session");
                assert!(self.watches.is_empty(), "watches without a session");
            }
            State::Up(_) => {
                assert!(self.session.is_some(), "up without a session");
                let first = self.in_flight.front();
                assert!(!matches!(first, Some(Awaited::Refused { .. })), "a refusal waits for nothing");
            }
            State::Closing { .. } => {
                let is_close = |awaited: &Awaited| matches!(awaited, Awaited::Close { .. });
                assert!(self.in_flight.back().is_some_and(is_close), "closing without a word");
            }
            State::Closed => assert!(self.in_flight.is_empty() && self.session.is_none(), "closed by half"),
        }
    }

    fn handle_ordered_reply(
        &mut self,
        now: Instant,
        received: i32,
        zxid: Zxid,
        result: Result<Response, ErrorCode>,
    ) {
        let awaited = self.in_flight.front().and_then(Awaited::sent).map(|(xid, _)| xid);
        if awaited != Some(received) {
            return self.fall(now, Break::WrongXid { awaited, received });
        }
        self.saw(zxid);
        match self.in_flight.pop_front() {
            Some(Awaited::Request { request, .. }) => {
                let result = result.map(|response| self.chroot.strip_answer(response));
                let is_answer = result.is_ok();
                let outcome = convert::outcome(&request.op, result);
                self.watches.answered(&request.op, &outcome);
                // A transaction may have failed for a reason that leaves it open; nothing else that succeeded can.
                let is_misfit = is_answer && outcome == Err(OpError::Unknown);
                let is_misfit = is_misfit && !matches!(request.op, Op::Multi(_));
                self.answer(&request, (zxid.0 > 0).then_some(zxid), outcome);
                self.answer_refused();
                if is_misfit {
                    self.fall(now, Break::Misfit { xid: received });
                }
            }
            Some(Awaited::Chroot { step, .. }) => self.handle_chroot(now, step, result.err()),
            Some(Awaited::Close { .. }) => self.fall(now, Break::Closed),
            Some(Awaited::Refused { .. }) | None => {}
        }
    }

    fn connect(&mut self, now: Instant) {
        if self.is_overdue(now) {
            self.lose_session();
        }
        let timeout_ms = i32::try_from(self.config.session_timeout.as_millis()).unwrap_or(i32::MAX);
        let request = match &self.session {
            None => ConnectRequest::new_session(timeout_ms),
            // Not what was granted the last time: another server may be more generous again.
            Some(session) => {
                ConnectRequest { timeout_ms, ..ConnectRequest::reattach(session, self.last_zxid) }
            }
        };
        self.state = State::Connecting { until: now.after(self.config.connect_timeout) };
        self.outputs.push_back(Output::Connect { server: self.retry.server, request });
    }

    /// Whether the session must be over, although no server has said so. One whose data is gone or older than what was
    /// seen here closes the connection without a word, for ever: who waited for its word would wait as long.
    fn is_overdue(&self, now: Instant) -> bool {
        self.session.as_ref().is_some_and(|session| {
            let timeout = Duration::from_millis(u64::try_from(session.timeout_ms).unwrap_or(0));
            now.since(self.left_at) >= timeout * OVERDUE_TIMEOUTS
        })
    }

    fn rearm(&mut self, now: Instant) {
        for batch in self.watches.rearm(self.told_zxid, &self.chroot) {
            if let Some(link) = self.link_mut() {
                link.set_watches += 1;
            }
            self.send(now, xid::SET_WATCHES, batch);
        }
    }

    fn ping(&mut self, now: Instant) {
        if let Some(link) = self.link_mut() {
            link.pinged(now);
        }
        if !self.config.is_mutated(Mutation::NoPing) {
            self.send(now, xid::PING, Record::Ping);
        }
    }

    fn send(&mut self, now: Instant, xid: i32, request: Record) {
        if let Some(link) = self.link_mut() {
            link.sent(now);
        }
        self.outputs.push_back(Output::Send { xid, request });
    }

    /// Why `op` must not be sent.
    fn refusal(&self, op: &Op) -> Option<op::ErrorCode> {
        if convert::frame_len(op, self.chroot.len(), self.acl_len) > self.config.request_len_max {
            return Some(op::ErrorCode::TooLarge);
        }
        // A server that keeps one mode for each path would forget the recursive one (3.8, ZOOKEEPER-4466).
        let silences = match op {
            Op::GetData { path, watch } | Op::Exists { path, watch } => {
                *watch && self.watches.is_recursive(path)
            }
            Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::GetChildren { .. }
            | Op::AddWatch { .. }
            | Op::RemoveWatch { .. }
            | Op::Multi(_)
            | Op::Sync { .. } => false,
        };
        silences.then_some(op::ErrorCode::BadArguments)
    }

    /// The current connection is left, if there is one.
    fn fall(&mut self, now: Instant, reason: Break) {
        match self.state {
            State::Waiting { .. } | State::Closed => return,
            State::Connecting { .. } => {}
            // Its requests were for the chroot, and its session is unknown to the core: the server will forget it.
            State::Preparing { .. } => self.in_flight.clear(),
            State::Up(link) | State::Closing { link, .. } => {
                if now.since(link.up_at) >= self.config.retry_max {
                    self.retry.failures = 0;
                }
            }
        }
        self.outputs.push_back(Output::Disconnect { reason });
        // A server that says that a session is over is well, and gives another one: it is asked at once. Not twice, for
        // then there is no session left that could be over.
        let is_well = reason == Break::Expired && !self.config.is_mutated(Mutation::RefusalIsNoLoss);
        let until = if is_well { now } else { self.retry.pause(now, &self.config) };
        let state = core::mem::replace(&mut self.state, State::Waiting { until });
        match state {
            State::Up(_) => {
                self.left_at = now;
                if !self.config.rearms {
                    self.watches.clear();
                }
                self.tell(SessionEvent::Suspended);
                self.answer_all_unknown();
            }
            State::Closing { .. } => {
                self.answer_all_unknown();
                self.end();
            }
            State::Waiting { .. } | State::Connecting { .. } | State::Preparing { .. } | State::Closed => {}
        }
    }

    fn lose_session(&mut self) {
        self.watches.clear();
        // A new session may be with a server that is behind: the core expects it.
        (self.last_zxid, self.told_zxid) = (Zxid(0), Zxid(0));
        if self.session.take().is_some() {
            self.tell(SessionEvent::Lost);
        }
    }

    fn end(&mut self) {
        self.session = None;
        self.state = State::Closed;
        self.outputs.push_back(Output::Closed);
    }

    fn answer_all_unknown(&mut self) {
        for awaited in core::mem::take(&mut self.in_flight) {
            match awaited {
                _ if self.config.is_mutated(Mutation::BreakAnswersNothing) => {}
                Awaited::Request { request, .. } => self.answer(&request, None, Err(OpError::Unknown)),
                Awaited::Refused { request, code } => {
                    self.answer(&request, None, Err(OpError::Refused(code)))
                }
                Awaited::Chroot { .. } | Awaited::Close { .. } => {}
            }
        }
    }

    /// The refusals whose turn it is.
    fn answer_refused(&mut self) {
        while let Some(Awaited::Refused { .. }) = self.in_flight.front() {
            if let Some(Awaited::Refused { request, code }) = self.in_flight.pop_front() {
                self.answer(&request, None, Err(OpError::Refused(code)));
            }
        }
    }

    fn answer(&mut self, request: &Request, zxid: Option<Zxid>, outcome: Outcome) {
        let input =
            Input::Response { session_epoch: request.session_epoch, request: request.id, zxid, outcome };
        self.outputs.push_back(Output::Input(input));
    }

    fn tell(&mut self, event: SessionEvent) {
        self.outputs.push_back(Output::Input(Input::Session(event)));
    }

    /// A reply told how far its server was. Events do not count: others of the same transaction may follow.
    fn saw(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
        // A later batch has not told yet what its watches missed.
        if self.link().is_some_and(|link| link.set_watches == 0) {
            self.told_zxid = self.last_zxid;
        }
    }

    fn heard(&mut self, now: Instant) -> Option<&mut Link> {
        let link = self.link_mut()?;
        link.heard(now);
        Some(link)
    }

    const fn link(&self) -> Option<&Link> {
        match &self.state {
            State::Preparing { link, .. } | State::Up(link) | State::Closing { link, .. } => Some(link),
            State::Waiting { .. } | State::Connecting { .. } | State::Closed => None,
        }
    }

    const fn link_mut(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Preparing { link, .. } | State::Up(link) | State::Closing { link, .. } => Some(link),
            State::Waiting { .. } | State::Connecting { .. } | State::Closed => None,
        }
    }

    const fn next_xid(&mut self) -> i32 {
        self.xid = if self.xid == i32::MAX { 1 } else { self.xid + 1 };
        self.xid
    }
}

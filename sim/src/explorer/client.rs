//! A ZooKeeper client that keeps the contract of io's `ZooKeeper` port, and uses all the freedom that it leaves.
//!
//! ```text
//! state        event                        next
//! Waiting      back-off over                Connecting
//! Connecting   accepted                     Up: Connected or Reconnected, and kept requests leave
//!              refused                      Waiting, without a session: Lost
//!              took too long, broke         Waiting
//! Up           broke, silent for too long   Waiting: Suspended, and what was in flight is Unknown
//! not Up       1.4 session timeouts without
//!              a word from the server       Waiting, without a session: Lost
//! any          close, death of the process  Closed
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use queenright_core::op::OpError;
use queenright_core::wire::{
    Acl, ConnectRequest, ConnectResponse, ErrorCode, Request as Record, Response, WatchedEvent, convert,
};
use queenright_core::{Input, Instant, Request, SessionEpoch, SessionEvent, SessionId, Zxid};

use super::alarm::Alarm;
use super::armed::{Armed, Streams};
use super::lanes::{Lane, Lanes};
use super::mix::{mix, nanos, scale};
use super::network::{Leaving, Network, ToServer};
use super::plan::{ClientPlan, Gaps, Offline, Zxids};
use super::queue::{Due, Queue};
use super::sometimes::{Reached, Sometimes};
use crate::zookeeper::{ConnectionId, FromServer};

const PING_XID: i32 = -2;
const SET_WATCHES_XID: i32 = -8;
/// The first pause between two attempts to connect; doubled up to the plan's greatest.
const RECONNECT_MIN: Duration = Duration::from_millis(1);

/// What a client needs of the world.
pub(super) struct Env<'a> {
    pub(super) now: Instant,
    pub(super) queue: &'a mut Queue,
    pub(super) network: &'a mut Network,
    pub(super) sometimes: &'a mut Sometimes,
    pub(super) acl: &'a [Acl],
    /// When the faults end.
    pub(super) heal_at: Instant,
}

impl Env<'_> {
    /// Nothing lags between client and core once the faults are over.
    fn lag_max(&self, lag_max: Duration) -> Duration {
        if self.now < self.heal_at { lag_max } else { Duration::ZERO }
    }
}

/// The client of one life of one node.
#[derive(Debug)]
pub(super) struct Client {
    node: u8,
    life: u32,
    key: u64,
    plan: ClientPlan,
    asked_timeout: Duration,
    state: State,
    session: Option<Session>,
    epoch: SessionEpoch,
    xid: i32,
    /// Sent on the current connection, in the order of their answers.
    in_flight: VecDeque<(i32, Request)>,
    /// Submitted while the connection is down.
    kept: VecDeque<Request>,
    armed: Armed,
    last_zxid: Zxid,
    heard_at: Instant,
    sent_at: Instant,
    failed_attempts: u32,
    lanes: Lanes,
    alarm: Alarm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Connecting { connection: ConnectionId, until: Instant },
    Up { connection: ConnectionId },
    Closed,
}

#[derive(Clone, Debug)]
struct Session {
    established: ConnectResponse,
    gap: Gap,
}

/// What the core knows of a connection that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// It is up.
    None,
    /// That it is down.
    Reported,
    /// Nothing, until it is back.
    Hidden,
}

impl Client {
    /// A client that begins to connect now.
    pub(super) fn new(
        env: &mut Env<'_>,
        seed: u64,
        node: u8,
        life: u32,
        plan: ClientPlan,
        timeout: Duration,
    ) -> Self {
        let key = mix(seed, 2 << 48 | u64::from(node) << 32 | u64::from(life));
        let mut client = Self {
            node,
            life,
            key,
            plan,
            asked_timeout: timeout,
            state: State::Waiting { until: env.now },
            session: None,
            epoch: SessionEpoch(0),
            xid: 0,
            in_flight: VecDeque::new(),
            kept: VecDeque::new(),
            armed: Armed::default(),
            last_zxid: Zxid(0),
            heard_at: env.now,
            sent_at: env.now,
            failed_attempts: 0,
            lanes: Lanes::new(node, life, mix(key, 1)),
            alarm: Alarm::default(),
        };
        client.set_alarm(env);
        client
    }

    /// The session that the client believes to have.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.established.session)
    }

    /// How many sessions it has established.
    pub(super) const fn epoch(&self) -> SessionEpoch {
        self.epoch
    }

    /// The connection that it uses or tries.
    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::Connecting { connection, .. } | State::Up { connection } => Some(connection),
            State::Waiting { .. } | State::Closed => None,
        }
    }

    /// Sends a request, keeps it, or answers it.
    pub(super) fn submit(&mut self, env: &mut Env<'_>, request: Request) {
        if self.session.is_none() || request.session_epoch != self.epoch {
            return self.answer_unknown(env, &request);
        }
        match (self.state, self.plan.offline) {
            (State::Up { connection }, _) => self.send(env, connection, request),
            (State::Waiting { .. } | State::Connecting { .. }, Offline::Kept) => self.kept.push_back(request),
            (State::Waiting { .. } | State::Connecting { .. }, Offline::Unknown) | (State::Closed, _) => {
                self.answer_unknown(env, &request);
            }
        }
        self.set_alarm(env);
    }

    /// A message came over the current connection.
    ///
    /// # Panics
    /// When the server breaks the protocol.
    pub(super) fn receive(&mut self, env: &mut Env<'_>, message: FromServer) {
        self.heard_at = env.now;
        match (self.state, message) {
            (State::Connecting { connection, .. }, FromServer::Connected(response)) => {
                self.accepted(env, connection, response);
            }
            (State::Up { .. }, FromServer::Reply { xid: PING_XID | SET_WATCHES_XID, zxid, .. }) => {
                self.saw(zxid)
            }
            (State::Up { .. }, FromServer::Reply { xid, zxid, result }) => {
                self.replied(env, xid, zxid, result)
            }
            (State::Up { .. }, FromServer::Event(event)) => self.fired(env, event),
            (State::Up { .. } | State::Connecting { .. }, FromServer::Close) => {
                self.break_connection(env, Leaving::ORDERLY);
            }
            (State::Waiting { .. } | State::Closed, _) => {}
            (State::Connecting { .. }, message @ (FromServer::Reply { .. } | FromServer::Event(_)))
            | (State::Up { .. }, message @ FromServer::Connected(_)) => {
                panic!("the model server sent {message:?} to a client that is {:?}", self.state)
            }
        }
        self.set_alarm(env);
    }

    /// A deadline may have passed.
    pub(super) fn wake(&mut self, env: &mut Env<'_>) {
        if !self.alarm.ring(env.now) {
            return;
        }
        if self.local_expiry().is_some_and(|at| at <= env.now) {
            env.sometimes.reach(Reached::SessionExpiredLocally);
            self.leave(env, Leaving::ORDERLY);
            self.lose_session(env);
        }
        match self.state {
            State::Waiting { until } if until <= env.now => self.connect(env),
            State::Connecting { until, .. } if until <= env.now => {
                self.break_connection(env, Leaving::ORDERLY)
            }
            State::Up { .. } if self.silent_at() <= env.now => {
                env.sometimes.reach(Reached::ConnectionSilent);
                self.break_connection(env, Leaving::ORDERLY);
            }
            State::Up { connection } if self.ping_at() <= env.now => {
                self.put(env, connection, PING_XID, Record::Ping);
            }
            State::Waiting { .. } | State::Connecting { .. } | State::Up { .. } | State::Closed => {}
        }
        self.set_alarm(env);
    }

    /// The connection is gone; another attempt follows.
    pub(super) fn break_connection(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        let was_up = matches!(self.state, State::Up { .. });
        self.leave(env, leaving);
        if was_up {
            let is_hidden =
                self.plan.gaps == Gaps::SomeNoticedLate && mix(self.key, env.now.as_nanos()) & 1 == 0;
            let gap = if is_hidden { Gap::Hidden } else { Gap::Reported };
            if gap == Gap::Reported {
                self.tell(env, SessionEvent::Suspended);
            }
            if let Some(session) = &mut self.session {
                session.gap = gap;
            }
            self.give_up_in_flight(env);
        }
        self.set_alarm(env);
    }

    /// The session is given up although the server may still keep it.
    pub(super) fn abandon_session(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        if self.session.is_some() {
            self.leave(env, leaving);
            self.lose_session(env);
            self.set_alarm(env);
        }
    }

    /// Ends the session, after what was submitted before. Nothing is delivered any more.
    pub(super) fn close(&mut self, env: &mut Env<'_>) {
        if let State::Up { connection } = self.state {
            self.xid += 1;
            self.put(env, connection, self.xid, Record::CloseSession);
        }
        self.die(env, Leaving::ORDERLY);
    }

    /// The process is gone.
    pub(super) fn die(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        self.leave(env, leaving);
        self.state = State::Closed;
        self.session = None;
        self.lanes.clear();
    }

    /// The next input of a lane that is due.
    pub(super) fn deliver(&mut self, now: Instant, lane: u8) -> Option<Input> {
        self.lanes.pop(now, lane)
    }

    fn connect(&mut self, env: &mut Env<'_>) {
        let connection = env.network.open(self.node);
        let request = match &self.session {
            Some(session) => ConnectRequest::reattach(&session.established, self.last_zxid),
            None => {
                ConnectRequest::new_session(i32::try_from(self.asked_timeout.as_millis()).unwrap_or(i32::MAX))
            }
        };
        env.network.send(env.now, env.queue, connection, ToServer::Connect(request));
        self.state = State::Connecting { connection, until: env.now.after(self.plan.connection_timeout) };
        self.sent_at = env.now;
    }

    fn accepted(&mut self, env: &mut Env<'_>, connection: ConnectionId, response: ConnectResponse) {
        if response.is_refusal() {
            env.sometimes.reach(Reached::SessionRefused);
            self.leave(env, Leaving::ORDERLY);
            return self.lose_session(env);
        }
        self.failed_attempts = 0;
        self.state = State::Up { connection };
        match &mut self.session {
            Some(session) => {
                if session.gap == Gap::Hidden {
                    env.sometimes.reach(Reached::GapNoticedLate);
                }
                *session = Session { established: response, gap: Gap::None };
                self.lanes.drop_stream();
                self.tell(env, SessionEvent::Reconnected);
                if let Some(request) = self.armed.reconnected(self.plan.one_shots, self.last_zxid) {
                    self.put(env, connection, SET_WATCHES_XID, request);
                }
                while let Some(request) = self.kept.pop_front() {
                    env.sometimes.reach(Reached::KeptRequestSent);
                    self.send(env, connection, request);
                }
            }
            None => {
                self.epoch.0 += 1;
                let session = response.session;
                self.session = Some(Session { established: response, gap: Gap::None });
                // A new client object of most libraries knows nothing of the old one's reads.
                self.last_zxid = Zxid(0);
                self.armed.clear();
                self.lanes.flush_replies(env.now, env.queue);
                self.tell(env, SessionEvent::Connected { session_epoch: self.epoch, session });
            }
        }
    }

    fn replied(&mut self, env: &mut Env<'_>, xid: i32, zxid: Zxid, result: Result<Response, ErrorCode>) {
        self.saw(zxid);
        let Some((awaited, request)) = self.in_flight.pop_front() else {
            panic!("the model server answered request {xid}, which nobody sent");
        };
        assert_eq!(awaited, xid, "the model server must answer in order");
        let outcome = convert::outcome(&request.op, result);
        self.armed.answered(&request.op, &outcome);
        if self.lanes.has_waiting_event() {
            env.sometimes.reach(Reached::ReplyOvertookEvent);
        }
        let zxid = match self.plan.zxids {
            Zxids::Shown => Some(zxid),
            Zxids::Hidden => None,
        };
        let input =
            Input::Response { session_epoch: request.session_epoch, request: request.id, zxid, outcome };
        self.lanes.push(env.now, env.queue, Lane::Replies, env.lag_max(self.plan.reply_lag_max), input);
    }

    fn fired(&mut self, env: &mut Env<'_>, event: WatchedEvent) {
        let Some(mut event) = convert::watch_event(event) else { return };
        match self.plan.zxids {
            Zxids::Shown => {}
            Zxids::Hidden => event.zxid = None,
        }
        let lanes: &[Lane] = match self.armed.fired(event.change, &event.path) {
            Streams::Recursive => &[Lane::Stream],
            Streams::OneShot => &[Lane::OneShots],
            Streams::Both => &[Lane::OneShots, Lane::Stream],
        };
        for lane in lanes {
            let input = Input::Watch { session_epoch: self.epoch, event: event.clone() };
            self.lanes.push(env.now, env.queue, *lane, env.lag_max(self.plan.event_lag_max), input);
        }
    }

    fn send(&mut self, env: &mut Env<'_>, connection: ConnectionId, request: Request) {
        self.xid += 1;
        let record = convert::request(&request.op, env.acl);
        self.in_flight.push_back((self.xid, request));
        self.put(env, connection, self.xid, record);
    }

    fn put(&mut self, env: &mut Env<'_>, connection: ConnectionId, xid: i32, request: Record) {
        env.network.send(env.now, env.queue, connection, ToServer::Request { xid, request });
        self.sent_at = env.now;
    }

    fn answer_unknown(&mut self, env: &mut Env<'_>, request: &Request) {
        let input = Input::Response {
            session_epoch: request.session_epoch,
            request: request.id,
            zxid: None,
            outcome: Err(OpError::Unknown),
        };
        self.lanes.push(env.now, env.queue, Lane::Replies, env.lag_max(self.plan.reply_lag_max), input);
    }

    fn give_up_in_flight(&mut self, env: &mut Env<'_>) {
        for (_, request) in std::mem::take(&mut self.in_flight) {
            self.answer_unknown(env, &request);
        }
    }

    /// The current connection, if any, is left, and another attempt is due after a pause.
    fn leave(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        if let Some(connection) = self.connection() {
            env.network.leave(env.now, env.queue, connection, leaving);
        }
        self.failed_attempts = (self.failed_attempts + 1).min(16);
        let pause = (RECONNECT_MIN * (1 << self.failed_attempts)).min(self.plan.reconnect_max);
        let jitter = scale(mix(self.key, !env.now.as_nanos()), nanos(pause / 2));
        self.state = State::Waiting { until: env.now.after(pause / 2 + Duration::from_nanos(jitter)) };
    }

    fn lose_session(&mut self, env: &mut Env<'_>) {
        if self.session.take().is_none() {
            return;
        }
        self.give_up_in_flight(env);
        for request in std::mem::take(&mut self.kept) {
            self.answer_unknown(env, &request);
        }
        self.tell(env, SessionEvent::Lost);
    }

    fn tell(&mut self, env: &mut Env<'_>, event: SessionEvent) {
        if self.lanes.has_waiting_reply() {
            env.sometimes.reach(Reached::StateOvertookReply);
        }
        self.lanes.push(env.now, env.queue, Lane::State, Duration::ZERO, Input::Session(event));
    }

    fn saw(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
    }

    fn silent_at(&self) -> Instant {
        self.heard_at.after(self.plan.connection_timeout)
    }

    /// Often enough that an answer comes before the connection counts as silent.
    fn ping_at(&self) -> Instant {
        self.sent_at.after(self.plan.connection_timeout / 3)
    }

    /// When a client that hears nothing takes its session for expired: later than the server does, as
    /// zookeeper-client 0.11.
    fn local_expiry(&self) -> Option<Instant> {
        let session = self.session.as_ref()?;
        match self.state {
            State::Up { .. } | State::Closed => None,
            State::Waiting { .. } | State::Connecting { .. } => {
                let timeout_ms = u64::try_from(session.established.timeout_ms).unwrap_or(0);
                Some(self.heard_at.after(Duration::from_millis(timeout_ms) * 14 / 10))
            }
        }
    }

    fn set_alarm(&mut self, env: &mut Env<'_>) {
        let wanted = match self.state {
            State::Waiting { until } | State::Connecting { until, .. } => Some(until),
            State::Up { .. } => Some(self.silent_at().min(self.ping_at())),
            State::Closed => None,
        };
        let wanted = match (wanted, self.local_expiry()) {
            (Some(wanted), Some(expiry)) => Some(wanted.min(expiry)),
            (wanted, expiry) => wanted.or(expiry),
        };
        if let Some(at) = self.alarm.set(wanted) {
            env.queue.at(at, Due::ClientWake { node: self.node, life: self.life });
        }
    }
}

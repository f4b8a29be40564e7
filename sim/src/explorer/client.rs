//! The native client's machine on the explorer's network, and between it and the core all the freedom that the contract
//! of io's `ZooKeeper` port leaves to other clients.
//!
//! The machine itself delivers in the order of the wire, answers at once while it has no connection, arms all watches
//! again and shows every zxid. The plan says which of that a run can rely on: [`ClientPlan`].

use std::collections::VecDeque;
use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::op::OpError;
use queenright_core::wire::client::{self, Break, Matching, Output};
use queenright_core::wire::{Acl, ErrorCode, Request as Record, WatchedEvent};
use queenright_core::{Input, Instant, Request, SessionEpoch, SessionEvent, SessionId};

use super::alarm::Alarm;
use super::lanes::{Lane, Lanes};
use super::mix::{mix, scale};
use super::network::{Leaving, Network, ToServer};
use super::plan::{ClientPlan, Expiry, Gaps, Losses, Offline, Order, Plan, Rearmed, Zxids};
use super::queue::{Due, Queue};
use super::sometimes::{Reached, Sometimes};
use crate::zookeeper::{ConnectionId, FromServer};

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
    servers: Servers,
    plan: ClientPlan,
    machine: client::Client,
    connection: Option<ConnectionId>,
    gap: Gap,
    /// Submitted while the connection is down.
    kept: VecDeque<Request>,
    /// When the server was last heard, and the session timeout that it granted.
    heard_at: Instant,
    granted_timeout: Duration,
    lanes: Lanes,
    alarm: Alarm,
}

/// Which servers a client tries, in which order: all of them in turn, from one that differs from client to client.
#[derive(Clone, Copy, Debug)]
struct Servers {
    first: u64,
    count: u64,
}

impl Servers {
    /// The `index`-th one that is tried, counted from 0.
    fn at(self, index: usize) -> u8 {
        u8::try_from((self.first + index as u64) % self.count).unwrap_or(0)
    }
}

/// What the core knows of a connection that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// That it is down; or it is up.
    Reported,
    /// Nothing, until it is back.
    Hidden,
}

impl Client {
    /// A client that begins to connect now.
    pub(super) fn new(
        env: &mut Env<'_>,
        Plan { seed, servers, session_timeout, client: plan, .. }: &Plan,
        node: u8,
        life: u32,
        guard: Option<Mutation>,
    ) -> Self {
        let (plan, timeout, servers) = (*plan, *session_timeout, *servers);
        let key = mix(*seed, 2 << 48 | u64::from(node) << 32 | u64::from(life));
        let config = client::Config {
            session_timeout: timeout,
            connect_timeout: plan.connection_timeout,
            silence_max: plan.connection_timeout,
            retry_min: RECONNECT_MIN,
            retry_max: plan.reconnect_max,
            seed: key,
            acl: env.acl.to_vec(),
            // As ZooKeeper's own clients do: the core has to bear events that it does not wait for any more.
            rearms: true,
            ..client::Config::new(usize::from(servers))
        };
        let config = config.without(guard);
        let mut client = Self {
            node,
            life,
            key,
            servers: Servers { first: scale(mix(key, 2), u64::from(servers)), count: u64::from(servers) },
            plan,
            machine: client::Client::new(env.now, config),
            connection: None,
            gap: Gap::Reported,
            kept: VecDeque::new(),
            heard_at: env.now,
            granted_timeout: timeout,
            lanes: Lanes::new(node, life, mix(key, 1)),
            alarm: Alarm::default(),
        };
        client.set_alarm(env);
        client
    }

    /// The session that the client believes to have.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.machine.session()
    }

    /// How many sessions it has established.
    pub(super) const fn epoch(&self) -> SessionEpoch {
        self.machine.session_epoch()
    }

    /// The connection that it uses or tries.
    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Sends a request, keeps it, or answers it.
    pub(super) fn submit(&mut self, env: &mut Env<'_>, request: Request) {
        let is_offline = !self.machine.is_up() && self.machine.session().is_some();
        let is_current = request.session_epoch == self.machine.session_epoch();
        if self.machine.is_up() && !is_current {
            env.sometimes.reach(Reached::SentTooLate);
        }
        if is_offline && is_current && self.plan.offline == Offline::Kept {
            self.kept.push_back(request);
        } else {
            self.machine.submit(env.now, request);
            self.carry_out(env, Leaving::ORDERLY, &[]);
        }
    }

    /// A message came over the current connection.
    pub(super) fn receive(&mut self, env: &mut Env<'_>, message: FromServer) {
        self.heard_at = env.now;
        let mut event_lanes: &[Lane] = &[];
        match message {
            FromServer::Connected(response) => {
                let timeout_ms = u64::try_from(response.timeout_ms).unwrap_or(0);
                self.granted_timeout = Duration::from_millis(timeout_ms);
                self.machine.handle_connected(env.now, response);
            }
            FromServer::Reply { xid, zxid, result } => self.machine.handle_reply(env.now, xid, zxid, result),
            FromServer::Event(event) => {
                event_lanes = self.lanes_of(&event);
                self.machine.handle_event(env.now, event);
            }
            FromServer::Close => self.machine.handle_break(env.now, Break::Transport),
        }
        self.carry_out(env, Leaving::ORDERLY, event_lanes);
    }

    /// A deadline may have passed.
    pub(super) fn wake(&mut self, env: &mut Env<'_>) {
        if !self.alarm.ring(env.now) {
            return;
        }
        if self.guessed_expiry().is_some_and(|at| at <= env.now) {
            env.sometimes.reach(Reached::SessionExpiredLocally);
            self.machine.abandon(env.now);
        }
        self.machine.handle_timeout(env.now);
        self.carry_out(env, Leaving::ORDERLY, &[]);
    }

    /// The connection is gone; another attempt follows.
    pub(super) fn break_connection(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        self.machine.handle_break(env.now, Break::Transport);
        self.carry_out(env, leaving, &[]);
    }

    /// The session is given up although the server may still keep it.
    pub(super) fn abandon_session(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        self.machine.abandon(env.now);
        self.carry_out(env, leaving, &[]);
    }

    /// Ends the session, after what was submitted before. Nothing is delivered any more.
    pub(super) fn close(&mut self, env: &mut Env<'_>) {
        self.machine.close(env.now);
        self.carry_out(env, Leaving::ORDERLY, &[]);
        self.die(env, Leaving::ORDERLY);
    }

    /// The process is gone.
    pub(super) fn die(&mut self, env: &mut Env<'_>, leaving: Leaving) {
        if let Some(connection) = self.connection.take() {
            env.network.leave(env.now, env.queue, connection, leaving);
        }
        self.lanes.clear();
    }

    /// The next input of a lane that is due.
    pub(super) fn deliver(&mut self, now: Instant, lane: u8) -> Option<Input> {
        self.lanes.pop(now, lane)
    }

    fn carry_out(&mut self, env: &mut Env<'_>, leaving: Leaving, event_lanes: &[Lane]) {
        self.machine.check_invariants();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect { server, request } => {
                    let connection = env.network.open(self.node, self.servers.at(server));
                    self.connection = Some(connection);
                    env.network.send(env.now, env.queue, connection, ToServer::Connect(request));
                }
                Output::Send { xid, request } => {
                    if let Some(connection) = self.connection {
                        let request = self.rearming(request);
                        let message = ToServer::Request { xid, request };
                        env.network.send(env.now, env.queue, connection, message);
                    }
                }
                Output::Disconnect { reason } => {
                    expect_of_the_model(env, reason);
                    if let Some(connection) = self.connection.take() {
                        env.network.leave(env.now, env.queue, connection, leaving);
                    }
                }
                Output::Input(Input::Session(event)) => self.tell(env, event),
                Output::Input(input @ Input::Response { .. }) => self.answer(env, input),
                Output::Input(input @ (Input::Watch { .. } | Input::Host(_))) => {
                    for lane in event_lanes {
                        let input = self.shown(input.clone());
                        self.push(env, *lane, self.plan.event_lag_max, input);
                    }
                }
                Output::Closed => {}
            }
        }
        self.set_alarm(env);
    }

    /// What the core hears of a change, and what comes with it.
    fn tell(&mut self, env: &mut Env<'_>, event: SessionEvent) {
        match event {
            SessionEvent::Connected { session_epoch, .. } => {
                self.lanes.flush_replies(env.now, env.queue);
                if self.plan.losses == Losses::Silent && session_epoch.0 > 1 {
                    env.sometimes.reach(Reached::SilentNewSession);
                }
            }
            SessionEvent::Suspended => {
                let may_hide = self.plan.gaps == Gaps::SomeNoticedLate;
                if may_hide && mix(self.key, env.now.as_nanos()) & 1 == 0 {
                    self.gap = Gap::Hidden;
                    return;
                }
            }
            SessionEvent::Reconnected => {
                if self.gap == Gap::Hidden {
                    env.sometimes.reach(Reached::GapNoticedLate);
                }
                self.lanes.drop_stream();
                for request in std::mem::take(&mut self.kept) {
                    env.sometimes.reach(Reached::KeptRequestSent);
                    self.machine.submit(env.now, request);
                }
            }
            SessionEvent::Lost => {
                for Request { id, session_epoch, .. } in std::mem::take(&mut self.kept) {
                    let outcome = Err(OpError::Unknown);
                    let answer = Input::Response { session_epoch, request: id, zxid: None, outcome };
                    self.answer(env, answer);
                }
                if self.plan.losses == Losses::Silent {
                    return;
                }
            }
        }
        self.gap = Gap::Reported;
        if self.plan.order == Order::Streams && self.lanes.has_waiting_reply() {
            env.sometimes.reach(Reached::StateOvertookReply);
        }
        self.push(env, Lane::State, self.plan.state_lag_max, Input::Session(event));
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Input) {
        if self.lanes.has_waiting_event() {
            env.sometimes.reach(Reached::ReplyOvertookEvent);
        }
        let answer = self.shown(answer);
        self.push(env, Lane::Replies, self.plan.reply_lag_max, answer);
    }

    fn push(&mut self, env: &mut Env<'_>, lane: Lane, lag_max: Duration, input: Input) {
        match self.plan.order {
            Order::Wire if lane == Lane::State => {
                self.lanes.push(env.now, env.queue, Lane::Replies, env.lag_max(lag_max), input);
            }
            Order::Wire => self.lanes.push(env.now, env.queue, Lane::Replies, Duration::ZERO, input),
            Order::Streams => self.lanes.push(env.now, env.queue, lane, env.lag_max(lag_max), input),
        }
    }

    /// Which streams tell of an event: in some clients each watch that it matches has its own.
    fn lanes_of(&self, event: &WatchedEvent) -> &'static [Lane] {
        match (self.plan.order, self.machine.watches().matching(event.change, &event.path)) {
            (Order::Wire, _) => &[Lane::Replies],
            (Order::Streams, Matching { one_shot: true, recursive: true }) => &[Lane::OneShots, Lane::Stream],
            (Order::Streams, Matching { one_shot: false, recursive: true }) => &[Lane::Stream],
            (Order::Streams, Matching { recursive: false, .. }) => &[Lane::OneShots],
        }
    }

    /// The input as far as the plan's client shows it.
    fn shown(&self, mut input: Input) -> Input {
        match (self.plan.zxids, &mut input) {
            (Zxids::Hidden, Input::Response { zxid, .. }) => *zxid = None,
            (Zxids::Hidden, Input::Watch { event, .. }) => event.zxid = None,
            (Zxids::Hidden, Input::Session(_) | Input::Host(_)) | (Zxids::Shown, _) => {}
        }
        input
    }

    /// The request as the plan's client would make it: some do not arm again what the machine does.
    fn rearming(&self, mut request: Record) -> Record {
        if let (Rearmed::OneShots | Rearmed::Nothing, Record::SetWatches2 { recursive, .. }) =
            (self.plan.rearmed, &mut request)
        {
            recursive.clear();
        }
        if let (
            Rearmed::Nothing,
            Record::SetWatches { data, exist, child, .. } | Record::SetWatches2 { data, exist, child, .. },
        ) = (self.plan.rearmed, &mut request)
        {
            for paths in [data, exist, child] {
                paths.clear();
            }
        }
        request
    }

    /// When a client that hears nothing takes its session for expired: later than the server does, as
    /// zookeeper-client 0.11.
    fn guessed_expiry(&self) -> Option<Instant> {
        match self.plan.expiry {
            Expiry::Guessed if !self.machine.is_up() => {
                self.machine.session()?;
                Some(self.heard_at.after(self.granted_timeout * 14 / 10))
            }
            Expiry::Guessed | Expiry::Heard => None,
        }
    }

    fn set_alarm(&mut self, env: &mut Env<'_>) {
        let wanted = [self.machine.poll_timeout(), self.guessed_expiry()].into_iter().flatten().min();
        if let Some(at) = self.alarm.set(wanted) {
            env.queue.at(at, Due::ClientWake { node: self.node, life: self.life });
        }
    }
}

/// The model keeps to the protocol, or the run means nothing.
fn expect_of_the_model(env: &mut Env<'_>, reason: Break) {
    match reason {
        Break::Expired => env.sometimes.reach(Reached::SessionRefused),
        Break::Silent => env.sometimes.reach(Reached::ConnectionSilent),
        Break::Transport
        | Break::ConnectTimeout
        | Break::Abandoned
        | Break::Closed
        | Break::WatchesRefused(ErrorCode::SESSION_EXPIRED) => {}
        Break::Garbled
        | Break::NoSession
        | Break::ReadOnly
        | Break::AuthRefused(_)
        | Break::ChrootRefused(_)
        | Break::WatchesRefused(_)
        | Break::WrongXid { .. }
        | Break::Misfit { .. }
        | Break::OutOfTurn => panic!("the model server broke the protocol: {reason}"),
    }
}

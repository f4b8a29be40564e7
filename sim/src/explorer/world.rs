//! The loop: the earliest event, its effects, the checks, and again.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use queenright_core::wire::{Acl, ConnectRequest, Request as Record, WatchedEvent};
use queenright_core::{Config, Coordinator, Incarnation, Instant};

use super::alarm::Alarm;
use super::application::{Application, Names};
use super::client::{Client, Env};
use super::clock::Clock;
use super::fault::When;
use super::mix::{mix, nanos, scale};
use super::network::{Network, Sender, ToServer};
use super::outage::Outages;
use super::plan::{Ending, Plan};
use super::process::{Node, Pause, Presence, Process};
use super::queue::{Due, Queue};
use super::sometimes::{Reached, Sometimes};
use super::stale::{OldViews, Stale};
use super::trace::{Trace, Tracing};
use super::workload::Step;
use crate::checkers::{
    Alternation, BoundedRequests, Caches, Completion, ExclusiveBelief, LeaseNames, LeaseRecords, Life,
    RisingTokens, Violation,
};
use crate::timeline::{Recorder, What};
use crate::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId, Tree};

/// More events than any run needs: whoever gets here is going round in circles.
const EVENTS_MAX: u64 = 1_000_000;
/// The most requests that a node may put out within a lease, whatever happens.
const REQUESTS_PER_LEASE_MAX: u32 = 300;
/// How many leases before the end nothing may be going on any more but beats and their observation.
const STILL_LEASES: u32 = 2;

/// Where the nodes are, in the eyes of the server.
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Everything.
pub(super) struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) configure: &'a dyn Fn(&mut Config),
    pub(super) now: Instant,
    pub(super) heal_at: Instant,
    pub(super) still_from: Instant,
    pub(super) queue: Queue,
    pub(super) network: Network,
    pub(super) server: Ensemble,
    pub(super) nodes: Vec<Node>,
    pub(super) names: Names,
    pub(super) checks: Checks,
    pub(super) sometimes: Sometimes,
    pub(super) trace: Trace,
    pub(super) recorder: Recorder,
    pub(super) acl: Vec<Acl>,
    pub(super) events: u64,
    /// Faults that are tied to requests: node, number of the request, delay, number of the fault.
    pub(super) tied: Vec<(u8, u32, Duration, u32)>,
    /// Znodes that an outside hand put where a registration belongs.
    pub(super) squatters: Vec<String>,
    old_views: OldViews,
    /// Events that lagging followers owe.
    owed: Vec<(ConnectionId, WatchedEvent)>,
    /// Connections of outside hands, counted.
    hands: u64,
    server_alarm: Alarm,
    /// The sum of the transactions that servers have applied: as long as it stays, no tree changes.
    applied: i64,
    pub(super) outages: Outages,
}

/// The checkers that follow a run from its beginning.
pub(super) struct Checks {
    pub(super) belief: ExclusiveBelief,
    pub(super) tokens: RisingTokens,
    pub(super) alternation: Alternation,
    pub(super) completion: Completion,
    pub(super) caches: Caches,
    pub(super) requests: BoundedRequests,
    /// In the still time before the end.
    pub(super) still: BoundedRequests,
    pub(super) names: LeaseNames,
    pub(super) records: LeaseRecords,
}

/// What an event led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Goes,
    Ended,
}

impl<'a> World<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        configure: &'a dyn Fn(&mut Config),
        tracing: Tracing,
        recorder: Recorder,
    ) -> Self {
        let now = Instant::ORIGIN;
        let heal_at = now.after(plan.heal_at);
        let config = ServerConfig {
            tick: plan.tick,
            min_session: plan.tick * 2,
            max_session: plan.session_timeout * 20,
            sweep: plan.lease * 4,
            sync_limit: plan.sync_limit,
            ..ServerConfig::default()
        };
        let names = Names::new(plan);
        let mut world = Self {
            plan,
            configure,
            now,
            heal_at,
            still_from: heal_at.after(plan.quiet).before(plan.lease * STILL_LEASES),
            queue: Queue::default(),
            network: Network::new(plan, heal_at, recorder.clone()),
            server: Ensemble::new(config, plan.servers, now),
            nodes: plan
                .nodes
                .iter()
                .map(|node| Node {
                    clock: Clock::new(node.clock_origin, node.clock_rate_ppm),
                    starts: 0,
                    requests: 0,
                    presence: Presence::Down,
                })
                .collect(),
            checks: Checks {
                belief: ExclusiveBelief::default(),
                tokens: RisingTokens::default(),
                alternation: Alternation::default(),
                completion: Completion::default(),
                caches: Caches::default(),
                requests: BoundedRequests::new(plan.lease, REQUESTS_PER_LEASE_MAX),
                still: BoundedRequests::new(plan.lease, still_requests_max(plan)),
                names: LeaseNames::default(),
                records: LeaseRecords::new(&names.root),
            },
            names,
            sometimes: Sometimes::default(),
            trace: Trace::new(tracing),
            recorder,
            acl: vec![Acl::open()],
            events: 0,
            tied: Vec::new(),
            squatters: Vec::new(),
            old_views: OldViews::new(mix(plan.seed, 5 << 32), plan.stale_one_in),
            owed: Vec::new(),
            hands: 0,
            server_alarm: Alarm::default(),
            applied: 0,
            outages: Outages::default(),
        };
        world.schedule();
        world
    }

    /// Everything that the plan says about time.
    fn schedule(&mut self) {
        for (node, plan) in (0..).zip(&self.plan.nodes) {
            self.queue.at(self.now.after(plan.start_at), Due::Restart { node });
        }
        for (number, strike) in (0..).zip(&self.plan.faults) {
            match strike.when {
                When::At(at) => self.queue.at(at, Due::Fault(number)),
                When::AfterRequest { node, index, delay } => self.tied.push((node, index, delay, number)),
            }
        }
        for (number, action) in (0..).zip(&self.plan.actions) {
            self.queue.at(action.at, Due::Action(number));
        }
        self.queue.at(self.heal_at, Due::Heal);
        self.queue.at(self.heal_at.after(self.plan.quiet), Due::End);
        if self.plan.servers == 1 {
            self.queue.at(self.heal_at.after(self.plan.led_within()), Due::Led);
        } else {
            // Nothing is under way between servers for longer.
            self.queue.at(self.heal_at.after(self.plan.lease), Due::Tidy);
        }
        match self.plan.ending {
            Ending::Settled => self.queue.at(self.heal_at.after(self.plan.lease), Due::Look(0)),
            Ending::Late => {}
        }
        self.set_server_alarm();
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first violation.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while let Some((at, due)) = self.queue.pop() {
            self.now = self.now.max(at);
            self.events += 1;
            self.recorder.step();
            if self.events > EVENTS_MAX {
                return Err(Violation::new("bounded events", format!("{EVENTS_MAX} events, and no end")));
            }
            match self.happens(due)? {
                Progress::Goes => {}
                Progress::Ended => break,
            }
        }
        self.server.check_invariants();
        Ok(())
    }

    fn happens(&mut self, due: Due) -> Result<Progress, Violation> {
        if let Some(until) = self.standing_still(due) {
            self.queue.at(until, due);
            return Ok(Progress::Goes);
        }
        match due {
            Due::ToServer(connection) => self.server_receives(connection)?,
            Due::ToClient(connection) => self.client_receives(connection),
            Due::Deliver { node, life, lane } => self.deliver(node, life, lane)?,
            Due::ClientWake { node, life } => self.with_client(node, life, Client::wake),
            Due::CoreWake { node, life } => self.core_wakes(node, life)?,
            Due::Stopped { node, life, global, token } => self.stopped(node, life, global, token)?,
            Due::ServerWake => self.server_wakes()?,
            Due::Mend => self.mend(self.now)?,
            Due::Election => self.election()?,
            Due::CaughtUp(number) => {
                let (connection, event) = self.owed[number as usize].clone();
                self.network.answer(self.now, &mut self.queue, connection, FromServer::Event(event));
            }
            Due::Fault(number) => self.strike(number)?,
            Due::Action(number) => {
                let action = self.plan.actions[number as usize];
                self.perform(action.node, action.step)?;
            }
            Due::Resume { node, life } => self.resume(node, life)?,
            Due::Restart { node } => self.start(node)?,
            Due::Heal => self.heal()?,
            Due::Tidy => self.tidy()?,
            Due::Led => self.check_led()?,
            Due::Look(settled) => return Ok(self.look(settled)),
            Due::End => {
                self.audit(self.still_from)?;
                return Ok(Progress::Ended);
            }
        }
        Ok(Progress::Goes)
    }

    /// Ends the run if all is as it must be, and has been for a while.
    fn look(&mut self, settled: u32) -> Progress {
        let settled = match self.audit(self.now.before(self.plan.lease * STILL_LEASES)) {
            Ok(()) if settled == STILL_LEASES => return Progress::Ended,
            Ok(()) => settled + 1,
            Err(_) => 0,
        };
        self.queue.at(self.now.after(self.plan.lease), Due::Look(settled));
        Progress::Goes
    }

    /// Until when an event must wait because the process that it is for stands still.
    fn standing_still(&self, due: Due) -> Option<Instant> {
        let node = match due {
            Due::ToClient(connection) => self.network.client_of(connection)?,
            Due::Deliver { node, .. }
            | Due::ClientWake { node, .. }
            | Due::CoreWake { node, .. }
            | Due::Stopped { node, .. } => node,
            Due::Action(number) => self.plan.actions[number as usize].node,
            Due::ToServer(_)
            | Due::ServerWake
            | Due::Mend
            | Due::Election
            | Due::CaughtUp(_)
            | Due::Fault(_)
            | Due::Resume { .. }
            | Due::Restart { .. }
            | Due::Heal
            | Due::Tidy
            | Due::Led
            | Due::Look(_)
            | Due::End => return None,
        };
        self.nodes[usize::from(node)].paused_until()
    }

    fn server_receives(&mut self, connection: ConnectionId) -> Result<(), Violation> {
        let Some((message, sender)) = self.network.arrive_up(self.now, &mut self.queue, connection) else {
            return Ok(());
        };
        match message {
            ToServer::Connect(request) => {
                let server = server_id(self.network.server_of(connection).unwrap_or(0));
                self.server.connect(self.now, server, connection, LOCALHOST, request)
            }
            ToServer::Request { xid, request } => {
                if sender == Sender::Gone && is_write(&request) {
                    self.sometimes.reach(Reached::WriteOutlivedItsSender);
                }
                if self.now < self.heal_at {
                    let tree = self.server.tree(self.server.newest());
                    self.old_views.before(tree, connection, xid, &request);
                }
                self.server.request(self.now, connection, xid, request);
            }
            ToServer::End => self.server.disconnect(self.now, connection),
        }
        self.drain_server()
    }

    fn server_wakes(&mut self) -> Result<(), Violation> {
        if !self.server_alarm.ring(self.now) {
            return Ok(());
        }
        let before = self.server.sessions().count();
        self.server.handle_timeout(self.now);
        if self.server.sessions().count() < before {
            self.sometimes.reach(Reached::SessionExpiredByServer);
            self.recorder.record(self.now, || What::ServerWoke { text: "a session expires".into() });
        }
        self.drain_server()
    }

    /// Sends what the server says, and looks at what it did.
    pub(super) fn drain_server(&mut self) -> Result<(), Violation> {
        for server in self.server.servers() {
            self.recorder.look(self.now, server.0 - 1, self.server.tree(server));
        }
        while let Some((connection, mut message)) = self.server.poll_output() {
            if let Some(stale) = self.old_views.after(connection, &mut message) {
                self.sometimes.reach(Reached::StaleRead);
                self.owe(connection, stale);
            }
            self.network.answer(self.now, &mut self.queue, connection, message);
        }
        self.set_server_alarm();
        self.look_for_leader();
        let zxids = self.server.servers().map(|id| self.server.last_zxid(id).0).sum();
        if std::mem::replace(&mut self.applied, zxids) == zxids {
            return Ok(());
        }
        let trees = self.server.servers().map(|id| self.server.tree(id));
        self.checks.caches.tree_changed(self.now, trees);
        self.checks.caches.committed(self.server.tree(self.server.newest()));
        self.checks.records.tree_changed(self.server.tree(self.server.newest()))
    }

    /// What is committed, as far as any server has applied it.
    pub(super) fn tree(&self) -> &Tree {
        self.server.tree(self.server.newest())
    }

    /// The event of a stale read comes later, when the follower that answered it has caught up.
    fn owe(&mut self, connection: ConnectionId, stale: Stale) {
        let Some(event) = stale.owed else { return };
        let number = u32::try_from(self.owed.len()).unwrap_or(u32::MAX);
        self.owed.push((connection, event));
        let lag = scale(mix(self.plan.seed, 4 << 32 | u64::from(number)), nanos(self.plan.lease * 2));
        let at = self.now.after(Duration::from_nanos(lag)).min(self.heal_at);
        self.queue.at(at, Due::CaughtUp(number));
    }

    fn set_server_alarm(&mut self) {
        if let Some(at) = self.server_alarm.set(self.server.poll_timeout()) {
            self.queue.at(at, Due::ServerWake);
        }
    }

    fn client_receives(&mut self, connection: ConnectionId) {
        let Some(message) = self.network.arrive_down(self.now, &mut self.queue, connection) else { return };
        let Some(node) = self.network.client_of(connection) else { return };
        let Some(process) = self.nodes[usize::from(node)].process() else { return };
        if process.client.connection() == Some(connection) {
            let life = process.life.number;
            self.with_client(node, life, |client, env| client.receive(env, message));
        }
    }

    /// Lets the client of a life do something, if it is still there.
    pub(super) fn with_client(&mut self, node: u8, life: u32, act: impl FnOnce(&mut Client, &mut Env<'_>)) {
        let Self { now, heal_at, queue, network, nodes, sometimes, acl, .. } = self;
        if let Some(process) = nodes[usize::from(node)].process_of(life) {
            act(
                &mut process.client,
                &mut Env { now: *now, queue, network, sometimes, acl, heal_at: *heal_at },
            );
        }
    }

    fn resume(&mut self, node: u8, life: u32) -> Result<(), Violation> {
        let (now, clock) = (self.now, self.nodes[usize::from(node)].clock);
        let Some(process) = self.nodes[usize::from(node)].process_of(life) else { return Ok(()) };
        let held = match &mut process.pause {
            Pause::Until { until, held } if *until <= now => std::mem::take(held),
            Pause::Until { .. } | Pause::None | Pause::BeforeEffects(_) => return Ok(()),
        };
        process.pause = Pause::None;
        let life = process.life;
        self.recorder.record(now, || What::Resumed { life });
        if process.application.is_overdue(clock.local(now)) {
            self.sometimes.reach(Reached::BeliefEndedDuringPause);
        }
        for output in held {
            self.take_effect(node, output)?;
        }
        Ok(())
    }

    /// Starts the process of a node that is down.
    fn start(&mut self, number: u8) -> Result<(), Violation> {
        let Self { now, heal_at, plan, nodes, names, queue, network, sometimes, acl, .. } = self;
        let node = &mut nodes[usize::from(number)];
        let life = Life { node: number, number: node.starts };
        node.starts += 1;
        let (high, low) = (mix(plan.seed, 3 << 32 | u64::from(number)), u64::from(life.number));
        let incarnation = Incarnation(u128::from(high) << 64 | u128::from(mix(high, low)));
        let mut config =
            Config::new(names.nodes[usize::from(number)].clone(), incarnation).with_lease(plan.lease);
        config.clock_rate_ppm = plan.clock_rate_ppm;
        config.retry_min = plan.lease / 50;
        config.retry_max = plan.lease;
        config.close_timeout = plan.lease * 2;
        config.janitor_period = None;
        (self.configure)(&mut config);
        let guard = config.mutation();
        let core = Coordinator::new(config, node.clock.local(*now))
            .unwrap_or_else(|error| panic!("the plan's configuration is refused: {error}"));
        let mut env = Env { now: *now, queue, network, sometimes, acl, heal_at: *heal_at };
        let client = Client::new(&mut env, plan, number, life.number, guard);
        node.presence = Presence::Up(Box::new(Process {
            life,
            core,
            client,
            application: Application::new(life),
            pause: Pause::None,
            alarm: Alarm::default(),
            told_session: None,
            open: std::collections::BTreeMap::new(),
            acknowledged: std::collections::BTreeSet::new(),
            burst: None,
            lapsed: std::collections::BTreeSet::new(),
            told_gone: std::collections::BTreeSet::new(),
        }));
        self.trace.note(self.now, &(1_u8, life), |line| write!(line, "{life} starts"));
        self.recorder.record(self.now, || What::Started { life });
        self.join(number)?;
        let plan = self.plan;
        plan.nodes[usize::from(number)].profile.iter().try_for_each(|step: &Step| self.perform(number, *step))
    }

    /// A request of an outside hand, over a session of its own. It comes to nothing while nobody leads.
    pub(super) fn hand_in(&mut self, requests: impl IntoIterator<Item = Record>) -> Result<(), Violation> {
        let Some(leader) = self.server.leader() else { return Ok(()) };
        self.hands += 1;
        let connection = ConnectionId(u64::MAX - self.hands);
        self.server.connect(self.now, leader, connection, LOCALHOST, ConnectRequest::new_session(60_000));
        for (xid, request) in (1..).zip(requests) {
            self.trace.note(self.now, &request, |line| write!(line, "hand: {request:?}"));
            self.recorder.record(self.now, || What::Hand { text: format!("an outside hand: {request:?}") });
            self.server.request(self.now, connection, xid, request);
        }
        self.server.request(self.now, connection, 0, Record::CloseSession);
        self.drain_server()
    }
}

/// What a node sends within a lease when nothing happens: a beat in each third, and a read for each beat of every other node,
/// with one more of each for windows that begin just before one (ARCHITECTURE.md, "The election").
fn still_requests_max(plan: &Plan) -> u32 {
    u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX).saturating_mul(4)
}

/// The server with this number, counted from 0.
pub(super) const fn server_id(number: u8) -> ServerId {
    ServerId(number + 1)
}

/// Whether a request changes the tree.
const fn is_write(request: &Record) -> bool {
    matches!(request, Record::Create(_) | Record::Delete(_) | Record::SetData(_) | Record::Multi(_))
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("events", &self.events).finish_non_exhaustive()
    }
}

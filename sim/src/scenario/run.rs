//! The world of a scenario: one loop that goes to the earliest thing that happens.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::wire::{Acl, ConnectRequest, Request as Record};
use queenright_core::{Config, Coordinator, HostEvent, Incarnation, Input, Instant, Name, Output, Token};

use super::client::{Action, Client};
use super::expect::PROPERTY_LIVENESS;
use super::host::{Application, Hold, Host, Node, Pause, Process};
use super::machine::Machine;
use super::network::{Network, ToServer, Way};
use super::observe::Checks;
use super::resource::{Effect, Resource};
use super::traps::Trap;
use super::{L, T};
use crate::checkers::{Life, Violation};
use crate::explorer::clock::Clock;
use crate::museum::naive::{Flaw, Naive};
use crate::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};

/// Where everybody is, in the eyes of the server.
pub(super) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// More events than any scenario needs: whoever gets here is going round in circles.
const EVENTS_MAX: u32 = 300_000;
/// Connections with greater numbers belong to outside hands.
const HANDS: u64 = u64::MAX / 2;
/// How many lines of what happened are kept for the report of a failure.
const LINES_MAX: usize = 4_000;
/// How many of them a failure shows.
const STORY_MAX: usize = 60;

/// What the nodes of a scenario run.
#[derive(Clone, Copy, Debug)]
pub enum Variant {
    /// Real coordinators.
    Real,
    /// Real coordinators, from which one guard was taken out. The function sets it: only who builds core with its feature
    /// `mutations` has one.
    Mutated(Mutation, fn(&mut Config, Mutation)),
    /// Machines that do it as somebody once did.
    Naive(Flaw),
}

/// A few nodes, a model ZooKeeper, and hands on everything: see [the module](super).
#[derive(Debug)]
pub struct Museum {
    pub(super) variant: Variant,
    pub(super) configure: fn(&mut Config),
    pub(super) now: Instant,
    pub(super) server: Ensemble,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) checks: Checks,
    pub(super) resource: Resource,
    pub(super) failed: Option<Violation>,
    scheduled: BTreeMap<(Instant, u64), Scheduled>,
    scheduled_count: u64,
    events: u32,
    pub(super) hands: u64,
    lines: VecDeque<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Scheduled {
    Stopped { node: u8, life: Life, global: Name, token: Token },
    Resume { node: u8, life: Life },
    Effect(Effect),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Scheduled(u64),
    Message(ConnectionId, Way),
    Server,
    Client(u8),
    Machine(u8),
}

impl Museum {
    /// A museum without visitors: an ensemble without history, and no node.
    #[must_use]
    pub fn new(variant: Variant) -> Self {
        let now = Instant::ORIGIN;
        Self {
            variant,
            configure: |_| (),
            now,
            server: server(now),
            network: Network::default(),
            hosts: Vec::new(),
            checks: Checks::default(),
            resource: Resource::default(),
            failed: None,
            scheduled: BTreeMap::new(),
            scheduled_count: 0,
            events: 0,
            hands: 0,
            lines: VecDeque::new(),
        }
    }

    /// How the machines of nodes that start from now on are configured.
    pub fn configure(&mut self, configure: fn(&mut Config)) {
        self.configure = configure;
    }

    /// A node called `name`, whose process starts now.
    ///
    /// # Panics
    /// When `name` is not a name: scenarios are written by hand.
    pub fn node(&mut self, name: &str) -> Node {
        self.node_with_clock(name, 0)
    }

    /// A node whose clock runs so many millionths too fast.
    ///
    /// # Panics
    /// When `name` is not a name.
    pub fn node_with_clock(&mut self, name: &str, rate_ppm: i32) -> Node {
        let number = u8::try_from(self.hosts.len()).unwrap_or(u8::MAX);
        let origin = 1_000_000_000 * (1 + u64::from(number));
        self.hosts.push(Host {
            name: Name::new(name).unwrap_or_else(|error| panic!("{name}: {error}")),
            clock: Clock::new(origin, rate_ppm),
            starts: 0,
            process: None,
            stop_takes: Some(Duration::from_millis(10)),
            traps: Vec::new(),
            request_count: 0,
        });
        self.start(number);
        Node(number)
    }

    /// What became of it, with the last lines of what happened.
    ///
    /// # Errors
    /// The first violation.
    pub fn verdict(&self) -> Result<(), Violation> {
        match &self.failed {
            None => Ok(()),
            Some(violation) => {
                let detail = format!("{}\nwhat led to it:\n  {}", violation.detail, self.story());
                Err(Violation::new(violation.property, detail))
            }
        }
    }

    /// The last lines of what happened.
    #[must_use]
    pub fn story(&self) -> String {
        let last = self.lines().skip(self.lines.len().saturating_sub(STORY_MAX));
        last.collect::<Vec<_>>().join("\n  ")
    }

    /// What happened, line by line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Lets time pass.
    pub fn run(&mut self, length: Duration) {
        let until = self.now.after(length);
        while !self.is_over() {
            match self.next() {
                Some((at, happening)) if at <= until => self.happen(at, happening),
                Some(_) | None => break,
            }
        }
        self.now = self.now.max(until);
    }

    /// Lets time pass until something is so; that it never is violates `property`.
    pub(super) fn run_until(
        &mut self,
        property: &'static str,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) {
        let until = self.now.after(limit);
        while !self.is_over() && !is_so(self) {
            match self.next() {
                Some((at, happening)) if at <= until => self.happen(at, happening),
                Some(_) | None => {
                    return self.fail(Violation::new(property, format!("within {limit:?}: {what}")));
                }
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.failed.is_some()
    }

    pub(super) fn fail(&mut self, violation: Violation) {
        if self.failed.is_none() {
            self.note(format_args!("VIOLATION of {violation}"));
            self.failed = Some(violation);
        }
    }

    pub(super) fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.fail(violation);
        }
    }

    pub(super) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{} {what}", self.now));
    }

    pub(super) fn schedule(&mut self, at: Instant, what: Scheduled) {
        self.scheduled_count += 1;
        self.scheduled.insert((at, self.scheduled_count), what);
    }

    pub(super) fn start(&mut self, number: u8) {
        let now = self.now;
        let host = &mut self.hosts[usize::from(number)];
        let life = Life { node: number, number: host.starts };
        host.starts += 1;
        // Names that sort against the order in which nodes come: what goes by them is found out.
        let high = 0xf0 - (u128::from(number) << 3) - u128::from(life.number);
        let incarnation = Incarnation(high << 120 | u128::from(life.number) << 64 | (u128::from(number) + 1));
        let local = host.clock.local(now);
        let machine: Box<dyn Machine> = match self.variant {
            Variant::Naive(flaw) => Box::new(Naive::new(flaw, host.name.clone(), incarnation)),
            Variant::Real | Variant::Mutated(..) => {
                let mut config = Config::new(host.name.clone(), incarnation).with_lease(L);
                config.retry_max = L;
                config.janitor_period = None;
                (self.configure)(&mut config);
                if let Variant::Mutated(mutation, mutate) = self.variant {
                    mutate(&mut config, mutation);
                }
                let core = Coordinator::new(config, local);
                Box::new(core.unwrap_or_else(|error| panic!("the scenario's configuration: {error}")))
            }
        };
        host.process = Some(Process {
            life,
            machine,
            client: Client::new(now),
            connection: None,
            application: Application::default(),
            pause: Pause::None,
            told_session: None,
            inbox: VecDeque::new(),
            hold: Hold::Nothing,
            is_silent: false,
        });
        self.note(format_args!("{life} starts"));
    }

    /// Requests over a session of an outside hand's own. Gives the answers.
    pub(super) fn hand_in(&mut self, requests: impl IntoIterator<Item = Record>) -> Vec<FromServer> {
        self.hands += 1;
        let connection = ConnectionId(u64::MAX - self.hands);
        self.server.connect(
            self.now,
            ServerId::FIRST,
            connection,
            LOCALHOST,
            ConnectRequest::new_session(60_000),
        );
        for (xid, request) in (1..).zip(requests) {
            self.note(format_args!("hand: {request:?}"));
            self.server.request(self.now, connection, xid, request);
        }
        self.server.request(self.now, connection, 0, Record::CloseSession);
        self.drain_server()
    }

    /// Sends what the server says. Gives what it says to nobody's connection.
    pub(super) fn drain_server(&mut self) -> Vec<FromServer> {
        let (mut to_hands, mut broken) = (Vec::new(), Vec::new());
        while let Some((connection, message)) = self.server.poll_output() {
            if connection.0 > HANDS {
                to_hands.push(message);
            } else if let Some(node) = self.network.answer(self.now, connection, message) {
                broken.push((node, connection));
            }
        }
        let result = self.checks.tree_changed(self.now, self.server.tree(ServerId::FIRST));
        self.check(result);
        for (node, connection) in broken {
            self.break_connection(node, connection);
        }
        to_hands
    }

    /// The connection of a node breaks, and both ends notice.
    pub(super) fn break_connection(&mut self, node: u8, connection: ConnectionId) {
        let now = self.now;
        self.network.leave(now, connection);
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return };
        if process.connection == Some(connection) {
            process.connection = None;
            process.client.broken(now);
        }
        self.tend_client(node);
    }

    fn next(&self) -> Option<(Instant, Happening)> {
        let scheduled =
            self.scheduled.first_key_value().map(|((at, number), _)| (*at, Happening::Scheduled(*number)));
        let server = self.server.poll_timeout().map(|at| (at, Happening::Server));
        let message = self.network.next_for(|node| self.hosts[usize::from(node)].paused_until().is_none());
        let message = message.map(|(at, connection, way)| (at, Happening::Message(connection, way)));
        let nodes = (0..).zip(&self.hosts).filter(|(_, host)| host.paused_until().is_none());
        let timers = nodes.filter_map(|(number, host)| {
            let process = host.process.as_ref()?;
            let client = process.client.poll_timeout().map(|at| (at, Happening::Client(number)));
            let machine = process.machine.poll_timeout();
            let machine = machine.map(|at| (host.clock.real(at), Happening::Machine(number)));
            client.into_iter().chain(machine).min()
        });
        scheduled.into_iter().chain(server).chain(message).chain(timers).min()
    }

    fn happen(&mut self, at: Instant, happening: Happening) {
        self.now = self.now.max(at);
        self.events += 1;
        if self.events > EVENTS_MAX {
            return self.fail(Violation::new(PROPERTY_LIVENESS, format!("{EVENTS_MAX} events, and no end")));
        }
        match happening {
            Happening::Scheduled(number) => {
                if let Some(scheduled) = self.scheduled.remove(&(at, number)) {
                    self.scheduled_happens(scheduled);
                }
            }
            Happening::Message(connection, Way::Up) => self.server_receives(connection),
            Happening::Message(connection, Way::Down) => self.client_receives(connection),
            Happening::Server => {
                self.server.handle_timeout(self.now);
                self.drain_server();
            }
            Happening::Client(node) => {
                if let Some(process) = &mut self.hosts[usize::from(node)].process {
                    process.client.handle_timeout(self.now);
                }
                self.tend_client(node);
            }
            Happening::Machine(node) => self.drive(node, |machine, now| machine.handle_timeout(now)),
        }
    }

    fn scheduled_happens(&mut self, scheduled: Scheduled) {
        match scheduled {
            Scheduled::Stopped { node, life, global, token } => {
                if self.life_of(node) == Some(life) {
                    if let Some(until) = self.hosts[usize::from(node)].paused_until() {
                        return self.schedule(until, Scheduled::Stopped { node, life, global, token });
                    }
                    self.tell(node, Input::Host(HostEvent::Stopped { global, token }));
                }
            }
            Scheduled::Resume { node, life } => {
                if self.life_of(node) == Some(life) {
                    self.resume(node);
                }
            }
            Scheduled::Effect(effect) => self.effect_arrives(&effect),
        }
    }

    pub(super) fn life_of(&self, node: u8) -> Option<Life> {
        self.hosts[usize::from(node)].process.as_ref().map(|process| process.life)
    }

    fn resume(&mut self, node: u8) {
        let now = self.now;
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return };
        let held = match &mut process.pause {
            Pause::Until { until, held } if *until <= now => std::mem::take(held),
            Pause::Until { .. } | Pause::None | Pause::BeforeEffects(_) => return,
        };
        process.pause = Pause::None;
        self.note(format_args!("n{node} goes on"));
        for output in held {
            self.take_effect(node, output);
        }
    }

    fn server_receives(&mut self, connection: ConnectionId) {
        let Some(message) = self.network.take_up(connection) else { return };
        match message {
            ToServer::Connect(request) => {
                self.server.connect(self.now, ServerId::FIRST, connection, LOCALHOST, request)
            }
            ToServer::Request { xid, request } => self.server.request(self.now, connection, xid, request),
            ToServer::End => self.server.disconnect(self.now, connection),
        }
        self.drain_server();
    }

    fn client_receives(&mut self, connection: ConnectionId) {
        let Some(node) = self.network.node_of(connection) else { return };
        let Some(message) = self.network.take_down(connection) else { return };
        let now = self.now;
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return };
        if process.connection == Some(connection) {
            process.client.receive(now, message);
            self.tend_client(node);
        }
    }

    /// Does what the client of a node wants done.
    pub(super) fn tend_client(&mut self, node: u8) {
        let now = self.now;
        while let Some(process) = &mut self.hosts[usize::from(node)].process {
            let Some(action) = process.client.poll_action() else { return };
            match action {
                Action::Open(request) => {
                    let connection = self.network.open(node);
                    process.connection = Some(connection);
                    self.network.send(now, connection, ToServer::Connect(request));
                }
                Action::Send(message) => {
                    if let Some(connection) = process.connection {
                        self.network.send(now, connection, message);
                    }
                }
                Action::Leave => {
                    if let Some(connection) = process.connection.take() {
                        self.network.leave(now, connection);
                    }
                }
                Action::Tell(input) => self.pass_on(node, input),
            }
        }
    }

    /// A request of a node's machine leaves, if no trap waits for it.
    pub(super) fn submit(&mut self, node: u8, request: queenright_core::Request) {
        let now = self.now;
        let host = &mut self.hosts[usize::from(node)];
        let Some(process) = &mut host.process else { return };
        host.request_count += 1;
        let position = host.traps.iter().position(|(which, _)| which.is_it(&request.op));
        let trap = position.filter(|_| process.client.is_up()).map(|at| host.traps.remove(at).1);
        let connection = process.connection;
        let xid = process.client.submit(now, request, &[Acl::open()]);
        match (trap, xid, connection) {
            (Some(Trap::DropReply), Some(xid), Some(connection)) => self.network.doom(connection, xid),
            (Some(Trap::HoldReply), Some(_), _) => process.hold = Hold::Replies,
            (Some(Trap::DropRequest), Some(_), Some(connection)) => {
                // It never leaves: what is on the way to the network is dropped with the connection.
                while process.client.poll_action().is_some() {}
                self.break_connection(node, connection);
            }
            (_, _, _) => {}
        }
        self.tend_client(node);
    }

    pub(super) fn hold_outputs(&mut self, node: u8, outputs: Vec<Output>) {
        let (now, Some(process)) = (self.now, &mut self.hosts[usize::from(node)].process) else { return };
        match &mut process.pause {
            Pause::BeforeEffects(length) if !outputs.is_empty() => {
                let (until, life) = (now.after(*length), process.life);
                process.pause = Pause::Until { until, held: outputs };
                self.note(format_args!("{life} stands still before its effects until {until}"));
                self.schedule(until, Scheduled::Resume { node, life });
            }
            Pause::Until { held, .. } => held.extend(outputs),
            Pause::None | Pause::BeforeEffects(_) => {
                for output in outputs {
                    self.take_effect(node, output);
                }
            }
        }
    }
}

pub(super) fn server(now: Instant) -> Ensemble {
    let tick = Duration::from_millis(500);
    let config = ServerConfig {
        tick,
        min_session: tick * 2,
        max_session: T * 20,
        sweep: Duration::from_secs(60),
        ..ServerConfig::default()
    };
    Ensemble::new(config, 1, now)
}

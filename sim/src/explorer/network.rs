//! Connections between nodes and servers: first in, first out each way, slow, stalled, cut or broken.

use std::collections::VecDeque;
use std::time::Duration;

use queenright_core::Instant;
use queenright_core::wire::{ConnectRequest, Request};

use super::fault::Notice;
use super::mix::{mix, nanos, scale};
use super::plan::{NetworkPlan, Plan};
use super::queue::{Due, Queue};
use super::recorded;
use crate::timeline::{Letter, Recorder, Way, What};
use crate::zookeeper::{ConnectionId, FromServer};

/// Fixed delays from this one on are spikes.
const SPIKES_FROM: u8 = 192;

/// A message to the server.
#[derive(Debug)]
pub(super) enum ToServer {
    /// The first one of a connection.
    Connect(ConnectRequest),
    /// A request.
    Request { xid: i32, request: Request },
    /// The end of the connection.
    End,
}

/// All connections of a run, and the links that they run over.
#[derive(Debug)]
pub(super) struct Network {
    seed: u64,
    plan: NetworkPlan,
    /// Those that are fixed.
    delays: Vec<u8>,
    /// Spikes end here.
    heal_at: Instant,
    links: Vec<Link>,
    /// By number; connections are never reused.
    connections: Vec<Connection>,
    recorder: Recorder,
}

/// What all connections of one node share.
#[derive(Clone, Debug)]
struct Link {
    /// By server.
    blocked: Vec<Blocked>,
    sent_count: u64,
    received_count: u64,
}

/// Until when nothing passes.
#[derive(Clone, Copy, Debug, Default)]
struct Blocked {
    up: Instant,
    down: Instant,
}

#[derive(Debug)]
struct Connection {
    node: u8,
    server: u8,
    ends: Ends,
    blocked: Blocked,
    up: VecDeque<(Instant, ToServer)>,
    down: VecDeque<(Instant, FromServer)>,
}

/// Which ends of a connection are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Both,
    /// The client has gone; what it had sent may still arrive.
    ServerOnly,
    /// The server has closed it; what it had sent may still arrive.
    ClientOnly,
    Neither,
}

impl Network {
    pub(super) fn new(plan: &Plan, heal_at: Instant, recorder: Recorder) -> Self {
        let blocked = vec![Blocked::default(); usize::from(plan.servers)];
        let links = vec![Link { blocked, sent_count: 0, received_count: 0 }; plan.nodes.len()];
        Self {
            seed: plan.seed,
            plan: plan.network,
            delays: plan.delays.clone(),
            heal_at,
            links,
            connections: Vec::new(),
            recorder,
        }
    }

    /// A new connection of `node` to a server, counted from 0, which hears of it with the first message.
    pub(super) fn open(&mut self, node: u8, server: u8) -> ConnectionId {
        let id = ConnectionId(self.connections.len() as u64);
        self.connections.push(Connection {
            node,
            server,
            ends: Ends::Both,
            blocked: Blocked::default(),
            up: VecDeque::new(),
            down: VecDeque::new(),
        });
        id
    }

    /// The server, counted from 0, to which a connection leads.
    pub(super) fn server_of(&self, id: ConnectionId) -> Option<u8> {
        self.connections.get(index(id)).map(|connection| connection.server)
    }

    /// The node at the client's end; `None` when nobody is there any more, or never was.
    pub(super) fn client_of(&self, id: ConnectionId) -> Option<u8> {
        let connection = self.connections.get(index(id))?;
        match connection.ends {
            Ends::Both | Ends::ClientOnly => Some(connection.node),
            Ends::ServerOnly | Ends::Neither => None,
        }
    }

    /// The client sends.
    pub(super) fn send(&mut self, now: Instant, queue: &mut Queue, id: ConnectionId, message: ToServer) {
        let node = self.connections[index(id)].node;
        let at = now.after(self.delay(now, node, Way::Up));
        let connection = &mut self.connections[index(id)];
        let at = connection.up.back().map_or(at, |(last, _)| at.max(*last));
        self.recorder.record(now, || sent(Way::Up, id, connection, recorded::to_server(&message)));
        connection.up.push_back((at, message));
        queue.at(at, Due::ToServer(id));
    }

    /// The server sends.
    pub(super) fn answer(&mut self, now: Instant, queue: &mut Queue, id: ConnectionId, message: FromServer) {
        let Some(connection) = self.connections.get(index(id)) else { return };
        let (node, is_end) = (connection.node, matches!(message, FromServer::Close));
        let at = now.after(self.delay(now, node, Way::Down));
        let connection = &mut self.connections[index(id)];
        connection.ends = match (connection.ends, is_end) {
            (Ends::Both, false) => Ends::Both,
            (Ends::Both, true) => Ends::ClientOnly,
            (Ends::ServerOnly, true) => Ends::Neither,
            (Ends::ServerOnly, false) => {
                self.recorder
                    .record(now, || sent(Way::Down, id, connection, recorded::from_server(&message)));
                self.recorder.record(now, || lost(Way::Down, id, 0));
                return;
            }
            (Ends::ClientOnly | Ends::Neither, _) => return,
        };
        if is_end {
            connection.up.clear();
            self.recorder.record(now, || lost(Way::Up, id, 0));
        }
        self.recorder.record(now, || sent(Way::Down, id, connection, recorded::from_server(&message)));
        let at = connection.down.back().map_or(at, |(last, _)| at.max(*last));
        connection.down.push_back((at, message));
        queue.at(at, Due::ToClient(id));
    }

    /// The next message that reaches the server; with it, whether the client that sent it is still there. `None`
    /// when it is held up (it is scheduled again) or there is none any more.
    pub(super) fn arrive_up(
        &mut self,
        now: Instant,
        queue: &mut Queue,
        id: ConnectionId,
    ) -> Option<(ToServer, Sender)> {
        let connection = self.connections.get_mut(index(id))?;
        let free_at =
            connection.blocked.up.max(self.links[usize::from(connection.node)].of(connection.server).up);
        let at = connection.up.front()?.0.max(free_at);
        if at > now {
            queue.at(at, Due::ToServer(id));
            return None;
        }
        let (_, message) = connection.up.pop_front()?;
        let sender = match connection.ends {
            Ends::Both | Ends::ClientOnly => Sender::There,
            Ends::ServerOnly | Ends::Neither => Sender::Gone,
        };
        if let ToServer::End = message {
            connection.ends = Ends::Neither;
        } else {
            self.recorder.record(now, || What::Arrived { way: Way::Up, connection: id.0 });
        }
        Some((message, sender))
    }

    /// The next message that reaches the client. `None` when it is held up or there is none any more.
    pub(super) fn arrive_down(
        &mut self,
        now: Instant,
        queue: &mut Queue,
        id: ConnectionId,
    ) -> Option<FromServer> {
        let connection = self.connections.get_mut(index(id))?;
        let free_at =
            connection.blocked.down.max(self.links[usize::from(connection.node)].of(connection.server).down);
        let at = connection.down.front()?.0.max(free_at);
        if at > now {
            queue.at(at, Due::ToClient(id));
            return None;
        }
        let (_, message) = connection.down.pop_front()?;
        self.recorder.record(now, || What::Arrived { way: Way::Down, connection: id.0 });
        Some(message)
    }

    /// The client's end is gone. The first `delivered` messages under way still arrive, `linger` later at least,
    /// and then the end of the connection, if it is noticed at all.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        queue: &mut Queue,
        id: ConnectionId,
        Leaving { delivered, linger, notice }: Leaving,
    ) {
        let until = self.clamp(now.after(linger));
        let connection = &mut self.connections[index(id)];
        connection.down.clear();
        self.recorder.record(now, || lost(Way::Down, id, 0));
        connection.ends = match connection.ends {
            Ends::Both | Ends::ServerOnly => Ends::ServerOnly,
            Ends::ClientOnly | Ends::Neither => Ends::Neither,
        };
        if connection.ends == Ends::Neither {
            connection.up.clear();
            self.recorder.record(now, || lost(Way::Up, id, 0));
            return;
        }
        connection.up.truncate(usize::from(delivered));
        self.recorder.record(now, || lost(Way::Up, id, usize::from(delivered)));
        connection.blocked.up = connection.blocked.up.max(until);
        if notice == Notice::Given {
            let at = connection.up.back().map_or(now, |(last, _)| *last);
            connection.up.push_back((at, ToServer::End));
            queue.at(at, Due::ToServer(id));
        }
    }

    /// Holds up what passes on one connection.
    pub(super) fn stall(&mut self, now: Instant, id: ConnectionId, to_server: Duration, to_client: Duration) {
        let (up, down) = (self.clamp(now.after(to_server)), self.clamp(now.after(to_client)));
        self.connections[index(id)].blocked.extend(up, down);
        self.record_hold(now, self.connections[index(id)].node, up, down);
    }

    /// Holds up all that passes between a node and a server, counted from 0, or all of them.
    pub(super) fn cut(
        &mut self,
        now: Instant,
        node: u8,
        server: Option<u8>,
        to_server: Duration,
        to_client: Duration,
    ) {
        let (up, down) = (self.clamp(now.after(to_server)), self.clamp(now.after(to_client)));
        for (number, blocked) in (0..).zip(&mut self.links[usize::from(node)].blocked) {
            if server.is_none_or(|server| server == number) {
                blocked.extend(up, down);
            }
        }
        self.record_hold(now, node, up, down);
    }

    fn record_hold(&self, now: Instant, node: u8, up: Instant, down: Instant) {
        for (way, until) in [(Way::Up, up), (Way::Down, down)] {
            if until > now {
                self.recorder.record(now, || What::Held { node, way, until });
            }
        }
    }

    fn clamp(&self, until: Instant) -> Instant {
        until.min(self.heal_at)
    }

    /// How long the next message of a node takes: derived from its number, not from what else happens.
    fn delay(&mut self, now: Instant, node: u8, way: Way) -> Duration {
        let nodes = self.links.len() as u64;
        let link = &mut self.links[usize::from(node)];
        let (number, label) = match way {
            Way::Up => (&mut link.sent_count, 0),
            Way::Down => (&mut link.received_count, 1),
        };
        let fixed_at = (*number * nodes + u64::from(node)) * 2 + label;
        *number += 1;
        let word = mix(mix(self.seed, 1 << 32 | u64::from(node) << 8 | label), *number);
        let NetworkPlan { delay_min, delay_max, spike_one_in, spike_max } = self.plan;
        if let Some(fixed) = usize::try_from(fixed_at).ok().and_then(|at| self.delays.get(at)) {
            return match fixed.checked_sub(SPIKES_FROM) {
                Some(spike) if now < self.heal_at => {
                    delay_max + spike_max * u32::from(spike + 1) / u32::from(u8::MAX - SPIKES_FROM + 1)
                }
                Some(_) => delay_max,
                None => delay_min + (delay_max - delay_min) * u32::from(*fixed) / u32::from(SPIKES_FROM),
            };
        }
        let usual = delay_min + Duration::from_nanos(scale(word, nanos(delay_max - delay_min)));
        let is_spike = now < self.heal_at && spike_one_in != 0 && mix(word, 1).is_multiple_of(spike_one_in);
        if is_spike { usual + Duration::from_nanos(scale(mix(word, 2), nanos(spike_max))) } else { usual }
    }
}

/// Whether the client that sent a message is still there when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    There,
    Gone,
}

/// How a client leaves a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) delivered: u8,
    pub(super) linger: Duration,
    pub(super) notice: Notice,
}

impl Leaving {
    /// All that was sent arrives, and then the end.
    pub(super) const ORDERLY: Self =
        Self { delivered: u8::MAX, linger: Duration::ZERO, notice: Notice::Given };
}

impl Link {
    fn of(&self, server: u8) -> Blocked {
        self.blocked[usize::from(server)]
    }
}

impl Blocked {
    fn extend(&mut self, up: Instant, down: Instant) {
        self.up = self.up.max(up);
        self.down = self.down.max(down);
    }
}

fn sent(way: Way, ConnectionId(id): ConnectionId, connection: &Connection, letter: Letter) -> What {
    What::Sent { way, connection: id, node: connection.node, server: connection.server, letter }
}

fn lost(way: Way, ConnectionId(connection): ConnectionId, kept: usize) -> What {
    What::Lost { way, connection, kept }
}

fn index(id: ConnectionId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

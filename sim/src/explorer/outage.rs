//! What goes wrong among the servers: as data, and as it strikes.
//!
//! The model ensemble has no elections of its own: here, a while after the last leader is gone, one of the servers that
//! can talk with a majority is elected.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use queenright_core::Instant;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Hand, Limits, Strike, When, silence};
use super::mix::{Draw, mix, nanos, scale};
use super::queue::Due;
use super::sometimes::Reached;
use super::world::{World, server_id};
use crate::checkers::Violation;
use crate::zookeeper::{Role, ServerId};

/// What strikes servers, which are counted from 0. None of it loses what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outage {
    /// Nothing passes between two servers, each way for a time of its own.
    Cut {
        /// One of them.
        one: u8,
        /// The other one.
        other: u8,
        /// From the one to the other.
        #[serde(with = "humantime_serde")]
        there: Duration,
        /// From the other to the one.
        #[serde(with = "humantime_serde")]
        back: Duration,
    },
    /// What one server says to another takes long.
    Slow {
        /// Who says it.
        from: u8,
        /// Who hears it.
        to: u8,
        /// How long it takes.
        #[serde(with = "humantime_serde")]
        delay: Duration,
        /// For how long that lasts.
        #[serde(with = "humantime_serde")]
        length: Duration,
    },
    /// A server takes part in everything and applies nothing: it answers from the past.
    Lag {
        /// Which.
        server: u8,
        /// For how long.
        #[serde(with = "humantime_serde")]
        length: Duration,
    },
    /// A server is cut off from the others, and serves its clients on until its patience is over.
    Isolate {
        /// Which.
        server: u8,
        /// For how long.
        #[serde(with = "humantime_serde")]
        length: Duration,
        /// Who leads the others from that moment on; when `None`, they notice by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<u8>,
    },
    /// Another server leads. Connections to all that follow it break.
    Lead {
        /// Which.
        server: u8,
    },
    /// A server dies, with all its connections.
    Crash {
        /// Which.
        server: u8,
        /// After so long it starts again.
        #[serde(with = "humantime_serde")]
        restart: Duration,
    },
}

/// The kinds of faults that a seed of an ensemble can switch on beside those of any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cut,
    Slow,
    Lag,
    Isolate,
    Lead,
    Crash,
    /// A node is cut off from one server.
    Part,
    /// The numbers of a queue are about to wrap around.
    Sequence,
}

impl Kind {
    /// Those that make sense with so many servers.
    pub(super) fn all(servers: u8) -> impl Iterator<Item = Self> {
        let among_several = [Self::Cut, Self::Slow, Self::Lag, Self::Isolate, Self::Lead, Self::Part];
        let among_several = among_several.into_iter().filter(move |_| servers > 1);
        [Self::Crash, Self::Sequence].into_iter().chain(among_several)
    }
}

/// Draws a moment and a fault, one of the `kinds`.
pub(super) fn strike(draw: &mut Draw, kinds: &[Kind], servers: u8, limits: &Limits) -> Strike {
    let when = When::At(Instant::from_nanos(draw.below(nanos(limits.heal_at))));
    let server = draw.index(servers);
    let other = (server + 1 + draw.index(servers.saturating_sub(1))) % servers;
    let (length, back) = (silence(draw, limits), silence(draw, limits));
    let fault = match draw.pick(kinds) {
        Kind::Cut => Fault::Outage(Outage::Cut { one: server, other, there: length, back }),
        Kind::Slow => {
            let delay = draw.duration(Duration::ZERO, limits.lease / 2);
            Fault::Outage(Outage::Slow { from: server, to: other, delay, length })
        }
        Kind::Lag => Fault::Outage(Outage::Lag { server, length }),
        Kind::Isolate => {
            let successor = (!draw.one_in(3)).then_some(other);
            Fault::Outage(Outage::Isolate { server, length, successor })
        }
        Kind::Lead => Fault::Outage(Outage::Lead { server }),
        Kind::Crash => Fault::Outage(Outage::Crash { server, restart: length }),
        Kind::Part => {
            let node = draw.index(limits.nodes);
            Fault::Cut { node, server: Some(server), to_server: length, to_client: back }
        }
        Kind::Sequence => {
            let (global, left) = (draw.index(limits.globals), draw.index(4));
            Fault::Hand(Hand::PresetSequence { global, left })
        }
    };
    Strike { when, fault }
}

impl Outage {
    /// One more than the highest server that it names.
    pub(super) fn servers_used(self) -> u8 {
        let highest = match self {
            Self::Cut { one, other, .. } => one.max(other),
            Self::Slow { from, to, .. } => from.max(to),
            Self::Isolate { server, successor, .. } => server.max(successor.unwrap_or(0)),
            Self::Lag { server, .. } | Self::Lead { server } | Self::Crash { server, .. } => server,
        };
        highest.saturating_add(1)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { one, other, there, back } => {
                write!(f, "cut between servers {one} and {other}: {there:?} there, {back:?} back")
            }
            Self::Slow { from, to, delay, length } => {
                write!(f, "server {from} reaches server {to} only after {delay:?}, for {length:?}")
            }
            Self::Lag { server, length } => write!(f, "server {server} applies nothing for {length:?}"),
            Self::Isolate { server, length, successor } => {
                write!(f, "server {server} is cut off from the others for {length:?}")?;
                match successor {
                    Some(successor) => write!(f, "; server {successor} leads them"),
                    None => Ok(()),
                }
            }
            Self::Lead { server } => write!(f, "server {server} leads"),
            Self::Crash { server, restart } => write!(f, "crash server {server}: restart after {restart:?}"),
        }
    }
}

/// What is out of order, and until when.
#[derive(Debug, Default)]
pub(super) struct Outages {
    cut: BTreeMap<(ServerId, ServerId), Instant>,
    slow: BTreeMap<(ServerId, ServerId), Instant>,
    held: BTreeMap<ServerId, Instant>,
    down: BTreeMap<ServerId, Instant>,
    /// An election is under way.
    is_electing: bool,
    elections: u64,
}

impl World<'_> {
    /// An outage strikes.
    pub(super) fn outage(&mut self, outage: Outage) -> Result<(), Violation> {
        match outage {
            Outage::Cut { one, other, there, back } => {
                self.sometimes.reach(Reached::ServersCut);
                self.cut_servers(one, other, there);
                self.cut_servers(other, one, back);
            }
            Outage::Slow { from, to, delay, length } if from != to => {
                let pair = (server_id(from), server_id(to));
                self.server.delay(self.now, pair.0, pair.1, delay);
                let until = self.mended_at(length);
                extend(&mut self.outages.slow, pair, until);
            }
            Outage::Slow { .. } => {}
            Outage::Lag { server, length } => {
                self.server.hold(self.now, server_id(server));
                let until = self.mended_at(length);
                extend(&mut self.outages.held, server_id(server), until);
            }
            Outage::Isolate { server, length, successor } => {
                for other in (0..self.plan.servers).filter(|other| *other != server) {
                    self.cut_servers(server, other, length);
                    self.cut_servers(other, server, length);
                }
                if self.server.role(server_id(server)) == Role::Leading {
                    self.sometimes.reach(Reached::LeaderCutOff);
                }
                if let Some(successor) = successor {
                    self.lead(successor);
                }
            }
            Outage::Lead { server } => self.lead(server),
            Outage::Crash { server, restart } => {
                self.server.crash(self.now, server_id(server));
                self.sometimes.reach(Reached::ServerCrashed);
                let until = self.mended_at(restart);
                extend(&mut self.outages.down, server_id(server), until);
            }
        }
        self.drain_server()
    }

    /// What is due by `now` is in order again.
    pub(super) fn mend(&mut self, due: Instant) -> Result<(), Violation> {
        let now = self.now;
        for (from, to) in take_due(&mut self.outages.cut, due) {
            self.server.heal(now, from, to);
        }
        for (from, to) in take_due(&mut self.outages.slow, due) {
            self.server.delay(now, from, to, Duration::ZERO);
        }
        for server in take_due(&mut self.outages.held, due) {
            self.server.release(now, server);
        }
        for server in take_due(&mut self.outages.down, due) {
            self.server.restart(now, server);
        }
        self.drain_server()
    }

    /// When nobody leads, an election is over after a while.
    pub(super) fn look_for_leader(&mut self) {
        if self.server.leader().is_some() || self.outages.is_electing {
            return;
        }
        self.outages.is_electing = true;
        let longest = nanos(self.plan.tick * 2);
        let length = scale(mix(self.plan.seed, 6 << 32 | self.outages.elections), longest);
        let at = self.now.after(Duration::from_nanos(length));
        self.queue.at(at.min(self.heal_at.max(self.now)), Due::Election);
    }

    /// One of those that can talk with a majority is elected, if there are any.
    pub(super) fn election(&mut self) -> Result<(), Violation> {
        self.outages.is_electing = false;
        if self.server.leader().is_some() {
            return Ok(());
        }
        self.outages.elections += 1;
        let count = u64::from(self.plan.servers);
        let first = scale(mix(self.plan.seed, 7 << 32 | self.outages.elections), count);
        for turn in 0..count {
            let server = u8::try_from((first + turn) % count).unwrap_or(0);
            self.lead(server);
            if self.server.leader().is_some() {
                break;
            }
        }
        self.drain_server()
    }

    fn lead(&mut self, server: u8) {
        let before = self.server.leader();
        if self.server.set_leader(self.now, server_id(server)).is_ok() && before != Some(server_id(server)) {
            self.sometimes.reach(Reached::LeaderChanged);
            self.trace.note(self.now, &(3_u8, server), |line| write!(line, "server {server} was elected"));
        }
    }

    fn cut_servers(&mut self, from: u8, to: u8, length: Duration) {
        if from == to || length.is_zero() {
            return;
        }
        let pair = (server_id(from), server_id(to));
        self.server.cut(self.now, pair.0, pair.1);
        let until = self.mended_at(length);
        extend(&mut self.outages.cut, pair, until);
    }

    fn mended_at(&mut self, length: Duration) -> Instant {
        let until = self.now.after(length).min(self.heal_at);
        self.queue.at(until, Due::Mend);
        until
    }
}

fn extend<K: Ord>(outages: &mut BTreeMap<K, Instant>, what: K, until: Instant) {
    let known = outages.entry(what).or_insert(until);
    *known = until.max(*known);
}

fn take_due<K: Ord + Copy>(outages: &mut BTreeMap<K, Instant>, due: Instant) -> Vec<K> {
    let over: Vec<K> = outages.iter().filter(|(_, until)| **until <= due).map(|(what, _)| *what).collect();
    outages.retain(|_, until| *until > due);
    over
}

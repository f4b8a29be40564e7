//! What can go wrong, as data: a plan lists faults one by one, so that they can be taken out one by one.

use std::fmt;
use std::time::Duration;

use queenright_core::Instant;
use serde::{Deserialize, Serialize};

use super::mix::{Draw, nanos};
use super::outage::Outage;

/// A fault of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strike {
    /// When it strikes.
    pub when: When,
    /// What it does.
    pub fault: Fault,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum When {
    /// At this time of the simulation.
    At(#[serde(with = "super::written::instant")] Instant),
    /// This long after a node has submitted its `index`-th request: early steps of the protocol, in which time
    /// stands almost still, are hit as often as later ones.
    AfterRequest {
        /// Which node.
        node: u8,
        /// Which of its requests, over all its lives; the first is 1.
        index: u32,
        /// How long after it.
        #[serde(with = "humantime_serde")]
        delay: Duration,
    },
}

/// What strikes. Faithful to TCP: a connection stalls or breaks, it never loses one message and lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// The connection breaks. What the server had not sent yet is lost; of what the client had sent, the first
    /// `delivered` messages still arrive, `linger` later.
    Break {
        /// Whose connection.
        node: u8,
        /// How much of what was under way still reaches the server.
        delivered: u8,
        /// How much later than it would have.
        #[serde(with = "humantime_serde")]
        linger: Duration,
        /// Whether the server learns of the end at all.
        notice: Notice,
    },
    /// The client gives its session up and begins another one, while what it had sent may still arrive: a local
    /// expiry, or an adapter that rebuilt a broken client.
    Abandon {
        /// Whose session.
        node: u8,
        /// How much of what was under way still reaches the server.
        delivered: u8,
        /// How much later than it would have.
        #[serde(with = "humantime_serde")]
        linger: Duration,
    },
    /// The connection stands still, each way for a time of its own. A new one would not.
    Stall {
        /// Whose connection.
        node: u8,
        /// Towards the server.
        #[serde(with = "humantime_serde")]
        to_server: Duration,
        /// Towards the client.
        #[serde(with = "humantime_serde")]
        to_client: Duration,
    },
    /// Nothing passes between the node and a server, on any connection, each way for a time of its own.
    Cut {
        /// Which node.
        node: u8,
        /// Which server, counted from 0; all of them when `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<u8>,
        /// Towards the server.
        #[serde(with = "humantime_serde")]
        to_server: Duration,
        /// Towards the client.
        #[serde(with = "humantime_serde")]
        to_client: Duration,
    },
    /// The server ends the session.
    Expire {
        /// Whose session.
        node: u8,
    },
    /// The node's process stands still; its clock does not.
    Pause {
        /// Which node.
        node: u8,
        /// For how long.
        #[serde(with = "humantime_serde")]
        length: Duration,
        /// At which point.
        point: PausePoint,
    },
    /// The node's process dies at once.
    Crash {
        /// Which node.
        node: u8,
        /// After this long it starts again, under the same name; never when `None`.
        #[serde(with = "humantime_serde", default, skip_serializing_if = "Option::is_none")]
        restart: Option<Duration>,
        /// How much of what was under way still reaches the server.
        delivered: u8,
        /// How much later than it would have.
        #[serde(with = "humantime_serde")]
        linger: Duration,
        /// Whether the server learns of the end at all.
        notice: Notice,
    },
    /// An outside hand in the tree.
    Hand(Hand),
    /// Something goes wrong among the servers.
    Outage(Outage),
}

/// Whether the server hears of the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Notice {
    /// After what still arrives on it.
    Given,
    /// Never: the power went, or a router forgot the connection.
    Missing,
}

/// Where in its work a node is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PausePoint {
    /// Before it takes the next input.
    BeforeInput,
    /// Between the core's next outputs and their effects: what the core decided happens a pause later.
    BeforeEffects,
}

/// Somebody with a shell and no manners. `pick` chooses among what is there at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Hand {
    /// Deletes an instance of a service, or a node's membership.
    DeleteInstance {
        /// Which of those in the tree.
        pick: u32,
    },
    /// Overwrites an instance's data with garbage.
    GarbleInstance {
        /// Which of those in the tree.
        pick: u32,
    },
    /// Creates a persistent znode where a node's instance should be.
    Squat {
        /// Whose instance.
        node: u8,
        /// In which service.
        service: u8,
        /// Which instance.
        instance: u8,
    },
    /// Deletes a candidate from a queue.
    DeleteCandidate {
        /// Which of those in the tree.
        pick: u32,
    },
    /// Creates and deletes children of a queue, if nobody stands in it, until its sequence numbers are about to wrap around.
    PresetSequence {
        /// Of which global.
        global: u8,
        /// How many numbers are left before the first negative one.
        left: u8,
    },
    /// Creates a child that means nothing.
    ForeignChild {
        /// Where.
        place: ForeignPlace,
        /// Which global or service.
        index: u8,
        /// Which name and data.
        kind: u8,
    },
}

/// Where a foreign child appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForeignPlace {
    /// Among the nodes.
    Nodes,
    /// Among the instances of a service.
    Service,
    /// In the queue of a global.
    Queue,
    /// Among the lease records.
    Leases,
    /// Among the globals.
    Globals,
}

/// The kinds of faults that a seed can switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Break,
    Abandon,
    Stall,
    Cut,
    Expire,
    Pause,
    Crash,
    Hand,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Break,
        Self::Abandon,
        Self::Stall,
        Self::Cut,
        Self::Expire,
        Self::Pause,
        Self::Crash,
        Self::Hand,
    ];
}

/// What a fault is drawn within.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) nodes: u8,
    pub(super) globals: u8,
    pub(super) services: u8,
    pub(super) instances: u8,
    pub(super) lease: Duration,
    pub(super) session: Duration,
    pub(super) heal_at: Duration,
    /// How many requests of a node a fault may be tied to.
    pub(super) requests: u64,
    /// ρ.
    pub(super) clock_rate_ppm: u32,
}

/// Draws the moment and the fault, one of the `kinds`.
pub(super) fn draw(draw: &mut Draw, kinds: &[Kind], limits: &Limits) -> Strike {
    let when = if draw.one_in(3) {
        When::AfterRequest {
            node: draw.index(limits.nodes),
            index: u32::try_from(draw.between(1, limits.requests)).unwrap_or(1),
            delay: draw.duration(Duration::ZERO, limits.lease / 50),
        }
    } else {
        When::At(Instant::from_nanos(draw.below(nanos(limits.heal_at))))
    };
    let node = match when {
        When::AfterRequest { node, .. } => node,
        When::At(_) => draw.index(limits.nodes),
    };
    let fault = match draw.pick(kinds) {
        Kind::Break => {
            let (delivered, linger) = (delivered(draw), linger(draw, limits));
            Fault::Break { node, delivered, linger, notice: notice(draw) }
        }
        Kind::Abandon => Fault::Abandon { node, delivered: delivered(draw), linger: linger(draw, limits) },
        Kind::Stall => {
            Fault::Stall { node, to_server: silence(draw, limits), to_client: silence(draw, limits) }
        }
        Kind::Cut => Fault::Cut {
            node,
            server: None,
            to_server: silence(draw, limits),
            to_client: silence(draw, limits),
        },
        Kind::Expire => Fault::Expire { node },
        Kind::Pause => Fault::Pause {
            node,
            length: silence(draw, limits),
            point: draw.pick(&[PausePoint::BeforeInput, PausePoint::BeforeEffects]),
        },
        Kind::Crash => {
            let restart = match draw.below(4) {
                0 => None,
                1 => Some(draw.duration(Duration::ZERO, limits.lease / 10)),
                _ => Some(draw.duration(Duration::ZERO, limits.lease * 3)),
            };
            let (delivered, linger) = (delivered(draw), linger(draw, limits));
            Fault::Crash { node, restart, delivered, linger, notice: notice(draw) }
        }
        Kind::Hand => Fault::Hand(hand(draw, limits)),
    };
    Strike { when, fault }
}

fn hand(draw: &mut Draw, limits: &Limits) -> Hand {
    let pick = u32::try_from(draw.below(1 << 16)).unwrap_or(0);
    match draw.below(5) {
        0 => Hand::DeleteInstance { pick },
        1 => Hand::GarbleInstance { pick },
        2 => Hand::Squat {
            node: draw.index(limits.nodes),
            service: draw.index(limits.services),
            instance: draw.index(limits.instances),
        },
        3 => Hand::DeleteCandidate { pick },
        _ => {
            let place = draw.pick(&[
                ForeignPlace::Nodes,
                ForeignPlace::Service,
                ForeignPlace::Queue,
                ForeignPlace::Leases,
                ForeignPlace::Globals,
            ]);
            let bound = if place == ForeignPlace::Service { limits.services } else { limits.globals };
            Hand::ForeignChild { place, index: draw.index(bound), kind: draw.index(4) }
        }
    }
}

/// Often nothing, sometimes all that was under way.
fn delivered(draw: &mut Draw) -> u8 {
    match draw.below(3) {
        0 => 0,
        1 => draw.index(4),
        _ => u8::MAX,
    }
}

/// Usually none; sometimes so long that others act in between.
fn linger(draw: &mut Draw, limits: &Limits) -> Duration {
    match draw.below(4) {
        0 => draw.duration(Duration::ZERO, limits.lease / 5),
        1 => draw.duration(limits.lease, limits.lease * 4),
        _ => Duration::ZERO,
    }
}

/// A silence: of no account, of the order of a lease, or of the order of a session.
pub(super) fn silence(draw: &mut Draw, limits: &Limits) -> Duration {
    match draw.below(6) {
        0 => Duration::ZERO,
        1 => draw.duration(Duration::ZERO, limits.lease / 10),
        2 => draw.duration(Duration::ZERO, limits.lease),
        3 | 4 => draw.duration(limits.lease * 9 / 10, limits.lease * 2),
        _ => draw.duration(limits.session / 2, limits.session * 2),
    }
}

fn notice(draw: &mut Draw) -> Notice {
    if draw.one_in(3) { Notice::Missing } else { Notice::Given }
}

impl Fault {
    /// The node that it strikes, if it is one.
    #[must_use]
    pub const fn node(&self) -> Option<u8> {
        match *self {
            Self::Break { node, .. }
            | Self::Abandon { node, .. }
            | Self::Stall { node, .. }
            | Self::Cut { node, .. }
            | Self::Expire { node }
            | Self::Pause { node, .. }
            | Self::Crash { node, .. } => Some(node),
            Self::Hand(_) | Self::Outage(_) => None,
        }
    }

    /// What an outside hand does, if it is one.
    pub(super) const fn hand(&self) -> Option<Hand> {
        match *self {
            Self::Hand(hand) => Some(hand),
            Self::Break { .. }
            | Self::Abandon { .. }
            | Self::Stall { .. }
            | Self::Cut { .. }
            | Self::Expire { .. }
            | Self::Pause { .. }
            | Self::Crash { .. }
            | Self::Outage(_) => None,
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.fault)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {at}"),
            Self::AfterRequest { node, index, delay } => {
                write!(f, "{delay:?} after request {index} of n{node}")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Break { node, delivered, linger, notice } => {
                write!(f, "break n{node}: {delivered} still arrive, {linger:?} later; notice {notice:?}")
            }
            Self::Abandon { node, delivered, linger } => {
                write!(f, "n{node} gives its session up: {delivered} still arrive, {linger:?} later")
            }
            Self::Stall { node, to_server, to_client } => {
                write!(f, "stall the connection of n{node}: {to_server:?} up, {to_client:?} down")
            }
            Self::Cut { node, server, to_server, to_client } => {
                write!(f, "cut off n{node}")?;
                if let Some(server) = server {
                    write!(f, " from server {server}")?;
                }
                write!(f, ": {to_server:?} up, {to_client:?} down")
            }
            Self::Expire { node } => write!(f, "expire the session of n{node}"),
            Self::Pause { node, length, point } => write!(f, "pause n{node} for {length:?}, {point:?}"),
            Self::Crash { node, restart, delivered, linger, notice } => {
                write!(f, "crash n{node}: {delivered} still arrive, {linger:?} later; notice {notice:?}; ")?;
                match restart {
                    Some(after) => write!(f, "restart after {after:?}"),
                    None => f.write_str("no restart"),
                }
            }
            Self::Hand(hand) => write!(f, "outside hand: {hand:?}"),
            Self::Outage(outage) => write!(f, "{outage}"),
        }
    }
}

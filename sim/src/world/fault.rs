//! What can go wrong in a simulation, and when.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A machine of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// One of the nodes, from 0.
    Node(u8),
    /// One of the ZooKeeper servers, from 1.
    Server(u8),
}

/// A fault. It begins and ends when [`Simulation::fault`](super::Simulation::fault) says; those that are events only
/// begin.
///
/// All are what TCP and machines do: a connection stalls or breaks, and never loses one message and lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing passes between the two, and what is under way is lost: connections of before stay silent for ever, also when
    /// it is over. Between two servers it is a stall: theirs survive.
    Partition {
        /// One end.
        a: Place,
        /// The other end.
        b: Place,
    },
    /// The same in one direction.
    OneWay {
        /// Whose messages are lost.
        from: Place,
        /// Whom they do not reach.
        to: Place,
    },
    /// Nothing passes between the two, and everything arrives when it is over.
    Hold {
        /// One end.
        a: Place,
        /// The other end.
        b: Place,
    },
    /// [`Partition`](Self::Partition) from everybody else.
    Isolate {
        /// Who is alone.
        place: Place,
    },
    /// The machine is down: its connections are reset, and what it had in memory is gone. When this is over it starts
    /// again, with the same address: a node as another incarnation, a server with all that was committed.
    Down {
        /// Who is down.
        place: Place,
    },
    /// An event: the process is killed and started again at once.
    Bounce {
        /// Which node.
        node: u8,
    },
    /// An event: ZooKeeper ends the sessions with which the node is connected.
    Expire {
        /// Which node.
        node: u8,
    },
    /// The server applies nothing of what the others commit: it serves old state.
    Lag {
        /// Which server.
        server: u8,
    },
    /// An event: the ensemble elects this server, if it can.
    Lead {
        /// Which server.
        server: u8,
    },
    /// Every message between the two takes exactly so long.
    Slow {
        /// One end.
        a: Place,
        /// The other end.
        b: Place,
        /// How long.
        latency: Duration,
    },
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// When it begins.
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// When it is over; `None` for at the end of the simulation.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    pub until: Option<Duration>,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Strike {
    /// A fault for a period.
    pub(super) fn new(period: &impl RangeBounds<Duration>, fault: Fault) -> Self {
        let from = match period.start_bound() {
            Bound::Included(from) | Bound::Excluded(from) => *from,
            Bound::Unbounded => Duration::ZERO,
        };
        let until = match period.end_bound() {
            Bound::Included(until) | Bound::Excluded(until) => Some(*until),
            Bound::Unbounded => None,
        };
        Self { from, until: until.filter(|_| !fault.is_event()), fault }
    }

    /// Whether it is in force at `at`.
    pub(super) fn is_active(&self, at: Duration) -> bool {
        !self.fault.is_event() && self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

impl Fault {
    /// Whether it has no length.
    #[must_use]
    pub const fn is_event(&self) -> bool {
        match self {
            Self::Bounce { .. } | Self::Expire { .. } | Self::Lead { .. } => true,
            Self::Partition { .. }
            | Self::OneWay { .. }
            | Self::Hold { .. }
            | Self::Isolate { .. }
            | Self::Down { .. }
            | Self::Lag { .. }
            | Self::Slow { .. } => false,
        }
    }

    /// A node that it strikes, if it does.
    pub(super) fn node(&self) -> Option<u8> {
        self.places().into_iter().find_map(|place| match place {
            Place::Node(node) => Some(node),
            Place::Server(_) => None,
        })
    }

    /// The machines that it names.
    pub(super) fn places(&self) -> Vec<Place> {
        match *self {
            Self::Partition { a, b } | Self::Hold { a, b } | Self::Slow { a, b, .. } => vec![a, b],
            Self::OneWay { from, to } => vec![from, to],
            Self::Isolate { place } | Self::Down { place } => vec![place],
            Self::Bounce { node } | Self::Expire { node } => vec![Place::Node(node)],
            Self::Lag { server } | Self::Lead { server } => vec![Place::Server(server)],
        }
    }
}

impl Place {
    /// The machine of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let node = name.strip_prefix("node-").and_then(|number| number.parse().ok()).map(Self::Node);
        let server =
            || name.strip_prefix("zookeeper-").and_then(|number| number.parse().ok()).map(Self::Server);
        node.or_else(server)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node-{node}"),
            Self::Server(server) => write!(f, "zookeeper-{server}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { a, b } => write!(f, "partition between {a} and {b}"),
            Self::OneWay { from, to } => write!(f, "nothing of {from} reaches {to}"),
            Self::Hold { a, b } => write!(f, "hold between {a} and {b}"),
            Self::Isolate { place } => write!(f, "{place} is isolated"),
            Self::Down { place } => write!(f, "{place} is down"),
            Self::Bounce { node } => write!(f, "node-{node} is killed and starts again"),
            Self::Expire { node } => write!(f, "the session of node-{node} expires"),
            Self::Lag { server } => write!(f, "zookeeper-{server} lags"),
            Self::Lead { server } => write!(f, "zookeeper-{server} is elected"),
            Self::Slow { a, b, latency } => write!(f, "{latency:?} between {a} and {b}"),
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "{:?} to {until:?}: {}", self.from, self.fault),
            None if self.fault.is_event() => write!(f, "{:?}: {}", self.from, self.fault),
            None => write!(f, "{:?} to the end: {}", self.from, self.fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_in_force_for_its_period_and_an_event_never() {
        let second = Duration::from_secs(1);
        let place = Place::Node(0);
        let strike = Strike::new(&(second..2 * second), Fault::Isolate { place });
        assert!(
            !strike.is_active(Duration::ZERO) && strike.is_active(second) && !strike.is_active(2 * second)
        );
        assert!(Strike::new(&(second..), Fault::Down { place }).is_active(100 * second));
        let event = Strike::new(&(second..2 * second), Fault::Expire { node: 0 });
        assert!(!event.is_active(second));
        assert_eq!(event.to_string(), "1s: the session of node-0 expires");
    }
}

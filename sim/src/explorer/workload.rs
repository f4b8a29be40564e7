//! What the applications on the nodes do, as data.

use std::fmt;
use std::time::Duration;

use queenright_core::{Instant, Terms};
use serde::{Deserialize, Serialize};

use super::fault::Limits;
use super::mix::{Draw, nanos};

/// How many instances a node may register in one service.
pub(super) const INSTANCES: u8 = 2;

/// One step of an application on one node. A step that makes no sense at its time (the node is down, there is
/// nothing to unregister) is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Stand for a global.
    Campaign {
        /// Which.
        global: u8,
        /// For one term or for many.
        terms: Terms,
    },
    /// Stand no longer.
    Resign {
        /// For which global.
        global: u8,
    },
    /// The application of a term ends by itself.
    Finish {
        /// Which global's.
        global: u8,
    },
    /// Register an instance.
    Register {
        /// In which service.
        service: u8,
        /// Which of the node's.
        instance: u8,
        /// With which payload; 0 for an empty one.
        payload: u8,
    },
    /// Replace a registration's payload.
    Update {
        /// In which service.
        service: u8,
        /// Which of the node's.
        instance: u8,
        /// By which payload; 0 for an empty one.
        payload: u8,
    },
    /// Withdraw a registration.
    Unregister {
        /// From which service.
        service: u8,
        /// Which of the node's.
        instance: u8,
    },
    /// Follow a directory.
    Subscribe(Watched),
    /// Follow it no longer.
    Unsubscribe(Watched),
    /// Follow the holder of a global.
    LookUp {
        /// Which.
        global: u8,
    },
    /// Follow it no longer.
    Forget {
        /// Which global.
        global: u8,
    },
    /// Close the node; it does not come back.
    Close,
}

/// A directory, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Watched {
    /// The nodes.
    Nodes,
    /// A service.
    Service(u8),
}

/// A step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// When.
    #[serde(with = "super::written::instant")]
    pub at: Instant,
    /// On which node.
    pub node: u8,
    /// What.
    pub step: Step,
}

/// What a node does at each start: draws a profile.
pub(super) fn profile(draw: &mut Draw, limits: &Limits) -> Vec<Step> {
    let mut steps = Vec::new();
    for global in 0..limits.globals {
        match draw.below(5) {
            0 => steps.push(Step::LookUp { global }),
            1 => {}
            _ => steps.push(Step::Campaign { global, terms: terms(draw) }),
        }
    }
    for service in 0..limits.services {
        if !draw.one_in(3) {
            steps.push(Step::Register { service, instance: 0, payload: payload(draw) });
        }
        if draw.one_in(2) {
            steps.push(Step::Subscribe(Watched::Service(service)));
        }
    }
    if draw.one_in(3) {
        steps.push(Step::Subscribe(Watched::Nodes));
    }
    steps
}

/// Draws one later step.
pub(super) fn action(draw: &mut Draw, limits: &Limits) -> Action {
    let at = Instant::from_nanos(draw.below(nanos(limits.heal_at)));
    let node = draw.index(limits.nodes);
    let global = draw.index(limits.globals);
    let service = draw.index(limits.services);
    let instance = draw.index(limits.instances);
    let watched = if draw.one_in(3) { Watched::Nodes } else { Watched::Service(service) };
    let step = match draw.below(24) {
        0..=5 => Step::Campaign { global, terms: terms(draw) },
        6..=8 => Step::Resign { global },
        9..=10 => Step::Finish { global },
        11..=12 => Step::Register { service, instance, payload: payload(draw) },
        13..=14 => Step::Update { service, instance, payload: payload(draw) },
        15..=16 => Step::Unregister { service, instance },
        17..=18 => Step::Subscribe(watched),
        19 => Step::Unsubscribe(watched),
        20..=21 => Step::LookUp { global },
        22 => Step::Forget { global },
        _ if draw.one_in(3) => Step::Close,
        _ => Step::Campaign { global, terms: Terms::Many },
    };
    Action { at, node, step }
}

/// How long an application takes to stop: usually at once, sometimes longer than it is given.
pub(super) fn stop_time(draw: &mut Draw, slowest: Duration) -> Duration {
    match draw.below(4) {
        0 => Duration::ZERO,
        1 | 2 => draw.duration(Duration::ZERO, slowest / 10),
        _ => draw.duration(Duration::ZERO, slowest),
    }
}

fn terms(draw: &mut Draw) -> Terms {
    if draw.one_in(4) { Terms::One } else { Terms::Many }
}

fn payload(draw: &mut Draw) -> u8 {
    if draw.one_in(2) { 0 } else { u8::try_from(draw.between(1, 200)).unwrap_or(1) }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} n{}: {:?}", self.at, self.node, self.step)
    }
}

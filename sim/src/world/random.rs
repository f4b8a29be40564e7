//! Faults that a seed chooses.

use std::time::Duration;

use super::fault::{Fault, Place, Strike};
use super::simulation::Settings;
use crate::explorer::mix::Draw;

/// The stream of the seed that faults come from.
const LABEL: u64 = 0x6661_756c_7473;
/// The most faults of a run.
const FAULTS_MAX: u64 = 12;
/// Kinds of faults.
const KINDS: u8 = 10;

/// A mix of faults: each kind is on or off for the whole run, so that some runs see much of one thing.
pub(super) fn faults(settings: &Settings) -> Vec<Strike> {
    let mut draw = Draw::new(settings.seed, LABEL);
    let kinds: Vec<u8> = (0..KINDS).filter(|_| !draw.one_in(2)).collect();
    if kinds.is_empty() || settings.nodes == 0 {
        return Vec::new();
    }
    let healed_at = settings.duration * 2 / 3;
    let count = draw.between(1, FAULTS_MAX);
    (0..count).map(|_| strike(settings, &mut draw, &kinds, healed_at)).collect()
}

fn strike(settings: &Settings, draw: &mut Draw, kinds: &[u8], healed_at: Duration) -> Strike {
    let from = draw.duration(Duration::ZERO, healed_at);
    // Half of them are over soon, and half last long enough for a session to end.
    let longest = if draw.one_in(2) { settings.lease } else { settings.session_timeout * 3 };
    let until = (from + draw.duration(settings.tick, longest)).min(healed_at);
    let node = draw.index(settings.nodes);
    let server = 1 + draw.index(settings.servers);
    let kind = draw.pick(kinds);
    let (a, b) = ends(settings, draw);
    let place = if draw.one_in(3) { Place::Server(server) } else { Place::Node(node) };
    let fault = match kind {
        0 => Fault::Partition { a, b },
        1 => Fault::OneWay { from: a, to: b },
        2 => Fault::OneWay { from: b, to: a },
        3 => Fault::Hold { a, b },
        4 => Fault::Isolate { place },
        5 => Fault::Down { place },
        6 => Fault::Bounce { node },
        7 => Fault::Expire { node },
        8 if settings.servers > 1 && draw.one_in(2) => Fault::Lag { server },
        8 if settings.servers > 1 => Fault::Lead { server },
        _ => Fault::Slow { a, b, latency: draw.duration(Duration::ZERO, settings.lease / 4) },
    };
    Strike::new(&(from..until), fault)
}

/// A node, and another machine.
fn ends(settings: &Settings, draw: &mut Draw) -> (Place, Place) {
    let node = draw.index(settings.nodes);
    let server = Place::Server(1 + draw.index(settings.servers));
    if settings.nodes < 2 || draw.one_in(2) {
        return (Place::Node(node), server);
    }
    let other = draw.index(settings.nodes - 1);
    (Place::Node(node), Place::Node(if other >= node { other + 1 } else { other }))
}

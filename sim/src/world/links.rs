//! What passes between any two machines, as the faults in force want it.

use std::collections::BTreeMap;
use std::time::Duration;

use turmoil::Sim;

use super::fault::{Fault, Place, Strike};
use super::shared::Shared;
use crate::zookeeper::ServerId;

/// What a link does, from its lower end to its higher one and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    out: Way,
    back: Way,
    latency: Option<Duration>,
}

/// What passes in one direction. The greater one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    #[default]
    Open,
    Held,
    Lost,
}

/// All links that are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Links {
    places: Vec<Place>,
    disturbed: BTreeMap<(Place, Place), Link>,
}

impl Links {
    pub(super) const fn new(places: Vec<Place>) -> Self {
        Self { places, disturbed: BTreeMap::new() }
    }

    /// Makes all links what `faults` say. `usual` is the latency of those that are not slow.
    pub(super) fn set<'a>(
        &mut self,
        faults: impl Iterator<Item = &'a Strike>,
        usual: &std::ops::Range<Duration>,
        simulation: &Sim<'_>,
        shared: &Shared,
    ) {
        let mut wanted = BTreeMap::new();
        for strike in faults {
            self.disturb(&mut wanted, &strike.fault);
        }
        let before = std::mem::take(&mut self.disturbed);
        let ends: std::collections::BTreeSet<_> = before.keys().chain(wanted.keys()).copied().collect();
        for pair in ends {
            let was = before.get(&pair).copied().unwrap_or_default();
            let is = wanted.get(&pair).copied().unwrap_or_default();
            if was != is {
                change(pair, was, is, usual, simulation, shared);
            }
        }
        self.disturbed = wanted;
    }

    fn disturb(&self, wanted: &mut BTreeMap<(Place, Place), Link>, fault: &Fault) {
        match *fault {
            Fault::Partition { a, b } => block(wanted, a, b, Way::Lost, Way::Lost),
            Fault::OneWay { from, to } => block(wanted, from, to, Way::Lost, Way::Open),
            Fault::Hold { a, b } => block(wanted, a, b, Way::Held, Way::Held),
            Fault::Isolate { place } => {
                for other in self.places.iter().filter(|other| **other != place) {
                    block(wanted, place, *other, Way::Lost, Way::Lost);
                }
            }
            Fault::Slow { a, b, latency } if a != b => {
                wanted.entry((a.min(b), a.max(b))).or_default().latency = Some(latency);
            }
            Fault::Slow { .. }
            | Fault::Down { .. }
            | Fault::Bounce { .. }
            | Fault::Expire { .. }
            | Fault::Lag { .. }
            | Fault::Lead { .. } => {}
        }
    }
}

fn block(wanted: &mut BTreeMap<(Place, Place), Link>, from: Place, to: Place, there: Way, back: Way) {
    if from == to {
        return;
    }
    let link = wanted.entry((from.min(to), from.max(to))).or_default();
    let (out, back) = if from < to { (there, back) } else { (back, there) };
    link.out = link.out.max(out);
    link.back = link.back.max(back);
}

fn change(
    (low, high): (Place, Place),
    was: Link,
    is: Link,
    usual: &std::ops::Range<Duration>,
    simulation: &Sim<'_>,
    shared: &Shared,
) {
    if let (Place::Server(low), Place::Server(high)) = (low, high) {
        return change_servers((ServerId(low), ServerId(high)), is, shared);
    }
    let (low, high) = (low.to_string(), high.to_string());
    let (a, b) = (low.as_str(), high.as_str());
    if (was.out, was.back) != (is.out, is.back) {
        // Turmoil knows one state of a link at a time: back to none, and then into the next.
        simulation.release(a, b);
        match (is.out, is.back) {
            (Way::Open, Way::Open) => {}
            (Way::Lost, Way::Lost) => simulation.partition(a, b),
            // What is lost in one direction and held in the other is lost in one: turmoil cannot do both.
            (Way::Lost, Way::Open | Way::Held) => simulation.partition_oneway(a, b),
            (Way::Open | Way::Held, Way::Lost) => simulation.partition_oneway(b, a),
            (Way::Held, Way::Open | Way::Held) | (Way::Open, Way::Held) => simulation.hold(a, b),
        }
    }
    if was.latency != is.latency {
        match is.latency {
            Some(latency) => simulation.set_link_latency(a, b, latency),
            None => {
                simulation.set_link_latency(a, b, usual.start);
                simulation.set_link_max_message_latency(a, b, usual.end);
            }
        }
    }
}

/// Servers talk inside the model, where nothing is lost on a connection that lives.
fn change_servers((a, b): (ServerId, ServerId), is: Link, shared: &Shared) {
    shared.change(|now, endpoint| {
        endpoint.change(now, |ensemble| {
            for (from, to, way) in [(a, b, is.out), (b, a, is.back)] {
                match way {
                    Way::Open => ensemble.heal(now, from, to),
                    Way::Held | Way::Lost => ensemble.cut(now, from, to),
                }
                ensemble.delay(now, from, to, is.latency.unwrap_or_default());
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_on_one_link_add_up() {
        let (a, b, c) = (Place::Node(0), Place::Node(1), Place::Server(1));
        let links = Links::new(vec![a, b, c]);
        let mut wanted = BTreeMap::new();
        links.disturb(&mut wanted, &Fault::OneWay { from: b, to: a });
        links.disturb(&mut wanted, &Fault::Hold { a, b });
        links.disturb(&mut wanted, &Fault::Isolate { place: c });
        let link = |out, back| Link { out, back, latency: None };
        assert_eq!(wanted[&(a, b)], link(Way::Held, Way::Lost));
        assert_eq!(wanted[&(a, c)], link(Way::Lost, Way::Lost));
        assert_eq!(wanted.len(), 3);
    }
}

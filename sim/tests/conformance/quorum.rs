//! Real servers and what happens to them. What followers say to their leader passes relays, so that it can be held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use crate::relay::Relay;
use crate::step::{Fault, Spot};
use crate::zookeeper::ZooKeeper;

/// One server, or three.
pub(crate) struct Quorum {
    zookeeper: ZooKeeper,
    /// By who says something, and to whom.
    relays: BTreeMap<(usize, usize), Relay>,
    leader: usize,
    cut_off: BTreeSet<Spot>,
    dead: BTreeSet<Spot>,
}

impl Quorum {
    pub(crate) fn alone(properties: &[String]) -> Self {
        Self::new(ZooKeeper::start_with(properties), BTreeMap::new(), 1)
    }

    pub(crate) fn ensemble(properties: &[String]) -> Self {
        let mut relays = BTreeMap::new();
        let zookeeper = ZooKeeper::patient_ensemble(properties, &mut |from, to, port| {
            let relay = Relay::to((Ipv4Addr::LOCALHOST, port).into());
            let port = relay.address().port();
            relays.insert((from, to), relay);
            port
        });
        let leader = zookeeper.leader().expect("an ensemble that serves has a leader");
        Self::new(zookeeper, relays, leader)
    }

    fn new(zookeeper: ZooKeeper, relays: BTreeMap<(usize, usize), Relay>, leader: usize) -> Self {
        Self { zookeeper, relays, leader, cut_off: BTreeSet::new(), dead: BTreeSet::new() }
    }

    pub(crate) fn address(&self, at: Spot) -> SocketAddr {
        self.zookeeper.address(self.number(at))
    }

    pub(crate) fn is_cut_off(&self, at: Spot) -> bool {
        self.cut_off.contains(&at)
    }

    pub(crate) fn strike(&mut self, fault: Fault, at: Spot) {
        let number = self.number(at);
        let relay = || &self.relays[&(number, self.leader)];
        match fault {
            Fault::Cut => {
                relay().stall();
                self.cut_off.insert(at);
            }
            Fault::Heal => {
                relay().heal();
                self.cut_off.remove(&at);
            }
            Fault::Kill => {
                self.zookeeper.kill(number);
                self.dead.insert(at);
            }
        }
    }

    /// All is well again.
    pub(crate) fn mend(&mut self) {
        for at in std::mem::take(&mut self.cut_off) {
            self.strike(Fault::Heal, at);
        }
        for at in std::mem::take(&mut self.dead) {
            self.zookeeper.restart(self.number(at));
        }
        assert_eq!(self.zookeeper.leader().unwrap_or(1), self.leader, "another one leads");
    }

    /// Followers are taken in the order of their numbers.
    fn number(&self, at: Spot) -> usize {
        let mut followers = (1..=self.zookeeper.len()).filter(|number| *number != self.leader);
        let follower = match at {
            Spot::Leader => return self.leader,
            Spot::One => followers.next(),
            Spot::Two => followers.nth(1),
        };
        follower.expect("a server that is alone has no followers")
    }
}

//! How large a plan is, and whether it names only what it has.

use super::fault::{Fault, ForeignPlace, Hand, Strike, When};
use super::plan::Plan;
use super::workload::{Step, Watched};

impl Plan {
    /// How much there is to read: nodes, faults and steps.
    #[must_use]
    pub fn size(&self) -> usize {
        let profiles: usize = self.nodes.iter().map(|node| node.profile.len()).sum();
        self.nodes.len() + self.faults.len() + self.actions.len() + profiles
    }

    /// Takes the last node out, with all that happens to it.
    ///
    /// # Panics
    /// When `node` is not the last one: nodes are named by their numbers.
    pub(super) fn drop_node(&mut self, node: usize) {
        assert_eq!(node + 1, self.nodes.len(), "only the last node can go");
        self.nodes.pop();
        let concerns = |number: u8| usize::from(number) == node;
        self.faults.retain(|strike| !nodes_of(strike).any(concerns));
        self.actions.retain(|action| !concerns(action.node));
    }

    /// Takes the last server out, with all that happens to it.
    pub(super) fn drop_server(&mut self) {
        self.servers = self.servers.saturating_sub(1).max(1);
        let left = self.servers;
        self.faults.retain(|strike| strike.fault.servers_used() <= left);
    }

    fn servers_used(&self) -> u8 {
        self.faults.iter().map(|strike| strike.fault.servers_used()).max().unwrap_or(0)
    }

    /// One more than the highest global that is named.
    pub(super) fn globals_used(&self) -> u8 {
        let steps = self.steps().filter_map(Step::global);
        let hands = self.hands().filter_map(|hand| match hand {
            Hand::ForeignChild { place, index, .. } => (place != ForeignPlace::Service).then_some(index),
            Hand::PresetSequence { global, .. } => Some(global),
            Hand::DeleteInstance { .. }
            | Hand::GarbleInstance { .. }
            | Hand::Squat { .. }
            | Hand::DeleteCandidate { .. } => None,
        });
        steps.chain(hands).max().map_or(0, |highest| highest + 1)
    }

    /// Whether it makes sense. Plans drawn from seeds do; files are written by people.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if self.nodes.is_empty() || self.nodes.len() > NODES_MAX {
            return Err(format!("it has {} nodes, and must have 1 to {NODES_MAX}", self.nodes.len()));
        }
        if self.lease.is_zero() || self.session_timeout.is_zero() || self.tick.is_zero() {
            return Err("lease, session_timeout and tick must be longer than nothing".to_owned());
        }
        let is_within = |rate: u32| rate <= self.clock_rate_ppm;
        let rates = self.nodes.iter().map(|node| node.clock_rate_ppm.unsigned_abs());
        if self.clock_rate_ppm >= CLOCK_RATE_PPM_END || !rates.clone().all(is_within) {
            let (fastest, bound) = (rates.max().unwrap_or(0), self.clock_rate_ppm);
            return Err(format!(
                "a clock is {fastest} millionths off, and clock_rate_ppm allows {bound}, of less than {CLOCK_RATE_PPM_END}"
            ));
        }
        if self.network.delay_min > self.network.delay_max {
            return Err("network.delay_min is longer than network.delay_max".to_owned());
        }
        let strikes = self.faults.iter().flat_map(nodes_of);
        let named = strikes.chain(self.actions.iter().map(|action| action.node));
        if let Some(node) = named.max().filter(|node| usize::from(*node) >= self.nodes.len()) {
            return Err(format!("it names node {node}, and has {} nodes, counted from 0", self.nodes.len()));
        }
        if !(1..=SERVERS_MAX).contains(&self.servers) || self.sync_limit == 0 {
            return Err(format!("it must have 1 to {SERVERS_MAX} servers, and these some patience"));
        }
        let servers = self.servers_used();
        if servers > self.servers {
            let (named, count) = (servers - 1, self.servers);
            return Err(format!("it names server {named}, and has {count} servers, counted from 0"));
        }
        let globals = self.globals_used();
        if globals > self.globals {
            return Err(format!(
                "it names global {}, and has {} globals, counted from 0",
                globals - 1,
                self.globals
            ));
        }
        let services = self.services_used();
        if services > self.services {
            let (named, count) = (services - 1, self.services);
            return Err(format!("it names service {named}, and has {count} services, counted from 0"));
        }
        Ok(())
    }

    fn services_used(&self) -> u8 {
        let steps = self.steps().filter_map(Step::service);
        let hands = self.hands().filter_map(|hand| match hand {
            Hand::Squat { service, .. } => Some(service),
            Hand::ForeignChild { place, index, .. } => (place == ForeignPlace::Service).then_some(index),
            Hand::DeleteInstance { .. }
            | Hand::GarbleInstance { .. }
            | Hand::DeleteCandidate { .. }
            | Hand::PresetSequence { .. } => None,
        });
        steps.chain(hands).max().map_or(0, |highest| highest + 1)
    }

    fn hands(&self) -> impl Iterator<Item = Hand> {
        self.faults.iter().filter_map(|strike| strike.fault.hand())
    }

    /// All steps of applications.
    fn steps(&self) -> impl Iterator<Item = Step> {
        let profiles = self.nodes.iter().flat_map(|node| node.profile.iter().copied());
        profiles.chain(self.actions.iter().map(|action| action.step))
    }
}

/// No clock is so far off, in millionths: core allows no more.
const CLOCK_RATE_PPM_END: u32 = 100_000;
/// More than any finding ever needed.
const SERVERS_MAX: u8 = 9;
/// More than any finding ever needed.
const NODES_MAX: usize = 32;

/// The nodes that a fault names: the one that it strikes, and the one whose request it waits for.
fn nodes_of(strike: &Strike) -> impl Iterator<Item = u8> {
    let waited_for = match strike.when {
        When::AfterRequest { node, .. } => Some(node),
        When::At(_) => None,
    };
    let squatted = match strike.fault.hand() {
        Some(Hand::Squat { node, .. }) => Some(node),
        Some(
            Hand::DeleteInstance { .. }
            | Hand::GarbleInstance { .. }
            | Hand::DeleteCandidate { .. }
            | Hand::PresetSequence { .. }
            | Hand::ForeignChild { .. },
        )
        | None => None,
    };
    strike.fault.node().into_iter().chain(waited_for).chain(squatted)
}

impl Fault {
    /// One more than the highest server that it names.
    fn servers_used(&self) -> u8 {
        match self {
            Self::Cut { server, .. } => server.map_or(0, |server| server + 1),
            Self::Outage(outage) => outage.servers_used(),
            Self::Break { .. }
            | Self::Abandon { .. }
            | Self::Stall { .. }
            | Self::Expire { .. }
            | Self::Pause { .. }
            | Self::Crash { .. }
            | Self::Hand(_) => 0,
        }
    }
}

impl Step {
    const fn global(self) -> Option<u8> {
        match self {
            Self::Campaign { global, .. }
            | Self::Resign { global }
            | Self::Finish { global }
            | Self::LookUp { global }
            | Self::Forget { global } => Some(global),
            Self::Register { .. }
            | Self::Update { .. }
            | Self::Unregister { .. }
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Close => None,
        }
    }

    const fn service(self) -> Option<u8> {
        match self {
            Self::Register { service, .. }
            | Self::Update { service, .. }
            | Self::Unregister { service, .. }
            | Self::Subscribe(Watched::Service(service))
            | Self::Unsubscribe(Watched::Service(service)) => Some(service),
            Self::Subscribe(Watched::Nodes)
            | Self::Unsubscribe(Watched::Nodes)
            | Self::Campaign { .. }
            | Self::Resign { .. }
            | Self::Finish { .. }
            | Self::LookUp { .. }
            | Self::Forget { .. }
            | Self::Close => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_seeds_make_sense_also_with_a_node_less() {
        for seed in 0..500 {
            let mut plan = Plan::from_seed(seed);
            assert_eq!(plan.check(), Ok(()), "{plan}");
            while plan.nodes.len() > 1 {
                let size = plan.size();
                plan.drop_node(plan.nodes.len() - 1);
                assert_eq!(plan.check(), Ok(()), "{plan}");
                assert!(plan.size() < size);
            }
        }
    }

    #[test]
    fn what_a_plan_does_not_have_is_named() {
        let plan = || {
            (0..)
                .map(Plan::from_seed)
                .find(|plan| plan.services_used() == 2 && plan.globals_used() > 0)
                .unwrap()
        };
        let wrong = |change: fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            plan.check().unwrap_err()
        };
        assert_eq!(wrong(|plan| plan.services = 1), "it names service 1, and has 1 services, counted from 0");
        assert!(wrong(|plan| plan.globals = 0).starts_with("it names global "));
        assert!(wrong(|plan| plan.nodes.clear()).starts_with("it has 0 nodes"));
        assert!(wrong(|plan| plan.actions.iter_mut().for_each(|action| action.node = 9)).contains("node 9"));
    }
}

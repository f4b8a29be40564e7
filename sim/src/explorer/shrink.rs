//! Makes a failure small: what is left is what it takes.
//!
//! Faults and steps are taken out by delta debugging (A. Zeller, R. Hildebrandt: "Simplifying and isolating
//! failure-inducing input", IEEE TSE 2002), then nodes and servers, then freedoms of clients and network. It works because no
//! delay depends on how many faults there are: what is left goes on as before.

use std::time::Duration;

use queenright_core::Config;

use super::failure::Failure;
use super::plan::{ClientPlan, Expiry, Gaps, Losses, NetworkPlan, Offline, Order, Plan, Rearmed, Zxids};
use super::run_with;

/// What a failure was shrunk to.
#[derive(Debug)]
pub struct Shrunk {
    /// The failure of the smallest plan that was found. It violates the same property.
    pub failure: Box<Failure>,
    /// How many runs that took.
    pub runs: u32,
}

/// Makes a failure smaller, in at most `runs_max` runs. `configure` is what the failing run was given.
#[must_use]
pub fn shrink(failure: Box<Failure>, runs_max: u32, configure: &dyn Fn(&mut Config)) -> Shrunk {
    let mut search = Search { best: failure, runs: 0, runs_max, configure };
    loop {
        let size = search.best.plan().size();
        search.minimise(|plan| &mut plan.faults);
        search.minimise(|plan| &mut plan.actions);
        for node in 0..search.best.plan().nodes.len() {
            search.minimise(|plan| &mut plan.nodes[node].profile);
        }
        search.drop_nodes();
        search.simplify();
        if search.best.plan().size() == size || search.runs >= search.runs_max {
            return Shrunk { failure: search.best, runs: search.runs };
        }
    }
}

struct Search<'a> {
    best: Box<Failure>,
    runs: u32,
    runs_max: u32,
    configure: &'a dyn Fn(&mut Config),
}

impl Search<'_> {
    /// Takes `plan` for the best one when it fails in the same way.
    fn try_plan(&mut self, plan: &Plan) -> bool {
        if self.runs >= self.runs_max || plan == self.best.plan() {
            return false;
        }
        self.runs += 1;
        match run_with(plan, self.configure) {
            Err(failure) if failure.violation().property == self.best.violation().property => {
                self.best = failure;
                true
            }
            Err(_) | Ok(_) => false,
        }
    }

    fn try_change(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.plan().clone();
        change(&mut plan);
        self.try_plan(&plan)
    }

    /// Delta debugging over one list of the plan: it is left with elements each of which is needed.
    fn minimise<T: Clone>(&mut self, list: impl Fn(&mut Plan) -> &mut Vec<T>) {
        let len = |search: &Self| list(&mut search.best.plan().clone()).len();
        let mut chunk = len(self);
        while chunk > 0 {
            let mut from = 0;
            while from < len(self) {
                let taken_out = self.try_change(|plan| {
                    let list = list(plan);
                    list.drain(from..(from + chunk).min(list.len()));
                });
                // What moved into the gap is looked at next.
                if !taken_out {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
    }

    /// From the last one, for nodes are named by their numbers.
    fn drop_nodes(&mut self) {
        while let Some(last) = self.best.plan().nodes.len().checked_sub(1).filter(|last| *last > 0) {
            let dropped = self.try_change(|plan| plan.drop_node(last));
            if !dropped {
                return;
            }
        }
    }

    /// Freedoms that are not needed.
    fn simplify(&mut self) {
        while self.best.plan().servers > 1 && self.try_change(Plan::drop_server) {}
        let changes: [fn(&mut Plan); 19] = [
            |plan| plan.stale_one_in = 0,
            |plan| plan.network.spike_one_in = 0,
            |plan| plan.network = NetworkPlan { delay_min: plan.network.delay_max, ..plan.network },
            |plan| plan.sync_limit = 5,
            |plan| plan.stop_time_max = Duration::ZERO,
            |plan| plan.nodes.iter_mut().for_each(|node| node.clock_rate_ppm = 0),
            |plan| plan.nodes.iter_mut().for_each(|node| node.clock_origin = 0),
            |plan| plan.nodes.iter_mut().for_each(|node| node.start_at = Duration::ZERO),
            |plan| plan.client = ClientPlan { reply_lag_max: Duration::ZERO, ..plan.client },
            |plan| plan.client = ClientPlan { event_lag_max: Duration::ZERO, ..plan.client },
            |plan| plan.client = ClientPlan { state_lag_max: Duration::ZERO, ..plan.client },
            |plan| plan.client = ClientPlan { gaps: Gaps::Reported, ..plan.client },
            |plan| plan.client = ClientPlan { offline: Offline::Unknown, ..plan.client },
            |plan| plan.client = ClientPlan { rearmed: Rearmed::All, ..plan.client },
            |plan| plan.client = ClientPlan { order: Order::Wire, ..plan.client },
            |plan| plan.client = ClientPlan { expiry: Expiry::Heard, ..plan.client },
            |plan| plan.client = ClientPlan { losses: Losses::Reported, ..plan.client },
            |plan| plan.client = ClientPlan { zxids: Zxids::Shown, ..plan.client },
            |plan| plan.globals = plan.globals.saturating_sub(1).max(plan.globals_used()),
        ];
        for change in changes {
            self.try_change(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queenright_core::mutation::Mutation;

    #[test]
    fn what_is_left_is_small_and_fails_in_the_same_way() {
        let configure = |config: &mut Config| config.mutation = Some(Mutation::NoWait);
        let failure = (0..).find_map(|seed| run_with(&Plan::from_seed(seed), &configure).err());
        let failure = failure.expect("somebody leads too early");
        let (property, size) = (failure.violation().property, failure.plan().size());
        let shrunk = shrink(failure, 2_000, &configure);
        let plan = shrunk.failure.plan();
        assert_eq!(shrunk.failure.violation().property, property);
        assert!(plan.size() < size / 2, "{size} became {}: {plan}", plan.size());
        // Each fault that is left is needed.
        for number in 0..plan.faults.len() {
            let mut without = plan.clone();
            without.faults.remove(number);
            let result = run_with(&without, &configure);
            assert!(!result.is_err_and(|failure| failure.violation().property == property), "{without}");
        }
    }

    #[test]
    fn it_stops_when_it_may_run_no_more() {
        let configure = |config: &mut Config| config.mutation = Some(Mutation::NoWait);
        let failure = (0..).find_map(|seed| run_with(&Plan::from_seed(seed), &configure).err()).unwrap();
        assert_eq!(shrink(failure, 3, &configure).runs, 3);
    }
}

//! The explorer: several real coordinators and the model's servers in one loop of events, with everything going wrong
//! that a seed can think of.
//!
//! A run is single-threaded and has no clock but that of its events: same [`Plan`], same run. A plan is drawn from one
//! number by [`Plan::from_seed`], and printed in full when a run fails.
//!
//! ```
//! use queenright_sim::explorer::{Plan, run};
//!
//! let summary = run(&Plan::from_seed(1)).map_err(|failure| failure.to_string())?;
//! assert_eq!(run(&Plan::from_seed(1)).map_err(|failure| failure.to_string())?.fingerprint, summary.fingerprint);
//! # Ok::<(), String>(())
//! ```

mod alarm;
mod application;
mod audit;
mod campaign;
mod client;
pub(crate) mod clock;
mod drawn;
mod drive;
mod extent;
mod failure;
mod fault;
mod lanes;
pub(crate) mod mix;
mod network;
mod outage;
mod perform;
mod plan;
mod process;
mod queue;
pub(crate) mod recorded;
mod repro;
mod seed;
mod shape;
pub(crate) mod show;
mod shrink;
mod sometimes;
mod stale;
mod strike;
pub(crate) mod trace;
mod workload;
mod world;
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind};

use queenright_core::Config;

use crate::checkers::Violation;
use crate::timeline::Recorder;

pub use campaign::{Campaign, Report, Tally};
pub use drawn::Family;
pub use failure::Failure;
pub use fault::{Fault, ForeignPlace, Hand, Notice, PausePoint, Strike, When};
pub use outage::Outage;
pub use plan::{
    ClientPlan, Ending, Expiry, Gaps, Losses, NetworkPlan, NodePlan, Offline, Order, Plan, Rearmed, Zxids,
};
pub use recorded::draw;
pub use repro::{BadRepro, Repro};
pub use seed::{NotASeed, parse_seed};
pub use shrink::{Shrunk, shrink};
pub use sometimes::{Reached, Sometimes};
pub use workload::{Action, Step, Watched};

use trace::{Trace, Tracing};
use world::World;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Of every input and every output of every coordinator, and of every fault: two runs with equal ones were the same.
    pub fingerprint: u64,
    /// How many events there were.
    pub events: u64,
    /// The most requests that any node put out within a lease.
    pub request_peak: u32,
    /// What was reached.
    pub sometimes: Sometimes,
}

/// Runs a plan.
///
/// # Errors
/// The first violation, with the end of the trace.
pub fn run(plan: &Plan) -> Result<Summary, Box<Failure>> {
    run_with(plan, &|_| ())
}

/// Runs a plan, with a last word on the configuration of every coordinator.
///
/// # Errors
/// The first violation, with the end of the trace.
pub fn run_with(plan: &Plan, configure: &dyn Fn(&mut Config)) -> Result<Summary, Box<Failure>> {
    let (result, _) = attempt(plan, configure, Tracing::Off, Recorder::default());
    result.map_err(|_| {
        // Once more, for the trace: the first time it would only have cost time.
        match attempt(plan, configure, Tracing::Last, Recorder::default()) {
            (Err(violation), trace) => Box::new(Failure::new(plan, violation, trace.into_lines())),
            (Ok(_), trace) => {
                let detail = format!("seed {} failed once, and not again", plan.seed);
                Box::new(Failure::new(plan, Violation::new("determinism", detail), trace.into_lines()))
            }
        }
    })
}

/// Runs a plan and prints every line of its trace to standard output.
///
/// # Errors
/// The first violation.
pub fn narrate(plan: &Plan, configure: &dyn Fn(&mut Config)) -> Result<Summary, Box<Failure>> {
    let (result, trace) = attempt(plan, configure, Tracing::Print, Recorder::default());
    result.map_err(|violation| Box::new(Failure::new(plan, violation, trace.into_lines())))
}

fn attempt(
    plan: &Plan,
    configure: &dyn Fn(&mut Config),
    tracing: Tracing,
    recorder: Recorder,
) -> (Result<Summary, Violation>, Trace) {
    let mut world = World::new(plan, configure, tracing, recorder);
    // A coordinator that contradicts itself panics: that is a violation like any other, and the trace is worth more
    // than the backtrace.
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation::new("no panic", text.unwrap_or_else(|| "a panic without a message".into())))
    });
    let summary = Summary {
        fingerprint: world.trace.fingerprint(),
        events: world.events,
        request_peak: world.checks.requests.peak(),
        sometimes: world.sometimes,
    };
    (result.map(|()| summary), world.trace)
}

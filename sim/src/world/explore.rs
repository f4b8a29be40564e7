//! Many simulations, one for each seed; and the failure of one, made small.

use std::ops::Range;

use super::failure::Failure;
use super::simulation::{Report, Selection, Simulation};
use crate::explorer::mix::mix;

/// The environment variable that names the one seed to be run, with its whole trace.
pub const SEED_VARIABLE: &str = "QUEENRIGHT_SEED";
/// So many runs are spent on making a failure small.
const SHRINK_RUNS_MAX: usize = 40;

/// What many simulations came to, all of them without anything wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// How many there were.
    pub runs: u64,
    /// Of all of them together.
    pub fingerprint: u64,
}

/// One seed, and what is left of its faults when it fails.
///
/// # Errors
/// The failure, made small. `hint` says how to see it again.
pub fn run_seed(
    seed: u64,
    narrate: bool,
    hint: &str,
    build: impl Fn(Simulation) -> Result<Report, Box<Failure>>,
) -> Result<Report, Box<Failure>> {
    let prepare = |selection: Selection| {
        let simulation = Simulation::new(seed).select(selection).replay_hint(hint);
        if narrate { simulation.narrate() } else { simulation }
    };
    match build(prepare(Selection::default())) {
        // Who reads along reads one run.
        Err(failure) if !narrate => Err(shrink(failure, |selection| build(prepare(selection)))),
        ended => ended,
    }
}

impl Simulation {
    /// Runs `build` once for each seed: it is given a simulation with that seed, describes and runs it, and returns what came
    /// of it. Ends at the first failure, which is made small: the faults that it does not need are left out.
    ///
    /// When the environment variable `QUEENRIGHT_SEED` is set, that seed alone is run, and its whole trace is printed.
    ///
    /// # Errors
    /// The first failure. Its last line says how to see it again.
    pub fn explore(
        seeds: Range<u64>,
        build: impl Fn(Simulation) -> Result<Report, Box<Failure>>,
    ) -> Result<Explored, Box<Failure>> {
        let alone =
            std::env::var(SEED_VARIABLE).ok().and_then(|seed| crate::explorer::parse_seed(&seed).ok());
        let seeds = alone.map_or(seeds, |seed| seed..seed.saturating_add(1));
        let mut explored = Explored::default();
        for seed in seeds {
            let report = run_seed(seed, alone.is_some(), &hint(seed), &build)?;
            explored.runs += 1;
            explored.fingerprint = explored.fingerprint.wrapping_add(mix(seed, report.fingerprint));
        }
        Ok(explored)
    }
}

/// Leaves out one fault after the other, as long as the same property is violated.
fn shrink(
    mut failure: Box<Failure>,
    run: impl Fn(Selection) -> Result<Report, Box<Failure>>,
) -> Box<Failure> {
    let mut runs = 0;
    let mut kept: Vec<usize> = failure.faults.iter().map(|(index, _)| *index).collect();
    let mut next = kept.len();
    // From the last one: what comes after the violation goes first, and cheaply.
    while next > 0 && runs < SHRINK_RUNS_MAX {
        next -= 1;
        runs += 1;
        let mut fewer = kept.clone();
        fewer.remove(next);
        match run(Selection(Some(fewer.clone()))) {
            Err(smaller) if smaller.property() == failure.property() => {
                failure = smaller;
                kept = fewer;
            }
            Ok(_) | Err(_) => {}
        }
    }
    failure
}

/// The command that runs one seed again: of the test that runs in this thread, or of this program.
fn hint(seed: u64) -> String {
    match std::thread::current().name() {
        Some(test) if test != "main" => format!("{SEED_VARIABLE}={seed} cargo test {test} -- --nocapture"),
        Some(_) | None => {
            let program: Vec<String> = std::env::args().collect();
            format!("{SEED_VARIABLE}={seed} {}", program.join(" "))
        }
    }
}

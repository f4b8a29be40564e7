//! `queenright-sim world --mutants`: guards of whole nodes taken out, one at a time, until a checker misses them.

use std::ops::Range;
use std::process::ExitCode;

use queenright::mutation::Mutation;
use queenright_sim::Simulation;
use queenright_sim::world::colony;

use super::report;

/// Each guard for the same seeds; the rows of a table, one for each.
pub(crate) fn run(seeds: &Range<u64>) -> ExitCode {
    // What lacks a guard may contradict itself, which is found, and needs no backtrace.
    std::panic::set_hook(Box::new(|_| ()));
    println!("| guard | without it | missed by | seeds |\n|---|---|---|---:|");
    let mut holes = 0;
    for guard in Mutation::ALL.iter().copied() {
        let violation = |seed| {
            let ended = colony::run_with(Simulation::new(seed), move |config| config.without(Some(guard)));
            Some((seed, ended.err()?))
        };
        let missed = seeds.clone().find_map(violation);
        let (by, count) = match &missed {
            Some((seed, failure)) => (failure.property(), seed - seeds.start + 1),
            None => ("NOBODY", seeds.end - seeds.start),
        };
        holes += usize::from(missed.is_none());
        println!("| `{}` | {} | {by} | {count} |", guard.name(), guard.meaning());
    }
    if holes == 0 { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) }
}

//! `queenright-sim mutants`: guards taken out, one at a time, each of which must be missed.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use queenright_core::Config;
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Campaign, Plan, Repro, shrink};

use super::explore::{SHRINK_RUNS_MAX, cores};
use super::report;

/// Stretches of seeds, so far apart that none overlaps the next: the median says more than one lucky seed.
const STRETCHES: u64 = 5;
const STRETCH: u64 = 1 << 32;

/// Take the guards of the protocol out, one at a time, and count the seeds until a checker misses it.
///
/// A guard that nobody misses is a hole in the simulator.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// How many seeds each may survive.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    seeds_max: u64,

    /// How many threads. [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Write the smallest failure of each into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Only these.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let all = || Mutation::ALL.iter().copied();
    let name = |mutation: Mutation| format!("{mutation:?}");
    if let Some(strange) = settings.names.iter().find(|wanted| !all().any(|known| name(known) == **wanted)) {
        let known: Vec<_> = all().map(name).collect();
        return Err(format!("there is no mutation {strange}; there are {}", known.join(", ")));
    }
    let chosen: Vec<_> =
        all().filter(|known| settings.names.is_empty() || settings.names.contains(&name(*known))).collect();
    println!("{:<34} {:>8} {:>8}  {:<18} shrunk to", "guard taken out", "median", "most", "missed by");
    let mut found_count = 0;
    for mutation in &chosen {
        let line = search(*mutation, settings)?;
        found_count += usize::from(line.is_some());
        let line = line.unwrap_or_else(|| format!("NOT FOUND in {} seeds", settings.seeds_max));
        println!("{:<34} {line}", name(*mutation));
    }
    println!("{found_count} of {} found", chosen.len());
    Ok(if found_count == chosen.len() { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) })
}

/// How many seeds it takes, and what is left of the smallest failure.
fn search(mutation: Mutation, settings: &Settings) -> Result<Option<String>, String> {
    let configure = super::subject::configure(Some(mutation))?;
    let mut seeds = Vec::new();
    let mut smallest = None;
    for stretch in 0..STRETCHES {
        let first = stretch * STRETCH;
        let report = Campaign {
            seeds: first..first + settings.seeds_max,
            jobs: settings.jobs.unwrap_or_else(cores),
            plan: &Plan::from_seed,
            configure: &configure,
            watch: &|_| (),
        }
        .run();
        let Some(failure) = report.failure else { return Ok(None) };
        seeds.push(failure.plan().seed - first + 1);
        let shrunk = shrink(failure, SHRINK_RUNS_MAX, &configure as &dyn Fn(&mut Config)).failure;
        smallest = match smallest {
            None => Some(shrunk),
            Some(best) if shrunk.plan().size() < best.plan().size() => Some(shrunk),
            Some(best) => Some(best),
        };
    }
    seeds.sort_unstable();
    let (median, most) = (seeds[seeds.len() / 2], seeds[seeds.len() - 1]);
    let Some(failure) = smallest else { return Ok(None) };
    let (plan, property) = (failure.plan(), failure.violation().property);
    if let Some(directory) = &settings.out {
        let mut repro = Repro::new(plan.clone());
        repro.violates = Some(property.to_owned());
        repro.mutation = Some(mutation);
        super::subject::write(&directory.join(format!("{mutation:?}.repro.toml")), &repro.to_toml())?;
    }
    Ok(Some(format!(
        "{median:>8} {most:>8}  {property:<18} {} nodes, {} faults, {} actions",
        plan.nodes.len(),
        plan.faults.len(),
        plan.actions.len()
    )))
}

//! `queenright-sim mutants`: guards taken out, one at a time, each of which must be missed.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use humantime_serde::re::humantime;
use queenright_core::Config;
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Campaign, Failure, Family, Repro, shrink};
use serde_json::{Value, json};

use super::explore::{SHRINK_RUNS_MAX, cores, drawn, families};
use super::names::OneOf;
use super::report::{self, Format};
use super::subject;

/// Stretches of seeds, so far apart that none overlaps the next: the median says more than one lucky seed.
const STRETCHES: u64 = 5;
const STRETCH: u64 = 1 << 32;

const NAMES: OneOf = OneOf {
    what: "mutation",
    listed: "queenright-sim mutants --list",
    names: || Mutation::ALL.iter().chain(Mutation::SOUGHT).map(|mutation| mutation.name()).collect(),
};

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

    /// Draw plans of one kind only.
    #[arg(long, value_parser = families())]
    family: Option<Family>,

    /// Write the smallest failure of each into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the table, as Markdown, into this file.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,

    /// Only tell what guards there are.
    #[arg(long)]
    list: bool,

    /// How the result looks.
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Only these.
    #[arg(value_name = "NAME", value_parser = NAMES, hide_possible_values = true)]
    names: Vec<&'static str>,
}

/// What it took to miss a guard.
struct Found {
    /// Seeds until then: the median of the stretches, and the most.
    median: u64,
    most: u64,
    /// What the smallest failure violates.
    property: &'static str,
    nodes: usize,
    faults: usize,
    actions: usize,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let is_named = |known: &&Mutation| settings.names.contains(&known.name());
    let is_chosen = |known: &&Mutation| settings.names.is_empty() || is_named(known);
    let sought = || Mutation::SOUGHT.iter().filter(is_named);
    let chosen = || Mutation::ALL.iter().filter(is_chosen).chain(sought()).copied();
    if settings.list {
        chosen().for_each(|mutation| println!("{:<26} {}", mutation.name(), mutation.meaning()));
        return Ok(ExitCode::SUCCESS);
    }
    if settings.format == Format::Text {
        println!("{:<26} {:>8} {:>8}  {:<18} shrunk to", "guard taken out", "median", "most", "missed by");
    }
    let mut results = Vec::new();
    for mutation in chosen() {
        let found = search(mutation, settings)?;
        if settings.format == Format::Text {
            println!("{:<26} {}", mutation.name(), line(found.as_ref(), settings));
        }
        results.push((mutation, found));
    }
    let found_count = results.iter().filter(|(_, found)| found.is_some()).count();
    if let Some(file) = &settings.table {
        subject::write(file, &markdown(&results, settings))?;
    }
    match settings.format {
        Format::Text => println!("{found_count} of {} found", results.len()),
        Format::Json => {
            let mutations: Vec<_> =
                results.iter().map(|(mutation, found)| object(*mutation, found.as_ref())).collect();
            println!("{}", json!({ "found": found_count, "mutations": mutations }));
        }
    }
    Ok(if found_count == results.len() { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) })
}

/// How many seeds it takes, and what is left of the smallest failure.
fn search(mutation: Mutation, settings: &Settings) -> Result<Option<Found>, String> {
    let configure = subject::configure(Some(mutation))?;
    let mut seeds = Vec::new();
    let mut smallest: Option<Box<Failure>> = None;
    let size = |failure: &Failure| failure.plan().size();
    for stretch in 0..STRETCHES {
        let first = stretch * STRETCH;
        let report = Campaign {
            seeds: first..first + settings.seeds_max,
            jobs: settings.jobs.unwrap_or_else(cores),
            plan: &|seed| drawn(settings.family, seed),
            configure: &configure,
            watch: &|_| (),
        }
        .run();
        let Some(failure) = report.failure else { return Ok(None) };
        seeds.push(failure.plan().seed - first + 1);
        smallest = match smallest {
            Some(best) if size(&best) <= size(&failure) => Some(best),
            Some(_) | None => Some(failure),
        };
    }
    seeds.sort_unstable();
    let (median, most) = (seeds[seeds.len() / 2], seeds[seeds.len() - 1]);
    let Some(failure) = smallest else { return Ok(None) };
    let failure = shrink(failure, SHRINK_RUNS_MAX, &configure as &dyn Fn(&mut Config)).failure;
    let (plan, property) = (failure.plan(), failure.violation().property);
    if let Some(directory) = &settings.out {
        let mut repro = Repro::new(plan.clone());
        repro.violates = Some(property.to_owned());
        repro.mutation = Some(mutation);
        subject::write(&directory.join(format!("{}.repro.toml", mutation.name())), &repro.to_toml())?;
    }
    let (nodes, faults, actions) = (plan.nodes.len(), plan.faults.len(), plan.actions.len());
    Ok(Some(Found { median, most, property, nodes, faults, actions }))
}

fn line(found: Option<&Found>, settings: &Settings) -> String {
    let Some(Found { median, most, property, nodes, faults, actions }) = found else {
        return format!("NOT FOUND in {} seeds", settings.seeds_max);
    };
    format!("{median:>8} {most:>8}  {property:<18} {nodes} nodes, {faults} faults, {actions} actions")
}

fn object(mutation: Mutation, found: Option<&Found>) -> Value {
    let told = found.map(|Found { median, most, property, nodes, faults, actions }| {
        json!({
            "seeds_median": median,
            "seeds_most": most,
            "property": property,
            "shrunk": { "nodes": nodes, "faults": faults, "actions": actions },
        })
    });
    json!({ "name": mutation.name(), "meaning": mutation.meaning(), "found": told })
}

fn markdown(results: &[(Mutation, Option<Found>)], settings: &Settings) -> String {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let date = date.split('T').next().unwrap_or_default();
    let mut text = format!(
        "# Guards taken out\n\n\
         Each line is core without one of its guards: after how many runs of the explorer a checker missed it (the median and \
         the most of {STRETCHES} stretches of seeds), by what, and how small the smallest of these failures became. That \
         one is `tests/regressions/NAME.repro.toml`, and is replayed by `cargo test`. Measured on {date}; written by\n\n\
         ```text\n\
         cargo run --release -p queenright-sim --features mutations -- mutants --table sim/MUTANTS.md --out sim/tests/regressions\n\
         ```\n\n\
         Rules by number are those of ARCHITECTURE.md, \"The election\".\n\n\
         | guard | without it | median | most | missed by | nodes | faults | actions |\n\
         |---|---|---:|---:|---|---:|---:|---:|\n"
    );
    for (mutation, found) in results {
        let (name, meaning) = (mutation.name(), mutation.meaning());
        // Writing into a String cannot fail.
        let _ = match found {
            Some(Found { median, most, property, nodes, faults, actions }) => writeln!(
                text,
                "| `{name}` | {meaning} | {median} | {most} | {property} | {nodes} | {faults} | {actions} |"
            ),
            None => {
                writeln!(text, "| `{name}` | {meaning} | | **not found in {}** | | | | |", settings.seeds_max)
            }
        };
    }
    if !Mutation::SOUGHT.is_empty() {
        text.push_str(
            "\n## Guards that are not missed yet\n\nTheir absence is too rare for the explorer as it is.\n\n",
        );
        text.extend(Mutation::SOUGHT.iter().map(item));
    }
    text.push_str(
        "\n## Guards that nobody misses alone\n\nSomething else does the same, and it says what.\n\n",
    );
    text.extend(Mutation::SPARE.iter().map(item));
    text
}

fn item(mutation: &Mutation) -> String {
    format!("- `{}`: {}\n", mutation.name(), mutation.meaning())
}

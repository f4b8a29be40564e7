//! `queenright-sim check --mutants`: guards taken out, one at a time, in a bounded world that misses them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use queenright_core::mutation::Mutation;
use queenright_sim::exhaustive::{Found, Hunt, LARGER, Settings, WORLDS, World, check, find, hunt};

use super::{report, subject};

/// What came of a hunt.
struct Result {
    guard: Mutation,
    /// The world and what was found there, or why nothing is.
    what: std::result::Result<(&'static str, Missed), &'static str>,
}

enum Missed {
    /// A property did not hold.
    Violation(Box<Found>),
    /// Something that must be reached somewhere was not.
    Goal(String),
    /// Nobody noticed.
    Not,
}

pub(crate) fn run(max_states: u64, table: Option<&Path>) -> std::result::Result<ExitCode, String> {
    // Coordinators without a guard may contradict themselves, which is found, and needs no backtrace.
    std::panic::set_hook(Box::new(|_| ()));
    let mut results = Vec::new();
    for guard in Mutation::ALL.iter().chain(Mutation::SOUGHT).chain(Mutation::SPARE).copied() {
        let what = match hunt(guard) {
            Hunt::Not(reason) => Err(reason),
            Hunt::In(name) => {
                let world = find(name).ok_or_else(|| format!("there is no world {name:?}"))?;
                Ok((name, search(&World { mutation: Some(guard), ..*world }, max_states)))
            }
        };
        let result = Result { guard, what };
        println!("{:<26} {}", guard.name(), result.cells().join("  "));
        results.push(result);
    }
    if let Some(file) = table {
        subject::write(file, &markdown(&results))?;
    }
    let holes = results.iter().filter(|result| matches!(result.what, Ok((_, Missed::Not)))).count();
    let found = results.iter().filter(|result| result.what.is_ok()).count() - holes;
    println!("{found} of {} found", results.len());
    Ok(if holes == 0 { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) })
}

fn search(world: &World, max_states: u64) -> Missed {
    match check(world, Settings { max_states, ..Settings::default() }, &mut |_| ()) {
        Err(found) => Missed::Violation(found),
        Ok(outcome) => match outcome.missing(world).as_slice() {
            [] => Missed::Not,
            _ if !outcome.is_exhausted => Missed::Not,
            missing => Missed::Goal(format!("never {missing:?}")),
        },
    }
}

impl Result {
    /// World, property, steps, states.
    fn cells(&self) -> [String; 4] {
        let none = String::new;
        match &self.what {
            Err(reason) => ["-".into(), (*reason).to_owned(), none(), none()],
            Ok((world, Missed::Not)) => [(*world).to_owned(), "NOBODY MISSES IT".into(), none(), none()],
            Ok((world, Missed::Goal(goal))) => [(*world).to_owned(), goal.clone(), none(), none()],
            Ok((world, Missed::Violation(found))) => {
                let tail = if found.completion { ", then none" } else { "" };
                [
                    (*world).to_owned(),
                    found.violation.property.to_owned(),
                    format!("{}{tail}", found.steps.len()),
                    found.states.to_string(),
                ]
            }
        }
    }
}

/// Both tables.
fn markdown(results: &[Result]) -> String {
    let mut text = String::from(
        "# What is checked exhaustively\n\n\
         Written by `queenright-sim check --mutants --table sim/CHECKED.md` (feature `mutations`); `queenright-sim check` checks all\n\
         worlds for CI, and `queenright-sim check WORLD` one. What a step is, what must hold, and how states are told apart stands at the head of\n\
         `sim/src/exhaustive/mod.rs`.\n\n\
         ## Worlds\n\n| world | what it is, and its bounds | states | in CI |\n|---|---|---:|---|\n",
    );
    // Writing into a String cannot fail.
    for (world, is_small) in WORLDS.iter().map(|it| (it, "yes")).chain(LARGER.iter().map(|it| (it, "no"))) {
        let states = world.states.map_or_else(|| "not exhausted".to_owned(), |states| states.to_string());
        let _ = writeln!(text, "| {} | {} | {states} | {is_small} |", world.name, world.bounds());
    }
    text.push_str(
        "\n## Guards taken out\n\n\
         The fewest steps to a violation; \"then none\": it is the run without faults behind them that does not end well, and\n\
         such runs are a sample.\n\n\
         | guard | world | missed by | steps | states until then |\n|---|---|---|---|---:|\n",
    );
    for result in results {
        let _ = writeln!(text, "| `{}` | {} |", result.guard.name(), result.cells().join(" | "));
    }
    text
}

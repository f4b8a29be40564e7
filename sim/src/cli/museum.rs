//! `queenright-sim museum`: known bugs, played.

use std::process::ExitCode;

use clap::Args;
use queenright_sim::checkers::Violation;
use queenright_sim::museum::{self, Entry, Mutate, State, Wrong};
use serde_json::{Value, json};

use super::names::OneOf;
use super::report::{self, Format};

/// Takes guards out of coordinators, where that can be done.
#[cfg(feature = "mutations")]
const MUTATE: Option<Mutate> = Some(|config, mutation| config.mutation = Some(mutation));
#[cfg(not(feature = "mutations"))]
const MUTATE: Option<Mutate> = None;

const NAMES: OneOf = OneOf {
    what: "entry",
    listed: "queenright-sim museum, or sim/MUSEUM.md",
    names: || museum::entries().map(|entry| entry.name).collect(),
};

/// Play known bugs of other libraries: to this one, which must pass, and to something that has the bug, which must not.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Only this one, and tell what happens in it.
    #[arg(value_name = "NAME", value_parser = NAMES, hide_possible_values = true)]
    name: Option<&'static str>,

    /// How the result looks.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[allow(clippy::unnecessary_wraps)] // As the other subcommands.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let chosen = || museum::entries().filter(|entry| settings.name.is_none_or(|name| name == entry.name));
    if let (Some(entry), Format::Text) = (settings.name.and_then(museum::entry), settings.format) {
        entry.trace().iter().for_each(|line| println!("{line}"));
    }
    let (mut played, mut passed, mut told) = (0, 0, Vec::new());
    for entry in chosen() {
        let result = entry.run(MUTATE);
        if matches!(entry.state, State::Scenario { .. }) {
            played += 1;
            passed += usize::from(result.is_ok());
        }
        match settings.format {
            Format::Text => println!("{}", line(entry, &result)),
            Format::Json => told.push(object(entry, &result)),
        }
    }
    let others = chosen().count() - played;
    match settings.format {
        Format::Text => println!("{passed} of {played} scenarios pass; {others} entries need none"),
        Format::Json => println!("{}", json!({ "played": played, "passed": passed, "entries": told })),
    }
    Ok(if passed == played { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) })
}

fn line(entry: &Entry, result: &Result<(), Violation>) -> String {
    let Entry { name, state, .. } = entry;
    match (state, result) {
        (State::Scenario { .. }, Err(violation)) => format!("FAILED  {name}: {violation}"),
        (State::Scenario { fails_under, breaks, .. }, Ok(())) if is_tried(*fails_under) => {
            format!("passed  {name}; {fails_under}: fails, as it must, by {breaks}")
        }
        (State::Scenario { fails_under, .. }, Ok(())) => {
            format!(
                "passed  {name}; {fails_under}: not tried, for this program was built without --features mutations"
            )
        }
        (State::ByConstruction { why }, _) => format!("cannot  {name}: {why}"),
        (State::OutOfScope { why }, _) => format!("foreign {name}: {why}"),
    }
}

/// Whether what must fail was played, too.
const fn is_tried(wrong: Wrong) -> bool {
    match wrong {
        Wrong::Naive(_) | Wrong::Here(_) => true,
        Wrong::Without(_) => MUTATE.is_some(),
    }
}

fn object(entry: &Entry, result: &Result<(), Violation>) -> Value {
    let Entry { name, evidence, state } = entry;
    match state {
        State::Scenario { fails_under, breaks, .. } => json!({
            "name": name,
            "evidence": evidence,
            "state": "scenario",
            "passed": result.is_ok(),
            "violation": result.as_ref().err().map(ToString::to_string),
            "fails_under": fails_under.to_string(),
            "breaks": breaks,
            "failure_tried": is_tried(*fails_under),
        }),
        State::ByConstruction { why } => {
            json!({ "name": name, "evidence": evidence, "state": "by construction", "why": why })
        }
        State::OutOfScope { why } => {
            json!({ "name": name, "evidence": evidence, "state": "out of scope", "why": why })
        }
    }
}

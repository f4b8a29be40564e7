//! `queenright-sim replay --recording`: the lives of nodes, as they were recorded.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use queenright_core::recording::NotReplayed;
use queenright_sim::recording::{Life, check_terms, merged};

use super::report;

/// The part of `replay` that is about recordings.
// `replay` has settings of its own, and clap names a group after the type: two of one name are refused.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Settings {
    /// Live through what nodes recorded (`Config::with_recordings`), one file for each start of each node: every call is
    /// made again and must give the same outputs, bit by bit, and the terms of all nodes must fit together.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "subject")]
    recording: Vec<PathBuf>,

    /// What the wall clocks of the recorded nodes may disagree by, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10, requires = "recording")]
    clock_error_ms: u64,
}

pub(crate) fn run(settings: &Settings, trace: bool) -> Result<ExitCode, String> {
    let tell = |line: String| if trace { eprintln!("{line}") } else { println!("{line}") };
    let mut lives = Vec::new();
    for path in &settings.recording {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        match Life::new(&bytes) {
            Ok(life) => lives.push(life),
            Err(error @ NotReplayed::Differs { .. }) => {
                tell(format!("NOT DETERMINISTIC: {}: {error}", path.display()));
                return Ok(ExitCode::from(report::NOT_DETERMINISTIC));
            }
            Err(error @ NotReplayed::Contradiction { .. }) => {
                tell(format!("VIOLATION of alternation: {}: {error}", path.display()));
                return Ok(ExitCode::from(report::VIOLATION));
            }
            Err(error @ (NotReplayed::Unreadable(_) | NotReplayed::Config(_))) => {
                return Err(format!("{}: {error}", path.display()));
            }
        }
    }
    if trace {
        merged(&lives).for_each(|line| println!("{line}"));
    }
    lives.iter().for_each(|life| tell(life.to_string()));
    let mut terms: Vec<_> =
        lives.iter().flat_map(|life| life.beliefs.iter().map(|belief| (belief, &life.name))).collect();
    terms.sort_by_key(|(belief, _)| (&belief.global, belief.token));
    for (belief, name) in terms {
        let (from, until) = (belief.from.as_secs_f64(), belief.until.as_secs_f64());
        tell(format!(
            "{}: {name} led with token {} from {from:.3} until {until:.3}",
            belief.global, belief.token
        ));
    }
    match check_terms(&lives, Duration::from_millis(settings.clock_error_ms)) {
        Ok(()) => {
            tell(format!("{} lives, no violation", lives.len()));
            Ok(ExitCode::SUCCESS)
        }
        Err(violation) => {
            tell(format!("VIOLATION of {violation}"));
            Ok(report::exit_code(&violation))
        }
    }
}

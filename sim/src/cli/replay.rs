//! `queenright-sim replay`: one run, again; or the lives of nodes in production.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use queenright_sim::checkers::Violation;
use queenright_sim::exhaustive;
use queenright_sim::explorer::{draw, narrate, run_with};
use queenright_sim::timeline::page;

use super::subject::{self, Subject};
use super::{recording, report};

/// Play one run: that of a seed, or that of a file.
///
/// It is run twice, and must be the same both times.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// A seed (a number, or the hash of a commit), or a file that a failure left.
    #[arg(value_name = "FILE|SEED", required_unless_present = "recording")]
    subject: Option<String>,

    /// Write every input and output of every coordinator to standard output, and nothing else there.
    #[arg(long)]
    trace: bool,

    /// Write a picture of the run: one HTML file that needs no network.
    #[arg(long, value_name = "HTML", requires = "subject")]
    timeline: Option<PathBuf>,

    #[command(flatten)]
    recorded: recording::Settings,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let Some(subject) = &settings.subject else {
        return recording::run(&settings.recorded, settings.trace);
    };
    if let Some(text) = std::fs::read_to_string(subject).ok().filter(|text| exhaustive::Repro::is_meant(text))
    {
        return super::check::replay(&text, settings.timeline.as_deref());
    }
    let Subject { repro, .. } = Subject::parse(subject)?;
    let configure = subject::configure(repro.mutation)?;
    let again = match &settings.timeline {
        Some(file) => {
            let (result, timeline) = draw(&repro.plan, &configure);
            subject::write(file, &page(&timeline))?;
            result
        }
        None => run_with(&repro.plan, &configure),
    };
    let once = match settings.trace {
        true => narrate(&repro.plan, &configure),
        false => run_with(&repro.plan, &configure),
    };
    let (told, code) = match (once, again) {
        (Ok(once), Ok(again)) if once.fingerprint == again.fingerprint => {
            let summary =
                format!("no violation in {} events; fingerprint {:016x}", once.events, once.fingerprint);
            (format!("{}\n{summary}", repro.plan), ExitCode::SUCCESS)
        }
        (Err(once), Err(again)) if once.violation() == again.violation() => {
            // The trace is there already, line by line.
            let story =
                if settings.trace { format!("VIOLATION of {}", once.violation()) } else { once.story() };
            (story, report::exit_code(once.violation()))
        }
        (once, again) => {
            let tell = |run: &Result<_, Box<queenright_sim::explorer::Failure>>| match run {
                Ok(_) => "no violation, or another fingerprint".to_owned(),
                Err(failure) => failure.violation().to_string(),
            };
            let violation =
                Violation::new("determinism", format!("once {}, then {}", tell(&once), tell(&again)));
            (format!("VIOLATION of {violation}"), report::exit_code(&violation))
        }
    };
    if settings.trace {
        eprintln!("{told}")
    } else {
        println!("{told}")
    }
    Ok(code)
}

//! `queenright-sim shrink`: makes a failure small.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use queenright_sim::explorer::run_with;

use super::explore::tell_failure;
use super::report::Format;
use super::subject::{self, Subject};

/// Make the failure of a seed or a file small: take out faults, steps and nodes as long as it fails in the same way.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// A seed (a number, or the hash of a commit), or a file that a failure left.
    #[arg(value_name = "FILE|SEED")]
    subject: String,

    /// Where the result goes. [default: the same file, or seed-SEED.repro.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// How the result looks.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let Subject { repro, file } = Subject::parse(&settings.subject)?;
    let configure = subject::configure(repro.mutation)?;
    match run_with(&repro.plan, &configure) {
        Ok(_) => Err(format!("{} does not fail: there is nothing to shrink", settings.subject)),
        Err(failure) => {
            let out = settings.out.as_deref().unwrap_or(&file);
            tell_failure(&failure, settings.format, Some(out), repro.mutation, &configure)
        }
    }
}

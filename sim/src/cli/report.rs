//! How runs are told: in words, or as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use queenright_sim::checkers::Violation;
use queenright_sim::explorer::{Failure, Report, Repro, Shrunk, Sometimes};
use serde_json::{Value, json};

/// How a program's answer looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object.
    Json,
}

/// A property does not hold.
pub(crate) const VIOLATION: u8 = 1;
/// Wrong arguments, or a file that cannot be used.
pub(crate) const USAGE: u8 = 2;
/// The same plan gave different runs.
pub(crate) const NOT_DETERMINISTIC: u8 = 3;
/// Nothing wrong happened, but not all that should.
pub(crate) const LIVENESS: u8 = 4;

/// What the program ends with when `violation` was found.
pub(crate) fn exit_code(violation: &Violation) -> ExitCode {
    ExitCode::from(match violation.property {
        "determinism" => NOT_DETERMINISTIC,
        _ if violation.is_liveness() => LIVENESS,
        _ => VIOLATION,
    })
}

/// The whole report of a failure: what was violated, the end of the trace, the plan, what it shrank to, and as the last
/// line the command that plays it again.
pub(crate) fn failure(failure: &Failure, shrunk: &Shrunk, repro: &Repro, file: &Path) -> String {
    let mut text = format!("{}\n", failure.story());
    let plan = shrunk.failure.plan();
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "shrunk, in {} runs, to {} nodes, {} faults and {} actions:\n\n{}",
        shrunk.runs,
        plan.nodes.len(),
        plan.faults.len(),
        plan.actions.len(),
        repro.to_toml()
    );
    let replay = format!("{} replay {}", program(), file.display());
    let _ = write!(text, "to look at it: {replay} --timeline out.html\nreplay: {replay}");
    text
}

/// A failure for programs.
pub(crate) fn failure_json(failure: &Failure, shrunk: &Shrunk, file: &Path) -> Value {
    let violation = failure.violation();
    json!({
        "seed": failure.plan().seed.to_string(),
        "property": violation.property,
        "detail": violation.detail,
        "shrunk": {
            "runs": shrunk.runs,
            "nodes": shrunk.failure.plan().nodes.len(),
            "faults": shrunk.failure.plan().faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "actions": shrunk.failure.plan().actions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "repro": file.display().to_string(),
    })
}

/// A campaign for programs.
pub(crate) fn campaign_json(report: &Report, seconds: f64) -> Value {
    let count =
        |state: &queenright_sim::explorer::Reached| (format!("{state:?}"), report.sometimes.count(*state));
    let sometimes: std::collections::BTreeMap<String, u64> =
        queenright_sim::explorer::Reached::ALL.iter().map(count).collect();
    json!({
        "runs": report.tally.runs,
        "events": report.tally.events,
        "seconds": seconds,
        "fingerprint": format!("{:016x}", report.fingerprint),
        "requests_per_lease_max": report.request_peak,
        "sometimes": sometimes,
    })
}

/// The states that a campaign should have reached and did not.
pub(crate) fn missing(sometimes: &Sometimes) -> Vec<String> {
    sometimes.missing().map(|state| format!("{state:?}")).collect()
}

/// How this program was called, for commands that can be pasted.
pub(crate) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "queenright-sim".to_owned())
}

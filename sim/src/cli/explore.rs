//! `queenright-sim explore`: many runs.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Campaign, Failure, Family, Plan, Report, Repro, Tally, parse_seed, shrink};
use serde_json::json;

use super::report::{self, Format};
use super::subject::{self, Subject, repro_file};

/// A campaign of so many runs must reach every state that it should.
pub(crate) const GOALS_FROM: u64 = 3_000;
/// So many runs are spent on making a failure small.
pub(crate) const SHRINK_RUNS_MAX: u32 = 2_000;
/// Where there is no terminal, a line of progress comes so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Run coordinators against the model server, with faults, once for each seed.
///
/// Ends at the first violation: it is made small, written to a file, and told with the command that plays it again. A
/// campaign of 3000 runs and more also fails when there is a state that it should have reached and did not.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// The first one: a number, or the hash of a commit.
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = parse_seed)]
    first: u64,

    /// Use this plan for all seeds, so that only delays differ.
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,

    /// Draw plans of one kind only: brief or long, with a single server or with up to five, which lag, crash, are cut off
    /// from each other and change their leader.
    #[arg(long, conflicts_with = "plan", value_parser = families())]
    family: Option<Family>,

    /// How many threads. [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Where the shrunk plan of a failure goes. [default: seed-SEED.repro.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// How the result looks.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let template = settings.plan.as_deref().map(Subject::parse).transpose()?.map(|subject| subject.repro);
    let mutation = template.as_ref().and_then(|repro| repro.mutation);
    let configure = subject::configure(mutation)?;
    let plan = |seed| match &template {
        Some(repro) => Plan { seed, ..repro.plan.clone() },
        None => drawn(settings.family, seed),
    };
    let end = settings.first.checked_add(settings.seeds);
    let end = end.ok_or_else(|| "there are not so many seeds after the first one".to_owned())?;
    let progress = Progress::new(settings.seeds);
    let begun = Instant::now();
    let report = Campaign {
        seeds: settings.first..end,
        jobs: settings.jobs.unwrap_or_else(cores),
        plan: &plan,
        configure: &configure,
        watch: &|tally| progress.show(tally),
    }
    .run();
    let seconds = begun.elapsed().as_secs_f64();
    progress.finish();
    let Some(failure) = &report.failure else { return Ok(tell_success(settings, &report, seconds)) };
    tell_failure(failure, settings.format, settings.out.as_deref(), mutation, &configure)
}

/// The plan of a seed, of the family that was asked for.
pub(crate) fn drawn(family: Option<Family>, seed: u64) -> Plan {
    family.map_or_else(|| Plan::from_seed(seed), |family| Plan::of_family(family, seed))
}

/// The families by their names.
pub(crate) fn families() -> impl TypedValueParser<Value = Family> {
    let named = |name: &str| Family::ALL.into_iter().find(|family| family.name() == name);
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .try_map(move |name| named(&name).ok_or("there is no such family"))
}

/// One thread for each core.
pub(crate) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Makes a failure small, writes it to a file, and tells it.
pub(crate) fn tell_failure(
    failure: &Failure,
    format: Format,
    out: Option<&Path>,
    mutation: Option<Mutation>,
    configure: &dyn Fn(&mut queenright_core::Config),
) -> Result<ExitCode, String> {
    let violation = failure.violation();
    let shrunk = shrink(Box::new(failure.clone()), SHRINK_RUNS_MAX, configure);
    let mut repro = Repro::new(shrunk.failure.plan().clone());
    repro.violates = Some(violation.property.to_owned());
    repro.mutation = mutation;
    let file = out.map_or_else(|| repro_file(failure.plan().seed), Path::to_owned);
    subject::write(&file, &repro.to_toml())?;
    match format {
        Format::Text => println!("{}", report::failure(failure, &shrunk, &repro, &file)),
        Format::Json => println!("{}", report::failure_json(failure, &shrunk, &file)),
    }
    Ok(report::exit_code(violation))
}

fn tell_success(settings: &Settings, report: &Report, seconds: f64) -> ExitCode {
    let is_mixed = settings.plan.is_none() && settings.family.is_none();
    let missing = if is_mixed && settings.seeds >= GOALS_FROM {
        report::missing(&report.sometimes)
    } else {
        Vec::new()
    };
    let Tally { runs, events } = report.tally;
    match settings.format {
        Format::Text => {
            println!("{}", report.sometimes);
            let rate = rate(runs, seconds);
            println!(
                "{runs} runs, {events} events in {seconds:.1} s: {rate:.0} runs/s; at most {} requests of a node in a lease; \
                 fingerprint {:016x}",
                report.request_peak, report.fingerprint
            );
            if !missing.is_empty() {
                println!("never reached, so nothing was checked there: {}", missing.join(", "));
            }
        }
        Format::Json => {
            let mut told = report::campaign_json(report, seconds);
            told["missing"] = json!(missing);
            println!("{told}");
        }
    }
    if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(report::VIOLATION) }
}

#[allow(clippy::cast_precision_loss)] // For people.
fn rate(runs: u64, seconds: f64) -> f64 {
    runs as f64 / seconds
}

/// A bar where somebody looks at it, lines where it goes into a file; both on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    last_line: Option<Mutex<Instant>>,
    seeds: u64,
    begun: Instant,
}

impl Progress {
    pub(crate) fn new(seeds: u64) -> Self {
        let bar = ProgressBar::new(seeds);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let last_line = (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now()));
        Self { bar, last_line, seeds, begun: Instant::now() }
    }

    pub(crate) fn show(&self, tally: &Tally) {
        self.bar.set_position(tally.runs);
        let Some(last_line) = &self.last_line else { return };
        let Ok(mut last_line) = last_line.lock() else { return };
        if last_line.elapsed() >= LINE_EVERY {
            *last_line = Instant::now();
            let Self { seeds, begun, .. } = self;
            let rate = rate(tally.runs, begun.elapsed().as_secs_f64());
            eprintln!("{} of {seeds} runs, {} events; {rate:.0} runs/s", tally.runs, tally.events);
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

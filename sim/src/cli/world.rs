//! `queenright-sim world`: whole nodes on a simulated network.

use std::num::NonZeroUsize;
#[cfg(not(feature = "world"))]
use std::process::ExitCode;

use clap::Args;
use queenright_sim::explorer::parse_seed;

use super::report::Format;

/// Run whole nodes, with processes and links, on a simulated network with faults, once for each seed.
///
/// Ends at the first violation, and tells which faults it needs and the command that plays it again.
#[derive(Debug, Args)]
// Without the engine they are there for the help only.
#[cfg_attr(not(feature = "world"), allow(dead_code))]
pub(crate) struct Settings {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first one: a number, or the hash of a commit.
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = parse_seed)]
    pub(crate) first: u64,

    /// Run the first seed alone, twice, and write everything that happens to standard output.
    #[arg(long)]
    pub(crate) trace: bool,

    /// How many threads. [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// How the result looks.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[cfg(not(feature = "world"))]
pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    let Settings { seeds, first, .. } = settings;
    Err(format!(
        "this program was built without the engine for whole nodes, which would run {seeds} seeds from {first}: build it with \
         `--features world`"
    ))
}

#[cfg(feature = "world")]
pub(crate) use engine::run;

#[cfg(feature = "world")]
mod engine {
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use queenright_sim::explorer::Tally;
    use queenright_sim::world::{Failure, Report, colony, run_seed};
    use serde_json::json;

    use super::Settings;
    use crate::cli::explore::{Progress, cores};
    use crate::cli::report::{self, Format};

    /// What all seeds came to.
    #[derive(Default)]
    struct Campaign {
        tally: Tally,
        faults: u64,
        fingerprint: u64,
        failure: Option<Box<Failure>>,
    }

    pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
        if settings.trace {
            return Ok(trace(settings.first));
        }
        let end = settings.first.checked_add(settings.seeds);
        let end = end.ok_or_else(|| "there are not so many seeds after the first one".to_owned())?;
        let progress = Progress::new(settings.seeds);
        let begun = Instant::now();
        let campaign = explore(settings, end, &progress);
        let seconds = begun.elapsed().as_secs_f64();
        progress.finish();
        Ok(tell(&campaign, settings.format, seconds))
    }

    /// Seeds in turn, on all threads.
    fn explore(settings: &Settings, end: u64, progress: &Progress) -> Campaign {
        let next = AtomicU64::new(settings.first);
        let end = AtomicU64::new(end);
        let campaign = Mutex::new(Campaign::default());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end.load(Ordering::Relaxed) {
                    return;
                }
                let ended = run_seed(seed, false, &replay(seed), colony::run);
                let mut campaign = campaign.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                match ended {
                    Ok(report) => campaign.add(&report),
                    Err(failure) => {
                        end.fetch_min(seed, Ordering::Relaxed);
                        if campaign.failure.as_ref().is_none_or(|other| seed < other.seed()) {
                            campaign.failure = Some(failure);
                        }
                    }
                }
                progress.show(&campaign.tally);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..settings.jobs.unwrap_or_else(cores).get() {
                scope.spawn(work);
            }
        });
        campaign.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    impl Campaign {
        fn add(&mut self, report: &Report) {
            self.tally.runs += 1;
            self.faults += report.faults as u64;
            // A sum of products: the order in which threads finish does not show, and no seed stands for another.
            let odd = report.seed.wrapping_mul(2).wrapping_add(1);
            self.fingerprint = self.fingerprint.wrapping_add(report.fingerprint.wrapping_mul(odd));
        }
    }

    fn tell(campaign: &Campaign, format: Format, seconds: f64) -> ExitCode {
        let Campaign { tally, faults, fingerprint, failure } = campaign;
        match (failure, format) {
            (None, Format::Text) => {
                #[allow(clippy::cast_precision_loss)] // For people.
                let rate = tally.runs as f64 / seconds;
                println!(
                    "{} runs, {faults} faults in {seconds:.1} s: {rate:.1} runs/s; fingerprint {fingerprint:016x}",
                    tally.runs
                );
            }
            (None, Format::Json) => println!(
                "{}",
                json!({
                    "runs": tally.runs,
                    "faults": faults,
                    "seconds": seconds,
                    "fingerprint": format!("{fingerprint:016x}"),
                })
            ),
            (Some(failure), Format::Text) => println!("{failure}"),
            (Some(failure), Format::Json) => println!(
                "{}",
                json!({
                    "seed": failure.seed().to_string(),
                    "property": failure.property(),
                    "detail": failure.detail(),
                    "faults": failure.faults().map(ToString::to_string).collect::<Vec<_>>(),
                })
            ),
        }
        failure.as_ref().map_or(ExitCode::SUCCESS, |failure| exit_code(failure))
    }

    /// Once with all of it on standard output, and once to see that it is the same.
    fn trace(seed: u64) -> ExitCode {
        let told = run_seed(seed, true, &replay(seed), colony::run);
        let again = run_seed(seed, false, &replay(seed), colony::run);
        match (told, again) {
            (Ok(told), Ok(again)) if told == again => {
                eprintln!("{told}");
                ExitCode::SUCCESS
            }
            (Err(told), Err(again)) if told.property() == again.property() => {
                // The trace is there already, and this one is of the shrunk run.
                eprintln!("{again}");
                exit_code(&told)
            }
            (told, again) => {
                let tell = |ended: &Result<Report, Box<Failure>>| match ended {
                    Ok(report) => report.to_string(),
                    Err(failure) => format!("{} at {:?}", failure.property(), failure.at()),
                };
                eprintln!("VIOLATION of determinism: once {}, then {}", tell(&told), tell(&again));
                ExitCode::from(report::NOT_DETERMINISTIC)
            }
        }
    }

    fn exit_code(failure: &Failure) -> ExitCode {
        ExitCode::from(if failure.is_liveness() { report::LIVENESS } else { report::VIOLATION })
    }

    fn replay(seed: u64) -> String {
        format!("{} world --first {seed} --trace", report::program())
    }
}

//! `queenright-sim world`: whole nodes on a simulated network.

use std::num::NonZeroUsize;
use std::path::PathBuf;
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

    /// Take the guards of whole nodes out, one at a time, until a seed misses them: a table of which property does not hold then,
    /// after how many seeds.
    #[cfg(feature = "mutations")]
    #[arg(long, conflicts_with_all = ["trace", "jobs", "format"])]
    pub(crate) mutants: bool,

    /// Run the first seed alone, and draw it: one HTML file that needs no network.
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    pub(crate) timeline: Option<PathBuf>,

    /// How many processes. [default: one for each core]
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
    use std::cell::RefCell;
    use std::ops::Range;
    use std::path::Path;
    use std::process::{Command, ExitCode, Stdio};
    use std::rc::Rc;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Instant;

    use queenright_sim::Simulation;
    use queenright_sim::explorer::Tally;
    use queenright_sim::timeline::{Timeline, page};
    use queenright_sim::world::{Failure, Report, colony, run_seed};
    use serde::Deserialize;
    use serde_json::json;

    use super::Settings;
    use crate::cli::explore::{Progress, cores};
    use crate::cli::report::{self, Format};
    use crate::cli::subject;

    /// What all seeds came to.
    #[derive(Default)]
    struct Campaign {
        tally: Tally,
        faults: u64,
        fingerprint: u64,
        /// The first seed that failed, in another process.
        failed: Option<u64>,
        failure: Option<Box<Failure>>,
    }

    /// Starting a process takes as long as a small part of one run.
    const SEEDS_OF_A_PROCESS: u64 = 4;

    pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
        if settings.trace {
            return Ok(trace(settings.first));
        }
        if let Some(file) = &settings.timeline {
            return draw(settings.first, file);
        }
        let end = settings.first.checked_add(settings.seeds);
        let end = end.ok_or_else(|| "there are not so many seeds after the first one".to_owned())?;
        #[cfg(feature = "mutations")]
        if settings.mutants {
            return Ok(crate::cli::world_mutants::run(&(settings.first..end)));
        }
        let progress = Progress::new(settings.seeds);
        let begun = Instant::now();
        let campaign = explore(settings, end, &progress)?;
        let seconds = begun.elapsed().as_secs_f64();
        progress.finish();
        Ok(tell(&campaign, settings.format, seconds))
    }

    /// Seeds in turn, here or by processes of this program.
    fn explore(settings: &Settings, end: u64, progress: &Progress) -> Result<Campaign, String> {
        let jobs = settings.jobs.unwrap_or_else(cores).get();
        if jobs == 1 || settings.seeds == 1 {
            Ok(here(settings.first..end, progress))
        } else {
            apart(settings.first..end, jobs, progress)
        }
    }

    fn here(seeds: Range<u64>, progress: &Progress) -> Campaign {
        let mut campaign = Campaign::default();
        for seed in seeds {
            match run_seed(seed, false, &replay(seed), colony::run) {
                Ok(report) => campaign.add(&report),
                Err(failure) => {
                    campaign.failure = Some(failure);
                    break;
                }
            }
            progress.show(&campaign.tally);
        }
        campaign
    }

    /// In a process only one simulation runs at a time.
    fn apart(seeds: Range<u64>, jobs: usize, progress: &Progress) -> Result<Campaign, String> {
        // What is left, whose end falls to the first seed that failed; and what the others came to.
        let left = Mutex::new(seeds);
        let campaign = Mutex::new(Campaign::default());
        let work = || -> Result<(), String> {
            loop {
                let seeds = {
                    let mut left = lock(&left);
                    let begin = left.start;
                    left.start = left.end.min(begin.saturating_add(SEEDS_OF_A_PROCESS));
                    begin..left.start
                };
                if seeds.is_empty() {
                    return Ok(());
                }
                let told = process(&seeds)?;
                if let Told::Failed { seed } = &told {
                    let mut left = lock(&left);
                    left.end = left.end.min(seed.parse().map_err(|_| format!("{seed:?} is no seed"))?);
                    left.start = left.start.min(left.end);
                }
                let mut campaign = lock(&campaign);
                campaign.merge(told)?;
                progress.show(&campaign.tally);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
        })?;
        let mut campaign = campaign.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(seed) = campaign.failed {
            // A run is the same wherever it runs: here it is told.
            campaign.failure = run_seed(seed, false, &replay(seed), colony::run).err();
            if campaign.failure.is_none() {
                return Err(format!("seed {seed} failed in a process of its own, and here it does not"));
            }
        }
        Ok(campaign)
    }

    /// Some seeds in another process of this program.
    fn process(seeds: &Range<u64>) -> Result<Told, String> {
        let program =
            std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
        let (count, first) = (seeds.end - seeds.start, seeds.start);
        let output = Command::new(program)
            .args(["world", "--jobs", "1", "--format", "json"])
            .args(["--seeds", &count.to_string(), "--first", &first.to_string()])
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("this program cannot be run again: {error}"))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            format!(
                "{count} seeds from {first} ended without a word ({}); run them alone, with --jobs 1",
                output.status
            )
        })
    }

    /// What a process says as JSON.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Clean { runs: u64, faults: u64, fingerprint: String },
        Failed { seed: String },
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Campaign {
        fn add(&mut self, report: &Report) {
            self.tally.runs += 1;
            self.faults += report.faults as u64;
            // A sum of products: the order in which processes finish does not show, and no seed stands for another.
            let odd = report.seed.wrapping_mul(2).wrapping_add(1);
            self.fingerprint = self.fingerprint.wrapping_add(report.fingerprint.wrapping_mul(odd));
        }

        fn merge(&mut self, told: Told) -> Result<(), String> {
            match told {
                Told::Clean { runs, faults, fingerprint } => {
                    let fingerprint = u64::from_str_radix(&fingerprint, 16);
                    let fingerprint = fingerprint.map_err(|_| "a process told no fingerprint".to_owned())?;
                    self.tally.runs += runs;
                    self.faults += faults;
                    self.fingerprint = self.fingerprint.wrapping_add(fingerprint);
                }
                Told::Failed { seed } => {
                    let seed = seed.parse().map_err(|_| format!("{seed:?} is no seed"))?;
                    self.failed = Some(self.failed.map_or(seed, |other| other.min(seed)));
                }
            }
            Ok(())
        }
    }

    fn tell(campaign: &Campaign, format: Format, seconds: f64) -> ExitCode {
        let Campaign { tally, faults, fingerprint, failure, .. } = campaign;
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

    /// Once, with all of its faults.
    fn draw(seed: u64, file: &Path) -> Result<ExitCode, String> {
        let drawn = Rc::new(RefCell::new(Timeline::default()));
        let taken = Rc::clone(&drawn);
        let simulation = Simulation::new(seed).replay_hint(replay(seed));
        let ended = colony::run(simulation.timeline(move |timeline| *taken.borrow_mut() = timeline));
        subject::write(file, &page(&drawn.borrow()))?;
        Ok(match ended {
            Ok(report) => {
                println!("{report}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                exit_code(&failure)
            }
        })
    }

    fn exit_code(failure: &Failure) -> ExitCode {
        ExitCode::from(if failure.is_liveness() { report::LIVENESS } else { report::VIOLATION })
    }

    fn replay(seed: u64) -> String {
        format!("{} world --first {seed} --trace", report::program())
    }
}

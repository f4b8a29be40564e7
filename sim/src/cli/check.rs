//! `queenright-sim check`: every interleaving of a bounded world.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use humantime_serde::re::humantime;
use indicatif::{ProgressBar, ProgressStyle};
use queenright_sim::exhaustive::{
    self, Found, LARGER, Order, Outcome, Progress, Repro, WORLDS, World, draw, find, narrate,
};
use queenright_sim::timeline::page;

use super::names::OneOf;
use super::{report, subject};

/// Check every interleaving of a bounded world of coordinators and the model server.
///
/// Nearest states first, so that a counterexample is a shortest one: it is told step by step, and written to a file that
/// `queenright-sim replay` plays again. A world that was checked before must have as many states as are on record.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Which world; all that are small enough for CI when there is none.
    #[arg(value_name = "WORLD", value_parser = NAMES, hide_possible_values = true)]
    world: Option<&'static str>,

    /// List the worlds, with their bounds, and check none.
    #[arg(long, conflicts_with = "world")]
    list: bool,

    /// Give up beyond so many states.
    #[arg(long, value_name = "N", default_value_t = 40_000_000)]
    max_states: u64,

    /// Change a bound of the world: of its nodes, its globals, or one of its faults.
    #[arg(long, value_name = "NAME=N", requires = "world")]
    bound: Vec<String>,

    /// Change how much time passes in the world at most.
    #[arg(long, value_name = "DURATION", requires = "world", value_parser = humantime::parse_duration)]
    horizon: Option<Duration>,

    /// Deepest states first.
    #[arg(long)]
    depth_first: bool,

    /// Tell also what the nodes hear and say on the way to a violation.
    #[arg(long)]
    trace: bool,

    /// Where a counterexample goes. [default: WORLD.repro.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Draw a counterexample, too: one HTML file that needs no network.
    #[arg(long, value_name = "HTML", requires = "world")]
    timeline: Option<PathBuf>,

    /// Take each guard of the protocol out, where a world is known to miss it, and tell after how many steps one does.
    #[cfg(feature = "mutations")]
    #[arg(long, conflicts_with_all = ["world", "list", "mutation"])]
    mutants: bool,

    /// With `--mutants`: write the table of worlds and guards, as Markdown, into this file.
    #[cfg(feature = "mutations")]
    #[arg(long, value_name = "FILE", requires = "mutants")]
    table: Option<PathBuf>,

    /// Take a guard of the protocol out.
    #[cfg(feature = "mutations")]
    #[arg(long, value_name = "GUARD")]
    mutation: Option<String>,
}

const NAMES: OneOf = OneOf {
    what: "world",
    listed: "queenright-sim check --list",
    names: || WORLDS.iter().chain(&LARGER).map(|world| world.name).collect(),
};

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    if settings.list {
        for world in &WORLDS {
            println!("{:<12} {world}", world.name);
        }
        for world in &LARGER {
            println!("{:<12} {world}; not in CI", world.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "mutations")]
    if settings.mutants {
        return super::guards::run(settings.max_states, settings.table.as_deref());
    }
    let chosen: Vec<&World> = match settings.world {
        Some(name) => find(name).into_iter().collect(),
        None => WORLDS.iter().collect(),
    };
    for world in chosen {
        let world = bounded(*world, settings)?;
        let code = check(&world, settings)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The world with what the command line changes about it.
fn bounded(mut world: World, settings: &Settings) -> Result<World, String> {
    for bound in &settings.bound {
        let value = bound.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
        let (name, value) = value.ok_or_else(|| format!("{bound:?} is not of the form NAME=N"))?;
        world = world.with(name, value)?;
    }
    if let Some(horizon) = settings.horizon {
        world = World { horizon, states: None, ..world };
    }
    mutate(&mut world, settings)?;
    Ok(world)
}

#[cfg(feature = "mutations")]
fn mutate(world: &mut World, settings: &Settings) -> Result<(), String> {
    if let Some(guard) = &settings.mutation {
        let named = serde_json::from_value(serde_json::Value::String(guard.clone()));
        let named = named
            .map_err(|_| format!("{guard:?} is no guard: `queenright-sim mutants --list` names them"))?;
        world.mutation = Some(named);
    }
    Ok(())
}

#[cfg(not(feature = "mutations"))]
#[allow(clippy::unnecessary_wraps)] // As with the feature.
fn mutate(_: &mut World, _: &Settings) -> Result<(), String> {
    Ok(())
}

fn check(world: &World, settings: &Settings) -> Result<ExitCode, String> {
    let order = if settings.depth_first { Order::Depth } else { Order::Breadth };
    let search =
        exhaustive::Settings { order, max_states: settings.max_states, ..exhaustive::Settings::default() };
    let bar = Bar::new();
    let begun = Instant::now();
    let result = exhaustive::check(world, search, &mut |progress| bar.show(progress));
    let seconds = begun.elapsed().as_secs_f64();
    bar.0.finish_and_clear();
    match result {
        Ok(outcome) => Ok(tell(world, &outcome, seconds)),
        Err(found) => tell_found(world, &found, settings),
    }
}

fn tell(world: &World, outcome: &Outcome, seconds: f64) -> ExitCode {
    #[allow(clippy::cast_precision_loss)] // For people.
    let rate = outcome.states as f64 / seconds;
    println!(
        "{}: {} states, {} steps, {} runs without faults in {seconds:.1} s: {rate:.0} states/s; of {} states of nodes, {} of \
         connections and {} of the server",
        world.name,
        outcome.states,
        outcome.transitions,
        outcome.completions,
        outcome.nodes,
        outcome.links,
        outcome.servers,
    );
    let missing = outcome.missing(world);
    let mut code = ExitCode::SUCCESS;
    if !outcome.is_exhausted {
        println!("  gave up: there are more states");
    } else if !missing.is_empty() {
        println!("  never reached, so nothing was checked there: {missing:?}");
        code = ExitCode::from(report::VIOLATION);
    } else if let Some(states) = world.states.filter(|states| *states != outcome.states) {
        println!(
            "  {states} states are on record: either the code behaves in another way, or the model does"
        );
        code = ExitCode::from(report::VIOLATION);
    }
    code
}

fn tell_found(world: &World, found: &Found, settings: &Settings) -> Result<ExitCode, String> {
    println!(
        "{}: VIOLATION of {} after {} steps{} ({} states)",
        world.name,
        found.violation,
        found.steps.len(),
        if found.completion { ", and the run without faults behind them" } else { "" },
        found.states
    );
    let repro = Repro::new(world, found);
    let (story, _) = narrate(&repro)?;
    // What nodes hear and say is indented.
    for line in story.iter().filter(|line| settings.trace || !line.starts_with("    ")) {
        println!("{line}");
    }
    let file = settings.out.clone().unwrap_or_else(|| format!("{}.repro.toml", world.name).into());
    subject::write(&file, &repro.to_toml())?;
    if let Some(html) = &settings.timeline {
        subject::write(html, &page(&draw(&repro)?.0))?;
    }
    println!("again: queenright-sim replay {}", file.display());
    Ok(report::exit_code(&found.violation))
}

/// Takes the steps of a counterexample again.
pub(crate) fn replay(text: &str, timeline: Option<&Path>) -> Result<ExitCode, String> {
    let repro = Repro::from_toml(text).map_err(|error| error.to_string())?;
    if let Some(html) = timeline {
        subject::write(html, &page(&draw(&repro)?.0))?;
    }
    let (story, violation) = narrate(&repro)?;
    for line in story {
        println!("{line}");
    }
    match violation {
        None => {
            println!("no violation");
            Ok(ExitCode::SUCCESS)
        }
        Some(violation) => {
            println!("VIOLATION of {violation}");
            Ok(report::exit_code(&violation))
        }
    }
}

/// A counter where somebody looks at it, lines where it goes into a file; both on standard error.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {pos} states, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self(bar)
    }

    fn show(&self, progress: &Progress) {
        self.0.set_position(progress.states);
        self.0.set_message(format!("{} of them done", progress.looked_at));
        // A line for each million.
        if !std::io::stderr().is_terminal() && progress.looked_at.is_multiple_of(1 << 20) {
            eprintln!("{} states, {} of them done", progress.states, progress.looked_at);
        }
    }
}

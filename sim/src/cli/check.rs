//! `queenright-sim check`: every interleaving of a bounded world.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use queenright_sim::exhaustive::{self, Found, Order, Outcome, Progress, Step, WORLDS, World, narrate};

use super::report;

/// Check every interleaving of a bounded world of coordinators and the model server.
///
/// Nearest states first, so that a counterexample is a shortest one: it is told step by step, and written to a file that
/// `--replay` plays again. A world that was checked before must have as many states as are on record.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Which world; all of them when there is none.
    #[arg(value_name = "WORLD")]
    world: Option<String>,

    /// List the worlds, with their bounds, and check none.
    #[arg(long, conflicts_with_all = ["world", "replay"])]
    list: bool,

    /// Give up beyond so many states.
    #[arg(long, value_name = "N", default_value_t = 40_000_000)]
    max_states: u64,

    /// Deepest states first.
    #[arg(long)]
    depth_first: bool,

    /// Tell also what the nodes hear and say on the way to a violation.
    #[arg(long)]
    trace: bool,

    /// Where a counterexample goes. [default: WORLD.steps.txt]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Play the steps of a file again, instead of a search.
    #[arg(long, value_name = "FILE", conflicts_with = "world")]
    replay: Option<PathBuf>,

    /// Take a guard of the protocol out.
    #[cfg(feature = "mutations")]
    #[arg(long, value_name = "GUARD")]
    mutation: Option<String>,
}

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    if settings.list {
        for world in &WORLDS {
            println!("{:<12} {world}", world.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(file) = &settings.replay {
        return replay(file);
    }
    let chosen: Vec<&World> = match &settings.world {
        Some(name) => vec![find(name)?],
        None => WORLDS.iter().collect(),
    };
    for world in chosen {
        let mut world = *world;
        mutate(&mut world, settings)?;
        let code = check(&world, settings)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "mutations")]
fn mutate(world: &mut World, settings: &Settings) -> Result<(), String> {
    if let Some(guard) = &settings.mutation {
        world.mutation = Some(guard_named(guard)?);
    }
    Ok(())
}

#[cfg(not(feature = "mutations"))]
#[allow(clippy::unnecessary_wraps)] // As with the feature.
fn mutate(_: &mut World, _: &Settings) -> Result<(), String> {
    Ok(())
}

fn guard_named(name: &str) -> Result<queenright_core::mutation::Mutation, String> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|_| format!("{name:?} is no guard: `queenright-sim mutants` names them"))
}

fn find(name: &str) -> Result<&'static World, String> {
    let world = WORLDS.iter().find(|world| world.name == name);
    world.ok_or_else(|| format!("there is no world {name:?}: `queenright-sim check --list` lists them"))
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
    let (story, _) = narrate(world, &found.steps, found.completion)?;
    // What nodes hear and say is indented.
    for line in story.iter().filter(|line| settings.trace || !line.starts_with("    ")) {
        println!("{line}");
    }
    let file = settings.out.clone().unwrap_or_else(|| format!("{}.steps.txt", world.name).into());
    std::fs::write(&file, written(world, found)).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("again: queenright-sim check --replay {}", file.display());
    Ok(report::exit_code(&found.violation))
}

/// A counterexample as a file: the world, the guard that was taken out, and a step a line.
fn written(world: &World, found: &Found) -> String {
    let mut text = format!("world {}\n", world.name);
    if let Some(mutation) = world.mutation {
        let _ = writeln!(text, "guard {mutation:?}");
    }
    for step in &found.steps {
        let _ = writeln!(text, "{step}");
    }
    if found.completion {
        text.push_str("complete\n");
    }
    text
}

fn replay(file: &Path) -> Result<ExitCode, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (mut world, mut steps, mut completion) = (None, Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        let bad = |what: &str| format!("{}:{number}: {what}", file.display());
        match (line.split_once(' '), &mut world) {
            (Some(("world", name)), world) => *world = Some(*find(name)?),
            (Some(("guard", name)), Some(world)) => world.mutation = Some(guard_named(name)?),
            (_, None) => return Err(bad("a world must be named first")),
            (None, Some(_)) if line == "complete" => completion = true,
            (_, Some(_)) => steps.push(Step::parse(line).ok_or_else(|| bad("this is no step"))?),
        }
    }
    let world = world.ok_or_else(|| format!("{}: there is nothing in it", file.display()))?;
    let (story, violation) = narrate(&world, &steps, completion)?;
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

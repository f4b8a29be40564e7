//! The whole story, with real processes: a boss and two workers, jobs, `kill -9`, a hand-over.
//!
//! - [`stage`]: the children, and what they tell; [`chronicle`]: what is kept of it, and the verdict
//! - [`scribe`]: what is shown; [`namespace`]: the demo's znodes

mod chronicle;
mod namespace;
mod scribe;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use queenright::{Error, Node};

use self::chronicle::Departing;
use self::scribe::{NAMES, name};
use self::stage::{Failure, Stage};
use crate::cli::Setup;
use crate::ending::{Endings, Input};

/// Without a ZooKeeper the audience learns of it after this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long anything may take on a slow machine, beyond what it must.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a job takes a worker, at most...
const WORK_MAX: Duration = Duration::from_millis(200);
/// ... and how long all jobs of an act would take one worker.
const ACT_WORK: Duration = Duration::from_millis(2400);
/// The exit status of a demo that was interrupted.
const INTERRUPTED: u8 = 130;

/// Plays the story with `jobs` jobs in each act. Exits with 0 if every accepted job was done and each take-over
/// happened exactly once, and with 1 otherwise.
///
/// # Errors
/// When there is no ZooKeeper, or the configuration is wrong: the story has not begun.
pub(crate) async fn run(setup: &Setup, jobs: u16) -> Result<ExitCode, Error> {
    let setup = Setup {
        namespace: namespace::unique(&setup.namespace),
        timeout: setup.timeout.min(CONNECT_LIMIT),
        listen: None,
        advertise: None,
        ..setup.clone()
    };
    let mut endings = Endings::listen(Input::Ignored);
    let node = Node::start(setup.config()).await?;
    node.wait_ready().await?;
    let mut stage = Stage::new();
    let outcome = tokio::select! {
        outcome = play(&mut stage, &node, &setup, jobs) => Some(outcome),
        _ = endings.next() => None,
    };
    stage.clear().await;
    node.close().await;
    if let Err(why) = namespace::remove(setup.servers(), &setup.namespace).await {
        eprintln!("boss: {} stays in ZooKeeper: {why}", setup.namespace);
    }
    let scribe = stage.scribe;
    let failure = match outcome {
        Some(outcome) => outcome.err(),
        None => {
            scribe.fault("interrupted");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    scribe.summary(&stage.chronicle, setup.lease);
    let mut faults: Vec<String> = failure.iter().map(Failure::to_string).collect();
    faults.extend(stage.chronicle.faults());
    if faults.is_empty() {
        scribe.verdict(
            "Every accepted job was done, and each take-over happened once: the colony is queenright.",
        );
        return Ok(ExitCode::SUCCESS);
    }
    scribe.verdict("The story went wrong.");
    faults.iter().for_each(|fault| scribe.fault(fault));
    Ok(ExitCode::FAILURE)
}

async fn play(stage: &mut Stage, node: &Node, setup: &Setup, jobs: u16) -> Result<(), Failure> {
    let work = setup.work.unwrap_or_else(|| (ACT_WORK / u32::from(jobs)).min(WORK_MAX));
    let act_limit = PATIENCE + setup.lease + work * u32::from(jobs);
    let job_limit = act_limit + PATIENCE;
    let plural = if jobs == 1 { "" } else { "s" };

    stage.scribe.act("Act 1: a colony of three");
    let first = stage.enter(setup, work)?;
    stage
        .until("the first election", act_limit, |story| story.record(first).is_ready && story.has_boss())
        .await?;
    while stage.enter(setup, work)? + 1 < NAMES.len() {}
    let is_complete =
        |story: &chronicle::Chronicle| (0..NAMES.len()).all(|player| story.record(player).is_ready);
    stage.until("the start of the workers", act_limit, is_complete).await?;

    stage.scribe.act(&format!("Act 2: {jobs} job{plural}, and kill -9 of the boss with jobs under way"));
    stage.request(node, jobs, job_limit);
    stage.until("the work", act_limit, |story| story.is_under_way(usize::from(jobs) / 3)).await?;
    let tally = stage.chronicle.tally();
    let boss = stage.dismiss(Departing::Killed).await?;
    stage.narrate(&format!(
        "kill -9 {}, with {} of {} jobs under way",
        name(boss),
        tally.accepted - tally.done,
        tally.accepted
    ));
    stage.until("the fail-over", act_limit, chronicle::Chronicle::has_boss).await?;
    narrate_take_over(stage, "the next boss, after");
    stage.until("the rest of the work", job_limit, chronicle::Chronicle::is_settled).await?;

    stage.scribe.act(&format!("Act 3: {jobs} more, then Enter at the boss"));
    stage.request(node, jobs, job_limit);
    stage.until("the work", job_limit, chronicle::Chronicle::is_settled).await?;
    let boss = stage.dismiss(Departing::HandOver).await?;
    stage.until("the hand-over", act_limit, chronicle::Chronicle::has_boss).await?;
    narrate_take_over(stage, "the next boss, after");
    stage.gone(boss).await?;

    stage.scribe.act(&format!("Act 4: {jobs} more, for the last one"));
    stage.request(node, jobs, job_limit);
    stage.until("the work", job_limit, chronicle::Chronicle::is_settled).await?;
    if let Some(last) = stage.chronicle.boss() {
        stage.let_go(last).await?;
        stage.gone(last).await?;
    }
    Ok(())
}

fn narrate_take_over(stage: &Stage, what: &str) {
    if let Some((_, Some(took))) = stage.chronicle.take_overs().last() {
        stage.narrate(&format!("{what} {:.3} s", took.as_secs_f64()));
    }
}

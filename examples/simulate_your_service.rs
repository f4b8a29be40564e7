//! Simulating your own service: a job scheduler with a bug, the simulation that finds it, and the scheduler without it.
//!
//! ```text
//! cargo run --example simulate_your_service              # finds the bug, then shows that the repaired one passes
//! cargo run --example simulate_your_service -- --seeds 500
//! ```
//!
//! Each node wants to be the scheduler: it takes jobs from a table and starts them. No job may be started twice, and none
//! by somebody who is not the scheduler any more. The table is not in ZooKeeper, so that a scheduler that was cut off can
//! still write to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use queenright::{Leadership, Token};
use queenright_sim::world::{Explored, Failure, Simulation};
use queenright_sim::{Member, Report};

/// Look for a bug in a job scheduler that runs on three simulated nodes, with faults.
#[derive(Parser)]
#[command(name = "simulate_your_service")]
struct Cli {
    /// How many seeds each scheduler is tried with.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
}

/// How the scheduler decides that it may start a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheduler {
    /// It looks whether it leads, and then takes its time.
    Trusting,
    /// It shows its token to the table, which refuses a lower one than it has seen.
    Fencing,
}

/// The database: which jobs were started, and by which term.
#[derive(Debug, Default)]
struct Table {
    started: BTreeMap<u32, Vec<Token>>,
    highest: Option<Token>,
}

/// How long the table takes to answer.
const TABLE_LATENCY: Range<u64> = 20..900;

fn main() -> ExitCode {
    let Cli { seeds } = Cli::parse();
    match explore(Scheduler::Trusting, 0..seeds) {
        Err(failure) => println!("{failure}\n"),
        Ok(explored) => {
            println!("{} runs did not find the bug: try more", explored.runs);
            return ExitCode::FAILURE;
        }
    }
    match explore(Scheduler::Fencing, 0..seeds) {
        Ok(explored) => {
            println!("the repaired scheduler: nothing wrong in {} runs", explored.runs);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// This is all that a test needs: what there is, what must hold, and the service.
fn explore(scheduler: Scheduler, seeds: Range<u64>) -> Result<Explored, Box<Failure>> {
    Simulation::explore(seeds, |simulation| simulate(simulation, scheduler))
}

fn simulate(simulation: Simulation, scheduler: Scheduler) -> Result<Report, Box<Failure>> {
    let table = Arc::new(Mutex::new(Table::default()));
    let (looked_at, written) = (Arc::clone(&table), table);
    simulation
        .nodes(3)
        .zookeeper(1)
        .duration(Duration::from_secs(20))
        .tick(Duration::from_millis(5))
        .random_faults()
        .check("no job is started twice", move || lock(&looked_at).no_job_twice())
        .run(move |member| schedule(member, Arc::clone(&written), scheduler))
}

/// The service.
async fn schedule(
    member: Member,
    table: Arc<Mutex<Table>>,
    scheduler: Scheduler,
) -> Result<(), Box<dyn std::error::Error>> {
    let client = member.client().await?;
    let mut candidacy = client.campaign("scheduler", vec![member.index()]).await?;
    loop {
        let leadership = candidacy.elected().await?;
        member.say(format_args!("is the scheduler, with token {}", leadership.token()));
        while leadership.is_valid() {
            match scheduler {
                Scheduler::Trusting => start_if_leading(&member, &table, &leadership).await,
                Scheduler::Fencing => start_with_token(&member, &table, &leadership).await,
            }
        }
        member.say("is the scheduler no more");
    }
}

/// The bug: between the look and the write, another node may have become the scheduler.
async fn start_if_leading(member: &Member, table: &Mutex<Table>, leadership: &Leadership) {
    let job = lock(table).next_job();
    if leadership.is_valid() {
        reach_the_table(member, job).await;
        member.say(format_args!("starts job {job}"));
        lock(table).start(job, leadership.token());
    }
}

/// The repair: the table decides, by the token. Whoever asks it for a job shows the token, too: from then on no earlier
/// scheduler can start one.
async fn start_with_token(member: &Member, table: &Mutex<Table>, leadership: &Leadership) {
    let token = leadership.token();
    let admitted = lock(table).admits(token);
    let job = lock(table).next_job();
    reach_the_table(member, job).await;
    if admitted && lock(table).admits(token) {
        member.say(format_args!("starts job {job}"));
        lock(table).start(job, token);
    } else {
        member.say(format_args!("may not start job {job}"));
    }
}

/// Some network, and a database that is busy at times.
async fn reach_the_table(member: &Member, job: u32) {
    let spread = TABLE_LATENCY.end - TABLE_LATENCY.start;
    // Every third job is quick, and every third may take all of it.
    let millis = TABLE_LATENCY.start + member.entropy() as u64 % spread * u64::from(job % 3) / 2;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

impl Table {
    fn next_job(&self) -> u32 {
        self.started.last_key_value().map_or(0, |(job, _)| job + 1)
    }

    fn start(&mut self, job: u32, token: Token) {
        self.started.entry(job).or_default().push(token);
    }

    /// A token is good if none was greater.
    fn admits(&mut self, token: Token) -> bool {
        self.highest = self.highest.max(Some(token));
        self.highest == Some(token)
    }

    fn no_job_twice(&self) -> Result<(), String> {
        match self.started.iter().find(|(_, tokens)| tokens.len() > 1) {
            Some((job, tokens)) => Err(format!("job {job} was started under the tokens {tokens:?}")),
            None => Ok(()),
        }
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bug_is_found_and_the_failure_says_how_to_see_it_again() {
        let failure = explore(Scheduler::Trusting, 0..50).expect_err("the bug is found");
        assert_eq!(failure.property(), "no job is started twice");
        let story = failure.to_string();
        let replay = story.lines().last().unwrap_or_default();
        assert!(replay.starts_with(&format!("replay: QUEENRIGHT_SEED={} ", failure.seed())), "{replay}");
        assert!(story.contains("is the scheduler, with token"), "{story}");
        // What was shrunk is still a failure: those faults are all that it takes.
        assert!(failure.faults().count() <= 3, "{story}");
    }

    #[test]
    fn the_repaired_scheduler_passes() {
        let explored = explore(Scheduler::Fencing, 0..6).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(explored.runs, 6);
    }
}

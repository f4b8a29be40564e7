//! What a simulation of whole nodes costs beyond turmoil: the same hosts, links and ticks on turmoil alone, in turn with it.
//!
//! ```text
//! cargo bench -p queenright-sim --features world --bench world
//! ```
//! Each figure is the median of several rounds, with the least and the greatest behind it. Exits with 1 when the mark is missed.

#![allow(clippy::unwrap_used)] // A program that may end where it stands.

use std::future::pending;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use queenright_sim::Simulation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

const ROUNDS: usize = 15;
const NODES: u8 = 5;
const DURATION: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(2);
const LATENCY: std::ops::Range<Duration> = Duration::from_millis(1)..Duration::from_millis(10);
/// On each link, from both of its ends.
const MESSAGE_EVERY: Duration = Duration::from_millis(200);
const PORT: u16 = 4711;
/// The most that a simulation may take, in times of what turmoil takes alone.
const RATIO_MAX: f64 = 1.3;

fn main() -> ExitCode {
    let mut alone = Vec::new();
    let mut world = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(timed(turmoil_alone));
        world.push(timed(simulation));
        ratios.push(world.last().unwrap() / alone.last().unwrap());
    }
    let ticks = DURATION.as_nanos() / TICK.as_nanos();
    println!("{NODES} hosts that talk, one that does not, {ticks} ticks:");
    println!("{:<24}{}", "turmoil alone, ms", shown(&mut alone));
    println!("{:<24}{}", "simulation, ms", shown(&mut world));
    println!("{:<24}{}", "ratio", shown(&mut ratios));
    let is_met = median(&mut ratios) <= RATIO_MAX;
    println!("wanted: at most {RATIO_MAX}: {}", if is_met { "yes" } else { "MISSED" });
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each host has a link to each other one, and all of them talk.
async fn talk(own: u8) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    for other in (0..NODES).filter(|other| *other != own) {
        tokio::spawn(async move {
            sleep(MESSAGE_EVERY).await;
            converse(TcpStream::connect(format!("node-{other}:{PORT}")).await.unwrap()).await;
        });
    }
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream));
    }
}

async fn converse(mut stream: TcpStream) {
    let mut heard = [0; 64];
    loop {
        tokio::select! {
            biased;
            read = stream.read(&mut heard) => assert!(read.unwrap() > 0, "nobody hangs up"),
            () = sleep(MESSAGE_EVERY) => stream.write_all(&[7; 40]).await.unwrap(),
        }
    }
}

fn turmoil_alone() {
    let mut simulation = turmoil::Builder::new()
        .simulation_duration(DURATION * 2)
        .tick_duration(TICK)
        .min_message_latency(LATENCY.start)
        .max_message_latency(LATENCY.end)
        .tcp_capacity(4_096)
        .rng_seed(1)
        .build();
    simulation.host("zookeeper-1", pending::<turmoil::Result>);
    for node in 0..NODES {
        simulation.host(format!("node-{node}"), move || talk(node));
    }
    while simulation.elapsed() < DURATION {
        simulation.step().unwrap();
    }
}

fn simulation() {
    let simulation = Simulation::new(1).nodes(NODES).tick(TICK).latency(LATENCY).duration(DURATION);
    simulation.run(|member| talk(member.index())).unwrap();
}

/// In milliseconds.
fn timed(run: impl Fn()) -> f64 {
    let begun = Instant::now();
    run();
    begun.elapsed().as_secs_f64() * 1e3
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn shown(samples: &mut [f64]) -> String {
    let median = median(samples);
    format!("{median:.2} ({:.2} to {:.2})", samples[0], samples[samples.len() - 1])
}

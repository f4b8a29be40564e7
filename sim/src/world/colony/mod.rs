//! The simulator's own service: everything that queenright offers, used at once, and what must be true of it.
//!
//! `queenright-sim world` runs it for many seeds. Each seed gives a plan: how many nodes and servers, how slow, how patient,
//! and which faults.

mod audit;
mod book;
mod desks;
mod leaders;
mod life;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use queenright::{Config, LinkConfig};

use self::book::Book;
use super::failure::Failure;
use super::simulation::{Report, Simulation};
use crate::explorer::mix::Draw;

/// The stream of the seed that a plan comes from.
const LABEL: u64 = 0x636f_6c6f_6e79;
/// How long each run is, in simulated time. The last third of it is without faults.
const DURATION: Duration = Duration::from_secs(45);
/// The most nodes of a run.
const NODES_MAX: u64 = 5;
/// What clocks may differ from true, in millionths. The core allows for twice as much; the rest is for the simulation itself,
/// where what happens on two nodes within a tick happens one after the other: half a percent of the shortest lease is a tick.
const CLOCK_PPM_MAX: u64 = 2_500;

/// Gives `simulation` a plan that its seed chooses, and runs the simulator's own service in it.
///
/// # Errors
/// The first property that did not hold.
pub fn run(simulation: Simulation) -> Result<Report, Box<Failure>> {
    run_with(simulation, |config| config)
}

/// The same with nodes that are configured in another way.
///
/// # Errors
/// The first property that did not hold.
pub fn run_with(
    simulation: Simulation,
    reconfigure: impl Fn(Config) -> Config + 'static,
) -> Result<Report, Box<Failure>> {
    let mut draw = Draw::new(simulation.seed(), LABEL);
    let nodes = u8::try_from(draw.between(2, NODES_MAX)).unwrap_or(2);
    let servers = draw.pick(&[1, 1, 3, 3, 5]);
    let lease = draw.pick(&[1_000, 1_500, 2_000].map(Duration::from_millis));
    let slowest = draw.duration(Duration::from_millis(2), lease / 40);
    let bounds = Bounds {
        lease,
        session_timeout: draw.pick(&[2, 3, 4].map(Duration::from_secs)),
        call: Duration::from_secs(5),
        heartbeat: Duration::from_millis(500),
    };
    let links = LinkConfig {
        heartbeat_interval: bounds.heartbeat,
        heartbeat_timeout: bounds.heartbeat * 4,
        handshake_timeout: bounds.heartbeat * 4,
        ..LinkConfig::default()
    };
    let mut simulation = simulation
        .nodes(nodes)
        .zookeeper(servers)
        .lease(lease)
        .session_timeout(bounds.session_timeout)
        .latency(Duration::from_millis(1)..slowest)
        .tick(Duration::from_millis(draw.between(2, 5)))
        .duration(DURATION)
        .configure(move |config| {
            config
                .with_links(links.clone())
                .with_request_timeout(bounds.call)
                .with_connect_timeout(bounds.call * 3)
        })
        .configure(reconfigure)
        .random_faults();
    for node in 0..nodes {
        let ppm = i32::try_from(draw.below(2 * CLOCK_PPM_MAX)).unwrap_or(0);
        simulation = simulation.clock_rate(node, ppm - i32::try_from(CLOCK_PPM_MAX).unwrap_or(0));
    }
    let book = Arc::new(Book::new(nodes, bounds));
    let (at_any_time, at_the_end, served) = (Arc::clone(&book), Arc::clone(&book), book);
    simulation
        .observe(move |now| at_any_time.check(now))
        .conclude(move |now| at_the_end.conclude(now))
        .run(move |member| life::live(member, Arc::clone(&served)))
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    lease: Duration,
    session_timeout: Duration,
    /// A call that waits for ZooKeeper.
    call: Duration,
    /// Of links.
    heartbeat: Duration,
}

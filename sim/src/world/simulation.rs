//! How a simulation is described, run, and explored.

use std::fmt;
use std::future::Future;
use std::ops::{Range, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use queenright::{ClientKind, Config};

use super::alone;
use super::drawn;
use super::engine::Engine;
use super::failure::Failure;
use super::fault::{Fault, Place, Strike};
use super::random;
use super::server;
use crate::checkers::Violation;
use crate::explorer::trace::Tracing;
use crate::timeline::{Recording, Timeline};

/// Nodes that run a service of yours, on queenright, with ZooKeeper servers, on a network where things go wrong.
///
/// All of it runs on one thread, in simulated time, and from one seed: the same seed gives the same run (see
/// [`world`](crate::world) for what that takes).
///
/// ```
/// use std::time::Duration;
/// use queenright_sim::{Fault, Place, Simulation};
///
/// let second = Duration::from_secs(1);
/// let report = Simulation::new(7)
///     .nodes(3)
///     .zookeeper(1)
///     .duration(20 * second)
///     .fault(5 * second..8 * second, Fault::Partition { a: Place::Node(0), b: Place::Server(1) })
///     .run(|member| async move {
///         let client = member.client().await?;
///         let mut candidacy = client.campaign("boss", vec![member.index()]).await?;
///         loop {
///             let leadership = candidacy.elected().await?;
///             member.say(format!("leads with token {}", leadership.token()));
///             leadership.stopping().cancelled().await;
///         }
///     })?;
/// println!("{report}");
/// # Ok::<(), Box<queenright_sim::Failure>>(())
/// ```
pub struct Simulation {
    settings: Settings,
    strikes: Vec<Strike>,
    random_faults: bool,
    checks: Vec<Check>,
    finally: Vec<Check>,
    selection: Selection,
    tracing: Tracing,
    replay: Option<String>,
    timeline: Option<Box<dyn FnOnce(Timeline)>>,
}

/// What a run depends on, beside its faults.
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) nodes: u8,
    pub(super) servers: u8,
    pub(super) lease: Duration,
    pub(super) session_timeout: Duration,
    pub(super) latency: Range<Duration>,
    pub(super) tick: Duration,
    pub(super) duration: Duration,
    clock_ppm: Vec<(u8, i32)>,
    configure: Vec<Arc<dyn Fn(Config) -> Config>>,
}

/// Looks whether a property holds.
pub(super) enum Check {
    /// A user's.
    Own { name: String, holds: Box<dyn FnMut() -> Result<(), String>> },
    /// One that is told the time, and tells what does not hold.
    Named(Box<dyn FnMut(Duration) -> Result<(), Violation>>),
}

/// Which of the faults of a simulation strike: to make a failure small, some are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection(pub(super) Option<Vec<usize>>);

/// What a run came to in which nothing was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Of every byte on the simulated network, and of everything else in the trace: two runs with equal ones were the same.
    pub fingerprint: u64,
    /// How long it took, in simulated time.
    pub elapsed: Duration,
    /// How many faults there were.
    pub faults: usize,
}

impl Simulation {
    /// Three nodes and one ZooKeeper server, for a minute, and nothing goes wrong.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            settings: Settings {
                seed,
                nodes: 3,
                servers: 1,
                lease: Duration::from_secs(2),
                session_timeout: Duration::from_secs(4),
                latency: Duration::from_millis(1)..Duration::from_millis(10),
                tick: Duration::from_millis(2),
                duration: Duration::from_secs(60),
                clock_ppm: Vec::new(),
                configure: Vec::new(),
            },
            strikes: Vec::new(),
            random_faults: false,
            checks: Vec::new(),
            finally: Vec::new(),
            selection: Selection::default(),
            tracing: Tracing::Last,
            replay: None,
            timeline: None,
        }
    }

    /// How many nodes run the service.
    #[must_use]
    pub const fn nodes(mut self, count: u8) -> Self {
        self.settings.nodes = count;
        self
    }

    /// How many ZooKeeper servers there are, at least one. Default: 1.
    #[must_use]
    pub fn zookeeper(mut self, servers: u8) -> Self {
        self.settings.servers = servers.max(1);
        self
    }

    /// See [`Config::with_lease`]. Default: 2 s.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// See [`Config::with_session_timeout`]. Default: 4 s.
    #[must_use]
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.settings.session_timeout = timeout;
        self
    }

    /// How long a message takes. Default: 1 to 10 ms.
    #[must_use]
    pub const fn latency(mut self, latency: Range<Duration>) -> Self {
        self.settings.latency = latency;
        self
    }

    /// How finely time is cut: what happens on different nodes within a tick happens one after the other. Long ones are fast.
    /// Default: 2 ms.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.settings.tick = tick.max(Duration::from_millis(1));
        self
    }

    /// How long it goes on, in simulated time, unless all services end before. Default: one minute.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.settings.duration = duration;
        self
    }

    /// Makes a node's clock go faster by so many millionths, or slower. queenright's leases are safe to 5000.
    #[must_use]
    pub fn clock_rate(mut self, node: u8, ppm: i32) -> Self {
        self.settings.clock_ppm.push((node, ppm));
        self
    }

    /// Changes the configuration of all nodes.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(Config) -> Config + 'static) -> Self {
        self.settings.configure.push(Arc::new(configure));
        self
    }

    /// A fault, and when: `from..until`, or `from..` for to the end. Faults may overlap.
    #[must_use]
    pub fn fault(mut self, period: impl RangeBounds<Duration>, fault: Fault) -> Self {
        self.strikes.push(Strike::new(&period, fault));
        self
    }

    /// Faults that the seed chooses: which kinds, where and when. They are over when two thirds of the
    /// [`duration`](Self::duration) are, so that what must happen then can be checked at the end.
    #[must_use]
    pub const fn random_faults(mut self) -> Self {
        self.random_faults = true;
        self
    }

    /// A property that must hold whenever a tick is over. What it looks at is shared with the service.
    #[must_use]
    pub fn check(
        mut self,
        name: impl Into<String>,
        holds: impl FnMut() -> Result<(), String> + 'static,
    ) -> Self {
        self.checks.push(Check::Own { name: name.into(), holds: Box::new(holds) });
        self
    }

    /// A property that must hold at the end.
    #[must_use]
    pub fn finally(
        mut self,
        name: impl Into<String>,
        holds: impl FnMut() -> Result<(), String> + 'static,
    ) -> Self {
        self.finally.push(Check::Own { name: name.into(), holds: Box::new(holds) });
        self
    }

    /// Writes the whole trace to standard output, as it happens.
    #[must_use]
    pub const fn narrate(mut self) -> Self {
        self.tracing = Tracing::Print;
        self
    }

    /// Draws the run, whether anything is wrong or not: `take` is given the picture when it is over.
    /// `timeline::page`, with the feature `cli`, makes a page of it. Messages are drawn as they pass the network: what waits inside
    /// of a node is not seen.
    #[must_use]
    pub fn timeline(mut self, take: impl FnOnce(Timeline) + 'static) -> Self {
        self.timeline = Some(Box::new(take));
        self
    }

    /// Runs `service` on every node, from each of its starts until it ends or its node is killed. One that returns an error is
    /// started again after a second, as a supervisor would; one that panics ends the simulation as a failure.
    ///
    /// # Errors
    /// The first property that did not hold, with what led to it.
    ///
    /// # Panics
    /// When a fault names a node or server that does not exist.
    pub fn run<F, Fut>(mut self, service: F) -> Result<Report, Box<Failure>>
    where
        F: Fn(Member) -> Fut + 'static,
        Fut: Future<Output = Result<(), Box<dyn std::error::Error>>> + 'static,
    {
        if self.random_faults {
            self.strikes.extend(random::faults(&self.settings));
        }
        let places: Vec<Place> = self.settings.places().collect();
        for strike in &self.strikes {
            for place in strike.fault.places() {
                assert!(places.contains(&place), "{}: there is no {place}", strike.fault);
            }
        }
        let all = self.strikes.len();
        let selected =
            |index: &usize| self.selection.0.as_ref().is_none_or(|selected| selected.contains(index));
        let faults: Vec<(usize, Strike)> =
            self.strikes.iter().copied().enumerate().filter(|(index, _)| selected(index)).collect();
        let strikes = faults.iter().map(|(_, strike)| *strike).collect();
        let _alone = alone::begin();
        let mut engine = Engine::new(&self.settings, strikes, self.tracing, service);
        if self.timeline.is_some() {
            engine.shared.lock().recording = Some(Recording::default());
        }
        engine.run(&mut self.checks, &mut self.finally);
        let (shared, elapsed) = (Arc::clone(&engine.shared), engine.elapsed());
        let (broken, trace, recording) = {
            let mut state = shared.lock();
            let trace = std::mem::replace(&mut state.trace, crate::explorer::trace::Trace::new(Tracing::Off));
            (state.broken.take(), trace, state.recording.take())
        };
        // What ends with the hosts is no part of the run.
        drop(engine);
        if let (Some(take), Some(recording)) = (self.timeline, recording) {
            let strikes: Vec<String> = faults.iter().map(|(_, strike)| format!("\n{strike}")).collect();
            let plan = format!("{}\nfaults: {}{}", self.settings, strikes.len(), strikes.concat());
            let violation = broken.as_ref().map(ToString::to_string);
            take(drawn::draw(&self.settings, plan, violation, &recording));
        }
        match broken {
            None => Ok(Report {
                seed: self.settings.seed,
                fingerprint: trace.fingerprint(),
                elapsed,
                faults: faults.len(),
            }),
            Some(broken) => Err(Box::new(Failure {
                broken,
                seed: self.settings.seed,
                trace: trace.into_lines(),
                settings: self.settings.to_string(),
                left_out: all - faults.len(),
                faults,
                replay: self.replay.unwrap_or_else(|| "run the same simulation again".to_owned()),
            })),
        }
    }

    pub(super) const fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// A check that names the property itself.
    pub(super) fn observe(mut self, holds: impl FnMut(Duration) -> Result<(), Violation> + 'static) -> Self {
        self.checks.push(Check::Named(Box::new(holds)));
        self
    }

    /// The same at the end.
    pub(super) fn conclude(mut self, holds: impl FnMut(Duration) -> Result<(), Violation> + 'static) -> Self {
        self.finally.push(Check::Named(Box::new(holds)));
        self
    }

    pub(super) fn select(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// How a failure says that it can be seen again.
    #[must_use]
    pub fn replay_hint(mut self, hint: impl Into<String>) -> Self {
        self.replay = Some(hint.into());
        self
    }
}

use super::member::Member;

impl Settings {
    /// All machines.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.nodes).map(Place::Node).chain((1..=self.servers).map(Place::Server))
    }

    pub(super) fn clock_ppm(&self, node: u8) -> i32 {
        self.clock_ppm.iter().rfind(|(of, _)| *of == node).map_or(0, |(_, ppm)| *ppm)
    }

    /// What all nodes are configured with.
    pub(super) fn config(&self) -> Config {
        let servers: Vec<String> =
            (1..=self.servers).map(|server| format!("{}:{}", Place::Server(server), server::PORT)).collect();
        let config = Config::new(servers.join(","))
            .with_client(ClientKind::Native)
            .with_lease(self.lease)
            .with_session_timeout(self.session_timeout);
        self.configure.iter().fold(config, |config, configure| configure(config))
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, servers, lease, session_timeout, latency, tick, duration, clock_ppm, .. } =
            self;
        writeln!(f, "seed {seed}: {nodes} nodes, {servers} ZooKeeper servers, for {duration:?}")?;
        write!(
            f,
            "lease {lease:?}, session timeout {session_timeout:?}, latency {latency:?}, tick {tick:?}"
        )?;
        for (node, ppm) in clock_ppm {
            write!(f, ", clock of node-{node} {ppm:+} ppm")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulation({}; {} faults)", self.settings, self.strikes.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, fingerprint, elapsed, faults } = self;
        write!(
            f,
            "seed {seed}: nothing wrong in {elapsed:?} with {faults} faults; fingerprint {fingerprint:016x}"
        )
    }
}

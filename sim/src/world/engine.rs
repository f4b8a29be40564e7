//! The loop: faults, servers, hosts, checks, in this order, once a tick.

use std::future::{Future, pending};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use queenright_core::Instant;
use turmoil::Sim;

use super::drawn::Lived;
use super::fault::{Fault, Place, Strike};
use super::links::Links;
use super::member::Member;
use super::server;
use super::shared::Shared;
use super::simulation::{Check, Settings};
use crate::checkers::{Life, Violation};
use crate::explorer::trace::Tracing;
use crate::timeline::What;
use crate::zookeeper::{ServerConfig, ServerId};

/// A service that gave up is started again after this pause, as a supervisor would.
const SUPERVISION_PAUSE: Duration = Duration::from_secs(1);
/// How long an ensemble is without a leader before it elects one.
const ELECTION: Duration = Duration::from_millis(300);
/// Segments under way on one connection.
const TCP_CAPACITY: usize = 4_096;
/// Seconds from 1970 to the beginning of every simulation: 2020-01-01.
const EPOCH_SECONDS: u64 = 1_577_836_800;

/// A simulation under way.
pub(super) struct Engine<'a> {
    settings: &'a Settings,
    strikes: Vec<Strike>,
    pub(super) shared: Arc<Shared>,
    simulation: Sim<'a>,
    links: Links,
    /// Times at which a fault begins or ends, latest first.
    changes: Vec<Duration>,
    down: Vec<Place>,
    leaderless_since: Option<Duration>,
}

impl<'a> Engine<'a> {
    pub(super) fn new<F, Fut>(
        settings: &'a Settings,
        strikes: Vec<Strike>,
        tracing: Tracing,
        service: F,
    ) -> Self
    where
        F: Fn(Member) -> Fut + 'static,
        Fut: Future<Output = Result<(), Box<dyn std::error::Error>>> + 'static,
    {
        let Settings { seed, nodes, servers, latency, tick, duration, .. } = settings;
        let model_tick = (settings.session_timeout / 4).min(Duration::from_secs(2));
        let model = ServerConfig {
            tick: model_tick,
            min_session: Duration::ZERO,
            max_session: settings.session_timeout * 20,
            ..ServerConfig::default()
        };
        let shared = Arc::new(Shared::new(*seed, model, *servers, tracing));
        let mut simulation = turmoil::Builder::new()
            .simulation_duration(*duration * 2)
            .epoch(std::time::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS))
            .tick_duration(*tick)
            .min_message_latency(latency.start)
            .max_message_latency(latency.end)
            .tcp_capacity(TCP_CAPACITY)
            .rng_seed(*seed)
            .build();
        for server in 1..=*servers {
            let shared = Arc::clone(&shared);
            simulation.host(Place::Server(server).to_string(), move || {
                server::serve(Arc::clone(&shared), ServerId(server))
            });
        }
        let service = Rc::new(service);
        for node in 0..*nodes {
            let (shared, service) = (Arc::clone(&shared), Rc::clone(&service));
            let clock_ppm = settings.clock_ppm(node);
            let config = settings.config();
            simulation.host(Place::Node(node).to_string(), move || {
                live(Arc::clone(&shared), node, clock_ppm, config.clone(), Rc::clone(&service))
            });
        }
        let mut changes: Vec<_> =
            strikes.iter().flat_map(|strike| [Some(strike.from), strike.until]).flatten().collect();
        changes.sort_unstable_by(|a, b| b.cmp(a));
        changes.dedup();
        Self {
            settings,
            strikes,
            links: Links::new(settings.places().collect()),
            shared,
            simulation,
            changes,
            down: Vec::new(),
            leaderless_since: None,
        }
    }

    /// Runs to the end, or until something is wrong: see [`Shared::fail`].
    pub(super) fn run(&mut self, checks: &mut [Check], finally: &mut [Check]) {
        let mut now = Duration::ZERO;
        while now < self.settings.duration && !self.is_over() {
            self.shared.set_elapsed(now);
            self.strike(now);
            self.keep_servers(now);
            self.start_again(now);
            if let Err(error) = self.simulation.step() {
                self.shared.fail("no panic", error.to_string());
            }
            now = self.simulation.elapsed();
            self.shared.set_elapsed(now);
            self.check(checks);
        }
        if self.shared.lock().broken.is_none() {
            self.check(finally);
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.simulation.elapsed()
    }

    /// Whether something is wrong, or all services have ended well.
    fn is_over(&self) -> bool {
        let state = self.shared.lock();
        state.broken.is_some() || state.done.len() == usize::from(self.settings.nodes)
    }

    fn check(&self, checks: &mut [Check]) {
        for check in checks {
            match check {
                Check::Own { name, holds } => {
                    if let Err(detail) = holds() {
                        self.shared.fail(name, detail);
                    }
                }
                Check::Named(holds) => {
                    if let Err(Violation { property, detail }) = holds(self.shared.elapsed()) {
                        self.shared.fail(property, detail);
                    }
                }
            }
        }
    }

    /// Begins and ends the faults whose time has come.
    fn strike(&mut self, now: Duration) {
        while let Some(at) = self.changes.pop_if(|at| *at <= now) {
            for index in 0..self.strikes.len() {
                let strike = self.strikes[index];
                if strike.from == at {
                    self.shared.note(&(index, 0_u8), |line| write!(line, "FAULT {index}: {}", strike.fault));
                    self.shared
                        .record(|| What::Fault { node: strike.fault.node(), text: strike.fault.to_string() });
                    self.happen(now, strike.fault);
                } else if strike.until == Some(at) {
                    self.shared.note(&(index, 1_u8), |line| write!(line, "OVER {index}: {}", strike.fault));
                    self.shared
                        .record(|| What::Fault { node: None, text: format!("over: {}", strike.fault) });
                }
            }
            let active = || self.strikes.iter().filter(move |strike| strike.is_active(at));
            self.links.set(active(), &self.settings.latency, &self.simulation, &self.shared);
            let lagging: Vec<u8> = active()
                .filter_map(
                    |strike| if let Fault::Lag { server } = strike.fault { Some(server) } else { None },
                )
                .collect();
            let down: Vec<Place> = active()
                .filter_map(
                    |strike| if let Fault::Down { place } = strike.fault { Some(place) } else { None },
                )
                .collect();
            self.set_down(down);
            self.set_lagging(&lagging);
        }
    }

    /// What happens at the beginning of a fault, and needs no end.
    fn happen(&mut self, now: Duration, fault: Fault) {
        match fault {
            Fault::Bounce { node } => {
                self.shared.lock().restarts.insert(node, now);
            }
            Fault::Expire { node } => {
                for session in self.shared.sessions_of(node) {
                    self.shared.change(|now, endpoint| {
                        endpoint.change(now, |ensemble| ensemble.expire(now, session));
                    });
                }
            }
            Fault::Lead { server } => {
                self.shared.change(|now, endpoint| {
                    // Without a majority nothing happens, as in reality.
                    let _ = endpoint.change(now, |ensemble| ensemble.set_leader(now, ServerId(server)));
                });
            }
            Fault::Partition { .. }
            | Fault::OneWay { .. }
            | Fault::Hold { .. }
            | Fault::Isolate { .. }
            | Fault::Down { .. }
            | Fault::Lag { .. }
            | Fault::Slow { .. } => {}
        }
    }

    fn set_down(&mut self, down: Vec<Place>) {
        for place in self.settings.places() {
            let name = place.to_string();
            match (self.down.contains(&place), down.contains(&place)) {
                (false, true) => {
                    self.simulation.crash(name.as_str());
                    if let Place::Server(server) = place {
                        self.change_ensemble(|now, ensemble| ensemble.crash(now, ServerId(server)));
                    }
                }
                (true, false) => {
                    if let Place::Server(server) = place {
                        self.change_ensemble(|now, ensemble| ensemble.restart(now, ServerId(server)));
                    }
                    self.simulation.bounce(name.as_str());
                }
                (true, true) | (false, false) => {}
            }
        }
        self.down = down;
    }

    fn set_lagging(&self, lagging: &[u8]) {
        for server in 1..=self.settings.servers {
            self.change_ensemble(|now, ensemble| match lagging.contains(&server) {
                true => ensemble.hold(now, ServerId(server)),
                false => ensemble.release(now, ServerId(server)),
            });
        }
    }

    fn change_ensemble(&self, act: impl FnOnce(Instant, &mut crate::zookeeper::Ensemble)) {
        self.shared.change(|now, endpoint| endpoint.change(now, |ensemble| act(now, ensemble)));
    }

    /// Servers' deadlines, and an election where there is no leader.
    fn keep_servers(&mut self, now: Duration) {
        self.shared.change(|now, endpoint| {
            if endpoint.poll_timeout().is_some_and(|at| at <= now) {
                endpoint.handle_timeout(now);
            }
        });
        if self.shared.lock().endpoint.ensemble().leader().is_some() {
            self.leaderless_since = None;
            return;
        }
        if now < *self.leaderless_since.get_or_insert(now) + ELECTION {
            return;
        }
        self.change_ensemble(|now, ensemble| {
            // Whoever can: of those the one with the highest id.
            let _ = (1..=self.settings.servers)
                .rev()
                .any(|server| ensemble.set_leader(now, ServerId(server)).is_ok());
        });
    }

    /// Starts nodes again that were killed, or gave up.
    fn start_again(&mut self, now: Duration) {
        let due: Vec<u8> = {
            let mut state = self.shared.lock();
            let due = state.restarts.iter().filter(|(_, at)| **at <= now).map(|(node, _)| *node).collect();
            state.restarts.retain(|_, at| *at > now);
            due
        };
        for node in due.into_iter().filter(|node| !self.down.contains(&Place::Node(*node))) {
            self.simulation.bounce(Place::Node(node).to_string().as_str());
        }
    }
}

/// One life of a node, from its start until it is killed.
async fn live<F, Fut>(
    shared: Arc<Shared>,
    node: u8,
    clock_ppm: i32,
    config: queenright::Config,
    service: Rc<F>,
) -> turmoil::Result
where
    F: Fn(Member) -> Fut,
    Fut: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    let life = {
        let mut state = shared.lock();
        state.done.remove(&node);
        let count = state.lives.entry(node).or_default();
        *count += 1;
        *count - 1
    };
    shared.note(&(node, life), |line| write!(line, "node-{node} starts, life {life}"));
    let lived = Lived::begin(&shared, Life { node, number: life });
    match service(Member::new(Arc::clone(&shared), node, life, clock_ppm, &config)).await {
        Ok(()) => {
            shared.note(&node, |line| write!(line, "node-{node} has ended"));
            shared.lock().done.insert(node);
        }
        Err(error) => {
            let error = error.to_string();
            shared.note(&(node, &error), |line| write!(line, "node-{node} gives up: {error}"));
            let again_at = shared.elapsed() + SUPERVISION_PAUSE;
            shared.lock().restarts.insert(node, again_at);
        }
    }
    drop(lived);
    // The host goes on: what the service left behind runs until it is killed.
    pending().await
}

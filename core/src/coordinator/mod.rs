//! The one machine that drivers drive: it routes inputs to the small ones, and owns nothing of their logic.

mod commands;
mod route;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cache::Cache;
use crate::config::Config;
use crate::election::{Election, Standing};
use crate::error::InvalidConfig;
use crate::ids::{RegistrationId, SessionEpoch, Zxid};
use crate::input::{HostEvent, Input};
use crate::janitor::Janitor;
use crate::lease::Lease;
use crate::mutation::Mutation;
use crate::outbox::Outbox;
use crate::output::{Directory, Event, Freshness, Holder, Instance, Output, Timer};
use crate::path::{Name, Path};
use crate::registration::Registration;
use crate::session::Session;
use crate::time::Instant;

/// The most registrations of one node: the transaction that ends a session names every ephemeral of it, and
/// one that outgrows the server's limit takes the ensemble down (ZOOKEEPER-3496).
pub const REGISTRATIONS_MAX: usize = 5_000;

/// All of queenright's logic: sessions, caches, registrations, leases and elections, without any I/O.
///
/// # Contract
/// - Inputs go in by [`handle_input`](Self::handle_input), commands by the methods that take `now` and return a
///   `Result`, and the passing of time by [`handle_timeout`](Self::handle_timeout). `now` never goes back.
/// - After *each* of these calls, drain [`poll_output`](Self::poll_output) until it gives `None`, and carry the
///   outputs out in that order. Then ask [`poll_timeout`](Self::poll_timeout) when to call `handle_timeout` at
///   the latest. A call that is early or repeated does nothing.
/// - Deadlines that have passed are applied before anything else, in every call: a driver that was paused
///   cannot make the machine act on a belief that is over.
/// - Every [`Request`](crate::Request) must be answered by one [`Input::Response`], in the order of requests.
/// - Errors are misuse by the caller, and change nothing. What goes wrong outside is an [`Event`]. A panic is a
///   bug of this crate; no input, however odd, should cause one.
/// - The same calls give the same outputs, byte for byte.
///
/// # The loop
/// ```
/// # use queenright_core::*;
/// # use queenright_core::op::OpError;
/// # use std::collections::VecDeque;
/// // A world without ZooKeeper: every request is answered with "nobody can tell".
/// let config = Config::new(Name::new("node-1")?, Incarnation(1));
/// let mut now = Instant::ORIGIN;
/// let mut core = Coordinator::new(config, now)?;
/// core.campaign(now, Name::new("boss")?, b"me".to_vec(), Terms::Many)?;
///
/// let connected = SessionEvent::Connected { session_epoch: SessionEpoch(1), session: SessionId(7) };
/// let mut inputs = VecDeque::from([Input::Session(connected)]);
/// let mut requests = 0;
/// for _ in 0..100 {
///     match inputs.pop_front() {
///         Some(input) => core.handle_input(now, input),
///         None => match core.poll_timeout() {
///             Some((at, _)) => {
///                 now = now.max(at);
///                 core.handle_timeout(now);
///             }
///             None => break,
///         },
///     }
///     while let Some(output) = core.poll_output() {
///         match output {
///             Output::Request(Request { id, session_epoch, .. }) => {
///                 requests += 1;
///                 let outcome = Err(OpError::Unknown);
///                 inputs.push_back(Input::Response { session_epoch, request: id, zxid: None, outcome });
///             }
///             Output::Event(Event::Elected { .. }) => unreachable!("nobody granted anything"),
///             Output::Event(_) => {}
///         }
///     }
/// }
/// assert!(requests > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub struct Coordinator {
    phase: Phase,
    session: Session,
    lease: Lease,
    election: Election,
    janitor: Janitor,
    /// By the path of the directory: what watch events name is below it.
    caches: BTreeMap<Path, Cache>,
    registrations: BTreeMap<RegistrationId, Registration>,
    /// By the path of the znode, too.
    registered_paths: BTreeMap<Path, RegistrationId>,
    registrations_made: u64,
    highest_zxid: Option<Zxid>,
    /// The session in which it was told that the ensemble has gone back in time.
    regressed_in: Option<SessionEpoch>,
    out: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum Phase {
    Running,
    Closing,
    Closed,
}

impl Coordinator {
    /// A machine that has never been connected.
    ///
    /// # Errors
    /// When the configuration cannot be safe and live.
    pub fn new(config: Config, now: Instant) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            phase: Phase::Running,
            session: Session::Never,
            lease: Lease::new(),
            election: Election::default(),
            janitor: Janitor::default(),
            caches: BTreeMap::new(),
            registrations: BTreeMap::new(),
            registered_paths: BTreeMap::new(),
            registrations_made: 0,
            highest_zxid: None,
            regressed_in: None,
            out: Outbox::new(config, now),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.out.config
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        self.begin(now);
        match input {
            _ if self.phase == Phase::Closed => {}
            Input::Session(event) => self.handle_session(event),
            Input::Response { session_epoch, request, zxid, outcome } => {
                if let Some(in_flight) = self.out.take_in_flight(request, session_epoch) {
                    let outcome = self.check_shape(&in_flight, outcome);
                    let outcome = self.check_zxid(zxid, &in_flight, outcome);
                    self.handle_response(request, in_flight, outcome);
                }
            }
            Input::Watch { session_epoch, event } => {
                let is_current = session_epoch == self.out.session_epoch()
                    || self.out.config.is_mutated(Mutation::EventOfAnySession);
                if is_current && self.out.is_up() {
                    self.handle_watch(event);
                }
            }
            Input::Host(HostEvent::Stopped { global, token }) => {
                let standing = self.standing();
                self.election.handle_stopped(&global, token, &standing, &mut self.out);
            }
        }
        self.finish();
    }

    /// Applies every deadline that is not after `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.begin(now);
        self.finish();
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.out.timers.next()
    }

    /// What is cached of a directory; `None` when nobody subscribed. In the order of names.
    #[must_use]
    pub fn directory(&self, directory: &Directory) -> Option<(Freshness, Vec<Instance>)> {
        let cache = self.caches.get(&self.out.layout.directory(directory))?;
        Some((cache.freshness(), cache.instances().collect()))
    }

    /// What is known of the holder of a global; `None` when nobody looks it up or stands for it.
    #[must_use]
    pub fn holder(&self, global: &Name) -> Option<Holder> {
        self.election.holder(global, &self.standing(), &self.out)
    }

    /// Whether this node believed that it leads `global` when it was last called.
    #[must_use]
    pub fn is_leading(&self, global: &Name) -> bool {
        self.election.is_leading_of(global)
    }

    /// # Panics
    /// When the machine contradicts itself: a bug of this crate.
    pub fn check_invariants(&self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.out.check_invariants();
        self.lease.check_invariants();
        self.election.check_invariants(&self.standing(), &self.out);
        for cache in self.caches.values() {
            cache.check_invariants(&self.out);
        }
        assert_eq!(
            self.registrations.len(),
            self.registered_paths.len(),
            "an index of registrations is wrong"
        );
        for registration in self.registrations.values() {
            registration.check_invariants(&self.out);
        }
    }

    /// Deadlines come before everything else.
    fn begin(&mut self, now: Instant) {
        self.out.now = self.out.now.max(now);
        while let Some(key) = self.out.timers.pop_due(self.out.now) {
            self.handle_deadline(key);
            self.route_facts();
        }
    }

    /// What follows from the call: facts for other machines, deadlines, the end of closing.
    fn finish(&mut self) {
        self.route_facts();
        self.tend_office();
        self.route_facts();
        if self.election.is_wanted() {
            // Also for a candidacy that began by itself, when the one before it was withdrawn.
            self.lease.want(&mut self.out);
        }
        self.set_belief_timers();
        if self.phase == Phase::Closing && self.registrations.is_empty() && self.election.is_idle() {
            self.end();
        }
    }

    fn end(&mut self) {
        // Terms that are not over yet end first: the record that proves this node alive goes only after them.
        self.election.end(&mut self.out);
        self.lease.retire(&mut self.out);
        self.out.silence();
        self.phase = Phase::Closed;
        self.out.event(Event::Closed);
        // Nothing is left that a later call could speak for.
        self.election = Election::default();
        self.caches.clear();
        self.registrations.clear();
        self.registered_paths.clear();
    }

    fn standing(&self) -> Standing {
        Standing { lease: self.lease.name().cloned(), valid_until: self.lease.valid_until() }
    }
}

//! The one machine that drivers drive: it routes inputs to the small ones, and owns nothing of their logic.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cache::Cache;
use crate::config::{Config, PAYLOAD_LEN_MAX};
use crate::election::{Answer, Election, Standing, is_beat};
use crate::error::{InvalidConfig, Misuse};
use crate::ids::{RegistrationId, RequestId, SessionEpoch, Zxid};
use crate::input::{HostEvent, Input, SessionEvent};
use crate::janitor::{self, Janitor};
use crate::layout::{PAYLOAD_MARK, Place};
use crate::lease::Lease;
use crate::op::{Change, ErrorCode, Op, OpError, Outcome, WatchEvent};
use crate::outbox::{Fact, InFlight, Link, Outbox, Owner};
use crate::output::{Directory, Event, Freshness, Holder, Instance, Output, SessionStatus, Terms, Timer};
use crate::path::Name;
use crate::registration::Registration;
use crate::session::{self, Session};
use crate::time::Instant;
use crate::timers::Key;

/// The most registrations of one node: the transaction that ends a session names every ephemeral of it, and
/// one that outgrows the server's limit takes the ensemble down (ZOOKEEPER-3496).
pub const REGISTRATIONS_MAX: usize = 5_000;

/// Globals that begin like this are the library's own.
const RESERVED_PREFIX: &str = "queenright:";

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
#[derive(Debug)]
pub struct Coordinator {
    phase: Phase,
    session: Session,
    lease: Lease,
    election: Election,
    janitor: Janitor,
    caches: BTreeMap<Directory, Cache>,
    registrations: BTreeMap<RegistrationId, Registration>,
    /// By what they stand for: watch events name paths.
    registered_paths: BTreeMap<(Directory, Name), RegistrationId>,
    registrations_made: u64,
    highest_zxid: Option<Zxid>,
    out: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
                    let outcome = self.check_zxid(zxid, &in_flight, outcome);
                    self.handle_response(request, in_flight, outcome);
                }
            }
            Input::Watch { session_epoch, event } => {
                if session_epoch == self.out.session_epoch() && self.out.is_up() {
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

    /// Registers an instance: an ephemeral znode stands for it in this session and in every later one, until
    /// [`unregister`](Self::unregister). Its status follows as events.
    ///
    /// An instance that is registered with an empty payload has none for good: its name says so, and readers
    /// need not read it.
    ///
    /// # Errors
    /// [`Misuse`] when this node registered it before, when the name or the payload cannot be stored, or after
    /// [`close`](Self::close).
    pub fn register(
        &mut self,
        now: Instant,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
    ) -> Result<RegistrationId, Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        if instance.as_str().ends_with(PAYLOAD_MARK) {
            return Err(Misuse::ReservedName { instance });
        }
        let key = (directory, instance);
        if self.registered_paths.contains_key(&key) {
            return Err(Misuse::AlreadyRegistered { directory: key.0, instance: key.1 });
        }
        if self.registrations.len() >= REGISTRATIONS_MAX {
            return Err(Misuse::TooManyRegistrations { max: REGISTRATIONS_MAX });
        }
        self.begin(now);
        self.registrations_made += 1;
        let id = RegistrationId(self.registrations_made);
        let registration = Registration::new(id, key.0.clone(), key.1.clone(), payload, &mut self.out);
        self.registered_paths.insert(key, id);
        self.registrations.insert(id, registration);
        self.finish();
        Ok(id)
    }

    /// Replaces an instance's payload, in this session and in every later one.
    ///
    /// # Errors
    /// [`Misuse`] when there is no such registration, when it was made without a payload, or when the payload is
    /// too large.
    pub fn update(&mut self, now: Instant, id: RegistrationId, payload: Vec<u8>) -> Result<(), Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        let registration = self.registrations.get(&id).filter(|registration| registration.is_wanted());
        let registration = registration.ok_or(Misuse::NotRegistered)?;
        if !registration.has_payload() && !payload.is_empty() {
            return Err(Misuse::NoPayload { instance: registration.key().1.clone() });
        }
        self.begin(now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.update(payload, &mut self.out);
        }
        self.finish();
        Ok(())
    }

    /// Withdraws an instance, finally. [`RegistrationStatus::Gone`](crate::output::RegistrationStatus::Gone)
    /// follows when its znode is known to be gone, or its session to be over.
    ///
    /// # Errors
    /// [`Misuse::NotRegistered`] when there is no such registration, or it was withdrawn before.
    pub fn unregister(&mut self, now: Instant, id: RegistrationId) -> Result<(), Misuse> {
        if !self.registrations.get(&id).is_some_and(Registration::is_wanted) {
            return Err(Misuse::NotRegistered);
        }
        self.begin(now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.unregister(&mut self.out);
        }
        self.finish();
        Ok(())
    }

    /// Caches a directory from now on; again: keeps it. It is dropped by [`unsubscribe`](Self::unsubscribe), and
    /// when nobody used it for [`Config::cache_idle`]; [`Freshness::Unknown`] is then the last word on it.
    ///
    /// # Errors
    /// [`Misuse::Closing`] after [`close`](Self::close).
    pub fn subscribe(&mut self, now: Instant, directory: Directory) -> Result<(), Misuse> {
        self.check_running()?;
        self.begin(now);
        if let Some(cache) = self.caches.get(&directory) {
            // Somebody new listens: the present level is told again.
            let (freshness, changes) = (cache.freshness(), Vec::new());
            self.out.event(Event::Directory { directory: directory.clone(), freshness, changes });
        } else {
            let cache = Cache::new(directory.clone(), &mut self.out);
            self.caches.insert(directory.clone(), cache);
        }
        if let Some(cache) = self.caches.get_mut(&directory) {
            cache.touch(self.out.now, &mut self.out);
        }
        self.finish();
        Ok(())
    }

    /// Tells that a directory was used since the last call, so that it is not dropped as idle.
    ///
    /// Drivers answer lookups from their own snapshots; they call this before
    /// [`handle_timeout`](Self::handle_timeout) when the timer is [`Timer::Idle`].
    pub fn touch(&mut self, now: Instant, directory: &Directory) {
        // Not through `begin`: the deadline that is due must not be applied before this.
        if let Some(cache) = self.caches.get_mut(directory) {
            cache.touch(now.max(self.out.now), &mut self.out);
        }
    }

    /// Drops the cache of a directory, and its watch.
    pub fn unsubscribe(&mut self, now: Instant, directory: &Directory) {
        self.begin(now);
        self.drop_cache(directory);
        self.finish();
    }

    /// Stands for a global. [`Event::Elected`] follows when this node leads it, perhaps never.
    ///
    /// Again: `payload` and `terms` are for the next term; a claim that is under way keeps its own.
    ///
    /// # Errors
    /// [`Misuse`] for a reserved name, a payload that is too large, or after [`close`](Self::close).
    pub fn campaign(
        &mut self,
        now: Instant,
        global: Name,
        payload: Vec<u8>,
        terms: Terms,
    ) -> Result<(), Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        check_global(&global)?;
        self.begin(now);
        self.lease.want(&mut self.out);
        let standing = self.standing();
        self.election.campaign(global, payload, terms, &standing, &mut self.out);
        self.finish();
        Ok(())
    }

    /// Ends a candidacy. If this node leads, [`Event::Stop`] comes at once and the global is released when the
    /// host says that the application stopped, or when the deadline has passed. [`Event::Withdrawn`] follows
    /// when nothing is left.
    ///
    /// # Errors
    /// [`Misuse::NotCandidate`] when this node does not stand for it.
    pub fn resign(&mut self, now: Instant, global: &Name) -> Result<(), Misuse> {
        self.begin(now);
        let standing = self.standing();
        let was_candidate = self.election.resign(global, &standing, &mut self.out);
        self.finish();
        if was_candidate { Ok(()) } else { Err(Misuse::NotCandidate { global: global.clone() }) }
    }

    /// Follows the holder of a global, whether this node stands for it or not; again: keeps it. The answers are
    /// [`Event::Holder`]. It is dropped like a directory's cache.
    ///
    /// # Errors
    /// [`Misuse`] for a reserved name, or after [`close`](Self::close).
    pub fn look_up(&mut self, now: Instant, global: Name) -> Result<(), Misuse> {
        self.check_running()?;
        check_global(&global)?;
        self.begin(now);
        let standing = self.standing();
        self.election.look_up(&global, &standing, &mut self.out);
        let holder = self.election.holder(&global, &standing, &self.out).unwrap_or(Holder::Unknown);
        self.out.event(Event::Holder { global, holder });
        self.finish();
        Ok(())
    }

    /// Like [`touch`](Self::touch), for a global that is looked up.
    pub fn touch_global(&mut self, now: Instant, global: &Name) {
        self.election.touch(global, now.max(self.out.now), &mut self.out);
    }

    /// Gives up what [`look_up`](Self::look_up) began; [`Holder::Unknown`] is the last word.
    pub fn forget(&mut self, now: Instant, global: &Name) {
        self.begin(now);
        let standing = self.standing();
        self.election.forget(global, &standing, &mut self.out);
        self.finish();
    }

    /// Stops all terms, withdraws all registrations and candidacies, and then gives [`Event::Closed`], at the
    /// latest after [`Config::close_timeout`]. Nothing comes after it.
    pub fn close(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        self.begin(now);
        self.phase = Phase::Closing;
        let close_at = self.out.now.after(self.out.config.close_timeout);
        self.out.set_timer(Key::Close, Some(close_at));
        for directory in self.caches.keys().cloned().collect::<Vec<_>>() {
            self.drop_cache(&directory);
        }
        for registration in self.registrations.values_mut().filter(|registration| registration.is_wanted()) {
            registration.unregister(&mut self.out);
        }
        let standing = self.standing();
        self.election.resign_all(&standing, &mut self.out);
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
        let cache = self.caches.get(directory)?;
        Some((cache.freshness(), cache.instances().cloned().collect()))
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

    fn check_running(&self) -> Result<(), Misuse> {
        if self.phase == Phase::Running { Ok(()) } else { Err(Misuse::Closing) }
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

    fn handle_deadline(&mut self, key: Key) {
        let standing = self.standing();
        match key {
            Key::Belief => self.election.handle_belief(&standing, &mut self.out),
            Key::Beat => self.lease.beat(&mut self.out),
            Key::Lease => self.lease.handle_timeout(self.election.is_wanted(), &mut self.out),
            Key::Global(name) => self.election.handle_timeout(&name, &standing, &mut self.out),
            Key::Record(lease) => self.election.handle_record_retry(&lease, &mut self.out),
            Key::Registration(id) => {
                if let Some(registration) = self.registrations.get_mut(&id) {
                    registration.handle_timeout(&mut self.out);
                }
            }
            Key::Cache(directory) => {
                if let Some(cache) = self.caches.get_mut(&directory) {
                    cache.list(&mut self.out);
                }
            }
            Key::Idle(directory) => self.drop_cache(&directory),
            Key::IdleGlobal(name) => self.election.forget(&name, &standing, &mut self.out),
            Key::Janitor => self.janitor.handle_timeout(&mut self.out),
            Key::Office => self.stand_for_office(&standing),
            Key::Close => self.end(),
        }
        // A deadline that was applied may leave another one that is due: beats and beliefs are set anew here.
        self.set_belief_timers();
    }

    fn handle_session(&mut self, event: SessionEvent) {
        for change in self.session.handle(event).into_iter().flatten() {
            match change {
                session::Change::Suspended => {
                    self.out.event(Event::Session(SessionStatus::Suspended));
                    self.go_down(false);
                }
                session::Change::Lost => {
                    self.out.event(Event::Session(SessionStatus::Lost));
                    self.go_down(true);
                }
                session::Change::Up { session_epoch, session, is_new } => {
                    let status = if is_new {
                        SessionStatus::Connected { session_epoch, session }
                    } else {
                        SessionStatus::Reconnected
                    };
                    self.out.event(Event::Session(status));
                    self.out.set_link(Link::Up { session_epoch, session });
                    self.go_up(is_new);
                }
            }
        }
    }

    fn go_down(&mut self, is_lost: bool) {
        let session_epoch = self.out.session_epoch();
        self.out.set_link(Link::Down { session_epoch });
        if is_lost {
            self.resolve_orphans(None);
        }
        for cache in self.caches.values_mut() {
            cache.handle_down(&mut self.out);
        }
        for registration in self.registrations.values_mut() {
            registration.handle_down(is_lost, &mut self.out);
        }
        self.janitor.handle_down(&mut self.out);
        let standing = self.standing();
        self.election.handle_down(is_lost, &standing, &mut self.out);
    }

    fn go_up(&mut self, is_new_session: bool) {
        self.resolve_orphans(Some(self.out.session_epoch()));
        // First the beat: nothing may hold it up. Then `sync`, for the server may be behind what this node has
        // seen; everything after it on this connection sees at least what was committed by now.
        self.lease.handle_up(self.election.is_wanted(), self.election.is_holding(), &mut self.out);
        let root = self.out.layout.root.clone();
        self.out.request(Owner::Nobody, Op::Sync { path: root });
        let standing = self.standing();
        self.election.handle_up(is_new_session, &standing, &mut self.out);
        for registration in self.registrations.values_mut() {
            registration.handle_up(is_new_session, &mut self.out);
        }
        for cache in self.caches.values_mut() {
            cache.handle_up(is_new_session, &mut self.out);
        }
    }

    /// What belongs to a session that is over is unknown, for ever (design rule 2).
    fn resolve_orphans(&mut self, current: Option<SessionEpoch>) {
        for (request, in_flight) in self.out.take_orphans(current) {
            self.handle_response(request, in_flight, Err(OpError::Unknown));
        }
    }

    /// Rule 4 of the design: a view that is older than what was seen before is not applied.
    fn check_zxid(&mut self, zxid: Option<Zxid>, in_flight: &InFlight, outcome: Outcome) -> Outcome {
        let Some(zxid) = zxid else { return outcome };
        if in_flight.is_read && self.highest_zxid.is_some_and(|highest| zxid < highest) {
            return Err(OpError::Unknown);
        }
        self.highest_zxid = self.highest_zxid.max(Some(zxid));
        outcome
    }

    fn handle_response(&mut self, request: RequestId, in_flight: InFlight, outcome: Outcome) {
        if is_beat(&in_flight, &outcome) {
            self.extend_lease(&in_flight);
        }
        if let (Some(path), Err(OpError::Refused(ErrorCode::NoNode))) = (&in_flight.watched, &outcome) {
            // A read leaves no watch on what is not there.
            self.out.watch_gone(path);
        }
        let standing = self.standing();
        let out = &mut self.out;
        let mut answer = |name, answer| self.election.handle_answer(&name, answer, &standing, out);
        match in_flight.owner {
            Owner::Nobody | Owner::LeaseDelete(_) => {}
            Owner::Janitor => self.janitor.handle_response(request, outcome, out),
            Owner::Watch(path) => match outcome {
                Ok(_) => {}
                Err(error) => {
                    if let Some(code) = error.code() {
                        let reason = "a recursive watch is refused: ZooKeeper 3.6 or newer is needed";
                        out.degraded(path.clone(), Some(code), reason);
                    }
                    out.watch_failed(&path);
                }
            },
            Owner::CacheList(directory) => {
                if let Some(cache) = self.caches.get_mut(&directory) {
                    cache.handle_list(request, outcome, out);
                }
            }
            Owner::CacheRead(directory, znode) => {
                if let Some(cache) = self.caches.get_mut(&directory) {
                    cache.handle_read(znode, request, outcome, out);
                }
            }
            Owner::Registration(id) => {
                if let Some(registration) = self.registrations.get_mut(&id) {
                    registration.handle_response(request, outcome, out);
                }
            }
            Owner::LeaseCreate(name) => self.lease.handle_created(&name, request, &outcome, out),
            Owner::Beat(name) => self.lease.handle_beat(&name, request, &outcome, out),
            Owner::Record(lease) => self.election.handle_record(&lease, request, outcome, &standing, out),
            Owner::TermRead(name) => answer(name, Answer::Read(request, outcome)),
            Owner::Claim(name, _) => answer(name, Answer::Claim(request, outcome)),
            Owner::Release(name) => answer(name, Answer::Release(request, outcome)),
            Owner::Vacate(name) => answer(name, Answer::Vacated(request, outcome)),
            Owner::CandidateCreate(name) => answer(name, Answer::CandidateCreated(request, outcome)),
            Owner::CandidateDelete(name) => answer(name, Answer::CandidateDeleted(request, outcome)),
            Owner::QueueList(name) => answer(name, Answer::QueueListed(request, outcome)),
            Owner::QueueWatch(name, znode) => answer(name, Answer::QueueWatched(znode, outcome)),
        }
        self.route_facts();
    }

    /// Rules 3 and 7: a write to this node's record was applied.
    fn extend_lease(&mut self, in_flight: &InFlight) {
        let (Owner::Beat(lease) | Owner::Claim(_, lease)) = &in_flight.owner else { return };
        self.lease.beaten(lease, in_flight.sent_at);
        if !self.lease.acknowledged(lease, in_flight.sent_at, &self.out) {
            return;
        }
        let standing = self.standing();
        if let (Some(valid_until), true) = (standing.valid_until, self.election.is_leading()) {
            self.out.event(Event::Extended { valid_until });
        }
        self.election.handle_extended(&standing, &mut self.out);
    }

    fn handle_watch(&mut self, event: WatchEvent) {
        let WatchEvent { change, path, .. } = event;
        self.out.watch_gone(&path);
        let layout = self.out.layout.clone();
        let standing = self.standing();
        match layout.place(&path) {
            Place::Instance { directory, child } => {
                if let Some(id) = registered(&self.registered_paths, &self.registrations, &directory, child)
                    && let Some(registration) = self.registrations.get_mut(&id)
                {
                    registration.handle_event(change, &mut self.out);
                    if let Some(cache) = self.caches.get_mut(&directory) {
                        cache.handle_own_event(child, &mut self.out);
                    }
                } else if let Some(cache) = self.caches.get_mut(&directory) {
                    cache.handle_event(child, change, &mut self.out);
                }
            }
            Place::Lease(lease) => self.election.handle_record_event(lease, &mut self.out),
            Place::Term(global) => self.election.handle_term_event(global, &standing, &mut self.out),
            Place::Candidate { global } => match change {
                Change::Deleted => {
                    self.election.handle_candidate_event(global, path.file_name(), &standing, &mut self.out);
                }
                // A one-shot that is gone must be set again, whatever made it fire.
                Change::DataChanged => {
                    self.election.handle_candidate_event(global, path.file_name(), &standing, &mut self.out);
                }
                Change::Created | Change::ChildrenChanged => {}
            },
            Place::Elsewhere => {}
        }
    }

    fn route_facts(&mut self) {
        while let Some(fact) = self.out.pop_fact() {
            match fact {
                Fact::LeaseUsable => {
                    let standing = self.standing();
                    self.election.handle_lease_usable(&standing, &mut self.out);
                }
                Fact::LeaseGone(name) => {
                    self.lease.gone(&name, &mut self.out);
                    let standing = self.standing();
                    self.election.handle_lease_gone(&standing, &mut self.out);
                    if self.election.is_wanted() {
                        self.lease.want(&mut self.out);
                    }
                }
                Fact::RecordInDoubt(name) => self.election.handle_record_in_doubt(&name, &mut self.out),
                Fact::WatchFailed(path) => {
                    for cache in self.caches.values_mut() {
                        cache.handle_watch_failed(&path, &mut self.out);
                    }
                    for registration in self.registrations.values_mut() {
                        registration.handle_watch_failed(&path, &mut self.out);
                    }
                    let standing = self.standing();
                    self.election.handle_watch_failed(&path, &standing, &mut self.out);
                }
                Fact::Unregistered(id) => {
                    if let Some(registration) = self.registrations.remove(&id) {
                        let (directory, instance) = registration.key();
                        self.registered_paths.remove(&(directory.clone(), instance.clone()));
                    }
                }
                Fact::Office(event) => self.handle_office(event),
            }
        }
    }

    /// Only nodes with a candidacy of their own stand for the office (rule 12), and not at once.
    fn tend_office(&mut self) {
        let is_due = self.out.config.janitor_period.is_some() && self.phase == Phase::Running;
        match self.election.candidacies(janitor::OFFICE) {
            (true, false) if is_due && !self.out.timers.is_set(&Key::Office) => {
                let at = self.out.now.after(janitor::STAND_AFTER);
                self.out.set_timer(Key::Office, Some(at));
            }
            (false, true) => {
                let standing = self.standing();
                if let Ok(office) = Name::new(janitor::OFFICE) {
                    self.election.resign(&office, &standing, &mut self.out);
                }
            }
            (false, false) => self.out.set_timer(Key::Office, None),
            (true, _) => {}
        }
    }

    fn stand_for_office(&mut self, standing: &Standing) {
        if let (Ok(office), (true, false)) =
            (Name::new(janitor::OFFICE), self.election.candidacies(janitor::OFFICE))
        {
            self.election.campaign(office, Vec::new(), Terms::Many, standing, &mut self.out);
        }
    }

    fn handle_office(&mut self, event: Event) {
        match event {
            Event::Elected { .. } => self.janitor.start(&mut self.out),
            Event::Stop { global, token, .. } => {
                // The work stops as it is told to: here and now.
                self.janitor.stop(&mut self.out);
                let standing = self.standing();
                self.election.handle_stopped(&global, token, &standing, &mut self.out);
            }
            Event::Revoked { .. } => self.janitor.stop(&mut self.out),
            Event::Holder { .. }
            | Event::Withdrawn { .. }
            | Event::Session(_)
            | Event::Registration { .. }
            | Event::Directory { .. }
            | Event::Extended { .. }
            | Event::Degraded { .. }
            | Event::Closed => {}
        }
    }

    fn set_belief_timers(&mut self) {
        self.lease.schedule_beat(self.election.is_holding(), &mut self.out);
        let belief = self.lease.valid_until().filter(|_| self.election.is_leading());
        let drain = self.out.config.drain;
        self.out.set_timer(Key::Belief, belief.map(|until| until.before(drain)));
    }

    fn standing(&self) -> Standing {
        Standing { lease: self.lease.name().cloned(), valid_until: self.lease.valid_until() }
    }

    fn drop_cache(&mut self, directory: &Directory) {
        if let Some(cache) = self.caches.remove(directory) {
            cache.drop_watch(&mut self.out);
        }
    }
}

/// The registration behind a znode of a directory, if it is one of this node's.
fn registered(
    paths: &BTreeMap<(Directory, Name), RegistrationId>,
    registrations: &BTreeMap<RegistrationId, Registration>,
    directory: &Directory,
    znode: &str,
) -> Option<RegistrationId> {
    let (instance, has_payload) = crate::layout::instance_of(znode)?;
    let id = *paths.get(&(directory.clone(), instance))?;
    (registrations.get(&id)?.has_payload() == has_payload).then_some(id)
}

fn check_payload(payload: &[u8]) -> Result<(), Misuse> {
    if payload.len() > PAYLOAD_LEN_MAX {
        return Err(Misuse::PayloadTooLarge { len: payload.len(), max: PAYLOAD_LEN_MAX });
    }
    Ok(())
}

fn check_global(global: &Name) -> Result<(), Misuse> {
    if global.as_str().starts_with(RESERVED_PREFIX) {
        return Err(Misuse::ReservedGlobal { global: global.clone() });
    }
    Ok(())
}

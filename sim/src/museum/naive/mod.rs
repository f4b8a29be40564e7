//! A machine that elects, registers and caches the way the usual recipes do, with one flaw that somebody's code once had.
//!
//! It leads by an ephemeral in the queue of a global, without leases or terms, and so it is not safe even without a flaw: only
//! what a scenario's flaw makes of it is of interest. Znodes are where the real machines have theirs, so that the same
//! checkers look at both.

mod cache;
mod election;
mod flaw;
mod registration;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use queenright_core::op::{CreateMode, Op, OpError, Outcome, WatchEvent};
use queenright_core::output::{Instance, RegistrationStatus};
use queenright_core::{
    Directory, Event, Freshness, Holder, HostEvent, Incarnation, Input, Instant, Misuse, Name, Output, Path,
    RegistrationId, Request, RequestId, SessionEpoch, SessionEvent, SessionId,
};

use crate::scenario::{Call, Machine, ROOT};
use cache::{Cache, Lookup};
use election::Candidacy;
pub use flaw::Flaw;
use registration::Registration;

/// Pauses between retries, where there are any.
const PAUSE: Duration = Duration::from_millis(200);

/// How many changes of state fit into a queue that drops the rest.
const STATES_MAX: u32 = 151;

/// A naive machine.
#[derive(Debug)]
pub(crate) struct Naive {
    flaw: Flaw,
    node: Name,
    guid: String,
    now: Instant,
    outputs: VecDeque<Output>,
    link: Link,
    epoch: SessionEpoch,
    session: Option<SessionId>,
    requests: u64,
    states: u32,
    in_flight: BTreeMap<RequestId, Pending>,
    candidacies: BTreeMap<Name, Candidacy>,
    registrations: BTreeMap<RegistrationId, Registration>,
    registrations_made: u64,
    caches: BTreeMap<Directory, Cache>,
    lookups: BTreeMap<Name, Lookup>,
    alarms: BTreeSet<(Instant, Alarm)>,
    life: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Closing,
    Closed,
    /// Died of an error that nobody handled.
    Dead,
}

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    Parent(RegistrationId),
    Candidate(Name),
    Queue(Name),
    Own(Name, String),
    Ahead(Name, String),
    Withdrawal(Name, String),
    Create(RegistrationId),
    Read(RegistrationId),
    Set(RegistrationId),
    Delete(RegistrationId),
    List(Directory),
    Child(Directory, String),
    Missing(Directory),
    LookupList(Name),
    LookupGet(Name, String),
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Candidate(Name),
    Registration(RegistrationId),
    List(Directory),
    Idle(Directory),
    Lookup(Name),
    Finish(Name),
}

impl Naive {
    /// A machine with this flaw.
    #[must_use]
    pub(crate) fn new(flaw: Flaw, node: Name, incarnation: Incarnation) -> Self {
        Self {
            flaw,
            node,
            guid: incarnation.to_string(),
            now: Instant::ORIGIN,
            outputs: VecDeque::new(),
            link: Link::Down,
            epoch: SessionEpoch(0),
            session: None,
            requests: 0,
            states: 0,
            in_flight: BTreeMap::new(),
            candidacies: BTreeMap::new(),
            registrations: BTreeMap::new(),
            registrations_made: 0,
            caches: BTreeMap::new(),
            lookups: BTreeMap::new(),
            alarms: BTreeSet::new(),
            life: Phase::Running,
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    fn send(&mut self, pending: Pending, op: Op) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.in_flight.insert(id, pending);
        self.outputs.push_back(Output::Request(Request { id, session_epoch: self.epoch, op }));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn wake_in(&mut self, after: Duration, alarm: Alarm) {
        self.alarms.insert((self.now.after(after), alarm));
    }

    fn make_parents(&mut self, path: &Path) {
        self.make_parents_for(path, &Pending::Nothing);
    }

    fn make_parents_for(&mut self, path: &Path, pending: &Pending) {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(ancestor) = next.filter(|ancestor| ancestor.as_str() != "/") {
            next = ancestor.parent();
            missing.push(ancestor);
        }
        for path in missing.into_iter().rev() {
            self.send(pending.clone(), Op::Create { path, data: Vec::new(), mode: CreateMode::Persistent });
        }
    }

    fn session_event(&mut self, event: SessionEvent) {
        self.states += 1;
        if self.has(Flaw::StatesDropped) && self.states > STATES_MAX {
            return;
        }
        match event {
            SessionEvent::Connected { session_epoch, .. }
                if session_epoch < self.epoch && !self.has(Flaw::BelievesEveryEpoch) => {}
            SessionEvent::Reconnected if self.session.is_none() && !self.has(Flaw::BelievesEveryEpoch) => {}
            SessionEvent::Connected { session_epoch, session } => {
                self.link = Link::Up;
                self.epoch = session_epoch;
                self.session = Some(session);
                self.up(true);
            }
            SessionEvent::Reconnected => {
                self.link = Link::Up;
                self.up(false);
            }
            SessionEvent::Suspended => {
                self.link = Link::Down;
                self.election_down(false);
                self.caches_down();
            }
            SessionEvent::Lost => {
                self.link = Link::Down;
                self.session = None;
                self.election_down(true);
                self.registrations_lost();
                self.caches_down();
            }
        }
    }

    fn up(&mut self, is_new: bool) {
        self.election_up(is_new);
        self.registrations_up(is_new);
        self.caches_up(is_new);
    }

    fn answered(&mut self, pending: Pending, outcome: Outcome) {
        match pending {
            Pending::Nothing => {}
            Pending::Parent(id) => self.parent_made(id, &outcome),
            Pending::Candidate(global) => self.candidate_created(&global, outcome),
            Pending::Queue(global) => self.queue_listed(&global, outcome),
            Pending::Own(global, znode) => self.own_read(&global, &znode, outcome),
            Pending::Ahead(global, znode) => self.ahead_read(&global, &znode, outcome),
            Pending::Withdrawal(global, znode) => self.withdrawn(&global, &znode, outcome),
            Pending::Create(id) => self.registration_created(id, outcome),
            Pending::Read(id) => self.registration_read(id, outcome),
            Pending::Set(id) => self.registration_set(id, outcome),
            Pending::Delete(id) => self.registration_deleted(id, outcome),
            Pending::List(directory) => self.listed(&directory, outcome),
            Pending::Child(directory, child) => self.child_read(&directory, &child, outcome),
            Pending::Missing(directory) => self.missing_watched(&directory, &outcome),
            Pending::LookupList(global) => self.lookup_listed(&global, outcome),
            Pending::LookupGet(global, znode) => self.lookup_read(&global, &znode, outcome),
        }
    }

    fn watch_fired(&mut self, event: &WatchEvent) {
        self.election_event(event);
        self.registration_event(event);
        self.cache_event(event);
    }

    fn alarm(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Candidate(global) => self.try_again(&global),
            Alarm::Registration(id) => self.register_again(id),
            Alarm::List(directory) => self.list(&directory),
            Alarm::Idle(directory) => self.forget_idle(&directory),
            Alarm::Lookup(global) => self.lookup_again(&global),
            Alarm::Finish(global) => self.declined(&global),
        }
    }

    /// Closing is over when nothing is left to be withdrawn.
    fn finish_closing(&mut self) {
        if self.life == Phase::Closing && self.candidacies.is_empty() && self.registrations.is_empty() {
            self.life = Phase::Closed;
            self.event(Event::Closed);
        }
    }

    fn close(&mut self) {
        self.life = Phase::Closing;
        self.caches.clear();
        self.lookups.clear();
        if self.has(Flaw::LeaderOutlivesController) {
            self.candidacies.clear();
            self.registrations.clear();
            return;
        }
        for global in self.candidacies.keys().cloned().collect::<Vec<_>>() {
            self.resign(&global);
        }
        for id in self.registrations.keys().copied().collect::<Vec<_>>() {
            self.unregister(id);
        }
    }
}

impl Machine for Naive {
    fn handle_input(&mut self, now: Instant, input: Input) {
        self.handle_timeout(now);
        match (self.life, input) {
            (Phase::Closed, Input::Session(event)) if self.flaw == Flaw::ActsAfterClose => {
                self.caches.insert(Directory::Nodes, Cache::empty());
                self.session_event(event);
            }
            (Phase::Closed | Phase::Dead, Input::Response { request, .. }) => {
                self.in_flight.remove(&request);
            }
            (Phase::Closed | Phase::Dead, _) => {}
            (_, Input::Session(event)) => self.session_event(event),
            (_, Input::Response { request, outcome, .. }) => {
                if let Some(pending) = self.in_flight.remove(&request) {
                    self.answered(pending, outcome);
                }
            }
            (_, Input::Watch { event, .. }) => self.watch_fired(&event),
            (_, Input::Host(HostEvent::Stopped { global, token })) => self.stopped(&global, token),
        }
        self.finish_closing();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some((at, alarm)) = self.alarms.first().cloned() {
            if at > self.now {
                return;
            }
            self.alarms.remove(&(at, alarm.clone()));
            if matches!(self.life, Phase::Running | Phase::Closing) {
                self.alarm(alarm);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    fn call(&mut self, now: Instant, call: Call) -> Result<Option<RegistrationId>, Misuse> {
        self.handle_timeout(now);
        match call {
            Call::Register { directory, instance, payload } => {
                return Ok(Some(self.register(directory, instance, payload)));
            }
            Call::Update { id, payload } => self.update(id, payload),
            Call::Unregister { id } => self.unregister(id),
            Call::Subscribe(directory) => self.subscribe(directory),
            Call::Unsubscribe(directory) => {
                self.caches.remove(&directory);
                if self.has(Flaw::WatchesAreShared) {
                    self.drop_own_watches(&directory);
                }
            }
            Call::Campaign { global, payload, .. } => self.campaign(global, payload),
            Call::Resign(global) => self.resign(&global),
            Call::LookUp(global) => self.look_up(global),
            Call::Forget(global) => drop(self.lookups.remove(&global)),
            Call::Close => self.close(),
        }
        self.finish_closing();
        Ok(None)
    }

    fn directory(&self, directory: &Directory) -> Option<(Freshness, Vec<Instance>)> {
        self.caches.get(directory).map(Cache::shown)
    }

    fn has_tokens(&self) -> bool {
        !self.has(Flaw::NoTokens)
    }

    fn holder(&self, global: &Name) -> Option<Holder> {
        self.lookups.get(global).map(|lookup| lookup.told.clone())
    }
}

/// A path below the root.
///
/// # Panics
/// Never: the names come from calls that had them checked, or from the tree.
fn path(text: &str) -> Path {
    Path::new(format!("{ROOT}/{text}")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether an answer is an error for which nobody can tell what became of the request.
fn is_unknown(outcome: &Outcome) -> bool {
    *outcome == Err(OpError::Unknown)
}

fn pending() -> RegistrationStatus {
    RegistrationStatus::Pending
}

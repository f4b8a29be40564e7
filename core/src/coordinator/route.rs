//! Where inputs, answers and deadlines go: to the small machines, each of which knows nothing of the others.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Bound;

use super::{Coordinator, Phase};
use crate::election::{Answer, Standing, is_beat};
use crate::ids::{RegistrationId, RequestId, SessionEpoch, Zxid};
use crate::input::SessionEvent;
use crate::janitor;
use crate::layout::Place;
use crate::mutation::Mutation;
use crate::op::{Change, ErrorCode, Op, OpError, Outcome, WatchEvent};
use crate::outbox::{Fact, InFlight, Link, Owner};
use crate::output::{Event, SessionStatus, Terms};
use crate::path::{Name, Path};
use crate::session;
use crate::timers::Key;
use crate::watches::SIBLINGS_MAX;

impl Coordinator {
    pub(super) fn handle_deadline(&mut self, key: Key) {
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
            Key::Cache(path) => {
                if let Some(cache) = self.caches.get_mut(&path) {
                    cache.list(&mut self.out);
                }
            }
            Key::Idle(path) => self.drop_cache(&path),
            Key::IdleGlobal(name) => self.election.forget(&name, &standing, &mut self.out),
            Key::Janitor => self.janitor.handle_timeout(&mut self.out),
            Key::Office => self.stand_for_office(&standing),
            Key::Close => self.end(),
        }
        // A deadline that was applied may leave another one that is due: beats and beliefs are set anew here.
        self.set_belief_timers();
    }

    pub(super) fn handle_session(&mut self, event: SessionEvent) {
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
            if !self.out.config.is_mutated(Mutation::OrphansForgotten) {
                self.handle_response(request, in_flight, Err(OpError::Unknown));
            }
        }
    }

    /// What was not asked for is no answer: it says nothing of what became of the request.
    pub(super) fn check_shape(&mut self, in_flight: &InFlight, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(reply) if !in_flight.shape.fits(&reply) => {
                let root = self.out.layout.root.clone();
                self.out.degraded(root, None, "an answer that does not fit its request is ignored");
                Err(OpError::Unknown)
            }
            Ok(_) | Err(_) => outcome,
        }
    }

    /// Rule 4 of the design: a view that is older than what was seen before is not applied.
    pub(super) fn check_zxid(
        &mut self,
        zxid: Option<Zxid>,
        in_flight: &InFlight,
        outcome: Outcome,
    ) -> Outcome {
        let Some(zxid) = zxid else { return outcome };
        let epoch = in_flight.session_epoch;
        if let Some(highest) = self.highest_zxid.filter(|highest| zxid < *highest) {
            if in_flight.shape.is_read() && !self.out.config.is_mutated(Mutation::OlderViewApplied) {
                return Err(OpError::Unknown);
            }
            // Not a follower that lags. (What a server does not know at all it answers with a negative zxid.)
            let is_regress = in_flight.shape.is_write() && zxid > Zxid(0);
            if is_regress && self.regressed_in != Some(epoch) {
                self.regressed_in = Some(epoch);
                let reason = format!(
                    "the ensemble is at {zxid}, and was at {highest}: it has lost what this node has seen; nothing is read \
                     until it is there again, or until this node restarts"
                );
                self.out.degraded(self.out.layout.root.clone(), None, reason);
            }
        }
        self.highest_zxid = self.highest_zxid.max(Some(zxid));
        outcome
    }

    pub(super) fn handle_response(&mut self, request: RequestId, in_flight: InFlight, outcome: Outcome) {
        if is_beat(&in_flight, &outcome) || self.out.config.is_mutated(Mutation::UnansweredBeatCounts) {
            self.extend_lease(&in_flight);
        }
        match (&in_flight.watched, &outcome) {
            // An older one may have fired since it was asked for.
            (Some(path), Ok(_)) => self.out.watch_left(path),
            // A read leaves no watch on what is not there.
            (Some(path), Err(OpError::Refused(ErrorCode::NoNode))) => self.out.watch_gone(path),
            (Some(_), Err(_)) | (None, _) => {}
        }
        let standing = self.standing();
        let out = &mut self.out;
        let mut answer = |name, answer| self.election.handle_answer(&name, answer, &standing, out);
        match in_flight.owner {
            Owner::Nobody | Owner::LeaseDelete(_) => {}
            Owner::Directory(path) => out.directory_created(&path),
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
            Owner::CacheList(path) => {
                if let Some(cache) = self.caches.get_mut(&path) {
                    cache.handle_list(request, outcome, out);
                }
            }
            Owner::CacheRead(path, znode) => {
                if let Some(cache) = self.caches.get_mut(&path) {
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
            Owner::QueueFence(name) => answer(name, Answer::QueueFenced(request, outcome)),
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

    pub(super) fn handle_watch(&mut self, event: WatchEvent) {
        let WatchEvent { change, path, .. } = event;
        self.out.watch_gone(&path);
        let (directory, child) = path.split();
        let id = self.registered_paths.get(&path);
        let registration = id.and_then(|id| self.registrations.get_mut(id));
        match (registration, self.caches.get_mut(directory)) {
            (Some(registration), cache) => {
                registration.handle_event(change, &mut self.out);
                if let Some(cache) = cache {
                    cache.handle_hint(child, &mut self.out);
                }
            }
            // Of nobody's own, but no delta either: a read decides.
            (None, Some(cache)) if self.out.has_echoes(directory) => {
                cache.handle_hint(child, &mut self.out);
            }
            (None, Some(cache)) => cache.handle_event(child, change, &mut self.out),
            (None, None) => self.handle_election_watch(change, &path),
        }
    }

    fn handle_election_watch(&mut self, change: Change, path: &Path) {
        let standing = self.standing();
        match self.out.layout.place(path) {
            Place::Lease(lease) => self.election.handle_record_event(lease, &mut self.out),
            Place::Term(global) => self.election.handle_term_event(global, &standing, &mut self.out),
            Place::Candidate { global } => match change {
                // A one-shot that is gone must be set again, whatever made it fire.
                Change::Deleted | Change::DataChanged => {
                    let znode = path.file_name();
                    self.election.handle_candidate_event(global, znode, change, &standing, &mut self.out);
                }
                Change::Created | Change::ChildrenChanged => {}
            },
            Place::Elsewhere => {}
        }
    }

    pub(super) fn route_facts(&mut self) {
        while let Some(fact) = self.out.pop_fact() {
            match fact {
                Fact::LeaseUsable => {
                    let standing = self.standing();
                    self.election.handle_lease_usable(&standing, &mut self.out);
                }
                Fact::LeaseGone(name) => {
                    if !self.lease.gone(&name, &mut self.out) {
                        continue;
                    }
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
                        self.registered_paths.remove(registration.path());
                        if let Some(directory) = registration.path().parent() {
                            self.tend_watch(&directory);
                        }
                    }
                }
                Fact::Office(event) => self.handle_office(event),
            }
        }
    }

    /// Only nodes with a candidacy of their own stand for the office (rule 12), and not at once.
    pub(super) fn tend_office(&mut self) {
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

    pub(super) fn set_belief_timers(&mut self) {
        self.lease.schedule_beat(self.election.is_holding(), &mut self.out);
        let belief = self.lease.valid_until().filter(|_| self.election.is_leading());
        let drain = self.out.config.drain;
        self.out.set_timer(Key::Belief, belief.map(|until| until.before(drain)));
    }

    pub(super) fn drop_cache(&mut self, path: &Path) {
        if self.out.config.is_mutated(Mutation::UnusedCacheKept) {
            return;
        }
        if let Some(cache) = self.caches.remove(path) {
            self.tend_watch(path);
            cache.end(&mut self.out);
        }
    }

    /// A recursive watch on a directory is there for its cache, and for many registrations in it. When both are gone, so is
    /// it, and the few that relied on it get watches of their own.
    fn tend_watch(&mut self, directory: &Path) {
        if self.caches.contains_key(directory) || !self.out.has_recursive(directory) {
            return;
        }
        let prefix = directory.prefix();
        let relying: Vec<RegistrationId> = self
            .registered_paths
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(path, _)| path.as_str().starts_with(&prefix))
            .filter(|(path, _)| !self.out.has_one_shot(path))
            .map(|(_, id)| *id)
            .take(SIBLINGS_MAX)
            .collect();
        // Half as many as arm it: one that comes and goes does not make it come and go.
        if relying.len() > SIBLINGS_MAX / 2 {
            return;
        }
        self.out.unwatch_recursively(directory);
        for id in relying {
            if let Some(registration) = self.registrations.get_mut(&id) {
                registration.handle_uncovered(&mut self.out);
            }
        }
    }
}

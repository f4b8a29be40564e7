//! The one thing that every machine writes to: requests, events, facts for other machines, deadlines, watches.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::Config;
use crate::ids::{RegistrationId, RequestId, SessionEpoch, SessionId};
use crate::janitor;
use crate::layout::{Layout, Znode};
use crate::mutation::Mutation;
use crate::op::{CreateMode, ErrorCode, Op, Version, WatchKind};
use crate::output::{Event, Output, Request};
use crate::path::{Name, Path};
use crate::shape::Shape;
use crate::time::Instant;
use crate::timers::{Key, Timers};
use crate::watches::{Tree, Watches};

/// The name of a lease record.
pub(crate) type LeaseName = Arc<str>;

/// So many directories are remembered whose watch was taken back; when there are more, any may be one.
const ECHOES_MAX: usize = 1_000;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Outbox {
    #[cfg_attr(feature = "check", serde(skip))]
    pub(crate) config: Config,
    #[cfg_attr(feature = "check", serde(skip))]
    pub(crate) layout: Layout,
    pub(crate) timers: Timers,
    /// `now` of the call that is being handled.
    pub(crate) now: Instant,
    queue: VecDeque<Output>,
    facts: VecDeque<Fact>,
    in_flight: BTreeMap<RequestId, InFlight>,
    #[cfg_attr(feature = "check", serde(skip))]
    next_request: u64,
    link: Link,
    watches: Watches,
    /// Where recursive watches were taken back on this connection, up to [`ECHOES_MAX`].
    taken_back: BTreeSet<Path>,
    /// The directories whose creation, with all above them, is under way.
    directories: BTreeSet<Path>,
    round_trip: Duration,
}

/// The connection as machines see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Link {
    /// No session, or none that is connected.
    Down { session_epoch: SessionEpoch },
    /// Requests go out.
    Up { session_epoch: SessionEpoch, session: SessionId },
}

/// A request that was not answered yet.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct InFlight {
    pub(crate) owner: Owner,
    pub(crate) session_epoch: SessionEpoch,
    pub(crate) sent_at: Instant,
    /// What fits as its answer.
    pub(crate) shape: Shape,
    /// Where it leaves a watch, if there is a znode.
    pub(crate) watched: Option<Path>,
}

/// To which machine, and to which step of it, an answer belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Owner {
    /// Whatever comes back changes nothing.
    Nobody,
    /// The creation of a directory, after those above it.
    Directory(Path),
    /// A recursive watch.
    Watch(Path),
    /// The list of a cache.
    CacheList(Path),
    /// The payload of one of its children.
    CacheRead(Path, Znode),
    /// A registration.
    Registration(RegistrationId),
    /// The creation of this node's lease record.
    LeaseCreate(LeaseName),
    /// A beat.
    Beat(LeaseName),
    /// The deletion of a record that this node gave up.
    LeaseDelete(LeaseName),
    /// A read of another node's record.
    Record(LeaseName),
    /// A global's read of its term record.
    TermRead(Name),
    /// A claim or a take-over, which is also a beat of the lease named.
    Claim(Name, LeaseName),
    /// A release.
    Release(Name),
    /// A vacation of a dead holder's term.
    Vacate(Name),
    /// The creation of a candidate.
    CandidateCreate(Name),
    /// The deletion of a candidate.
    CandidateDelete(Name),
    /// The list of a queue.
    QueueList(Name),
    /// The write behind which a queue is listed when a creation is in doubt.
    QueueFence(Name),
    /// The watch on a candidate in front.
    QueueWatch(Name, String),
    /// A step of the janitor.
    Janitor,
}

/// What one machine tells the others through the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Fact {
    /// A lease record of this node is usable.
    LeaseUsable,
    /// A write under this node's lease said that its record is gone.
    LeaseGone(LeaseName),
    /// A transaction that was to delete another node's silent record was refused: it must be read again.
    RecordInDoubt(LeaseName),
    /// A recursive watch could not be armed: everything below must be read again.
    WatchFailed(Path),
    /// A registration is withdrawn, and its znode known to be gone.
    Unregistered(RegistrationId),
    /// News of the janitor's office, which is nobody else's business.
    Office(Event),
}

impl Outbox {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        Self {
            layout: Layout::new(&config.root),
            watches: Watches::new(config.watch_bytes_max),
            config,
            timers: Timers::default(),
            now,
            queue: VecDeque::new(),
            facts: VecDeque::new(),
            in_flight: BTreeMap::new(),
            next_request: 0,
            link: Link::Down { session_epoch: SessionEpoch(0) },
            taken_back: BTreeSet::new(),
            directories: BTreeSet::new(),
            round_trip: Duration::ZERO,
        }
    }

    /// Sends `op` in the current session. Machines send only while the link is up.
    pub(crate) fn request(&mut self, owner: Owner, op: Op) -> RequestId {
        debug_assert!(self.is_up(), "{owner:?} sends without a connection: {op:?}");
        let session_epoch = self.session_epoch();
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let shape = Shape::of(&op);
        let watched = match &op {
            Op::GetData { path, watch: true } => Some(path.clone()),
            Op::GetData { watch: false, .. }
            | Op::Exists { .. }
            | Op::GetChildren { .. }
            | Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::AddWatch { .. }
            | Op::RemoveWatch { .. }
            | Op::Multi(_)
            | Op::Sync { .. } => None,
        };
        self.in_flight.insert(id, InFlight { owner, session_epoch, sent_at: self.now, shape, watched });
        self.queue.push_back(Output::Request(Request { id, session_epoch, op }));
        id
    }

    pub(crate) fn event(&mut self, event: Event) {
        if event.global().is_some_and(|global| global.as_str() == janitor::OFFICE) {
            self.tell(Fact::Office(event));
        } else {
            self.queue.push_back(Output::Event(event));
        }
    }

    /// Reports trouble that retrying may not cure.
    pub(crate) fn degraded(&mut self, path: Path, code: Option<ErrorCode>, reason: impl Into<String>) {
        self.event(Event::Degraded { path, code, reason: reason.into() });
    }

    pub(crate) fn tell(&mut self, fact: Fact) {
        self.facts.push_back(fact);
    }

    /// Creates every ancestor of `path` that may be missing, from the top. Their answers do not matter: what
    /// comes next fails if they do, and only for that reason (no permission on the upper ones is needed then).
    ///
    /// Not twice at the same time: answers come in the order of requests, so whoever is refused for the want of a directory
    /// that is being created was so before that.
    pub(crate) fn create_parents(&mut self, path: &Path) {
        if !self.is_up() || self.config.is_mutated(Mutation::ParentsNotMade) {
            // The refusal came late: whoever was refused asks again on the next connection.
            return;
        }
        let Some(directory) = path.parent().filter(|directory| directory.as_str() != "/") else { return };
        if !self.directories.insert(directory.clone()) {
            return;
        }
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(ancestor) = next.filter(|ancestor| ancestor.as_str() != "/") {
            next = ancestor.parent();
            missing.push(ancestor);
        }
        for ancestor in missing.into_iter().rev() {
            // Directories of services come and go with their instances; everything else stays.
            let is_service = ancestor.parent().as_ref() == Some(&self.layout.services);
            let mode = if is_service { CreateMode::Container } else { CreateMode::Persistent };
            let owner =
                if ancestor == directory { Owner::Directory(ancestor.clone()) } else { Owner::Nobody };
            self.request(owner, Op::Create { path: ancestor, data: Vec::new(), mode });
        }
    }

    /// Its creation was answered.
    pub(crate) fn directory_created(&mut self, path: &Path) {
        self.directories.remove(path);
    }

    /// Arms what tells of changes to a znode of this node, whatever that is; says whether a read must leave a one-shot.
    /// Where there are many, one recursive watch on their directory does for the rest, which then is made beforehand: one
    /// refusal of many creations is as good as one of each.
    pub(crate) fn watch_own(&mut self, path: &Path, tree: Tree) -> bool {
        if self.watches.is_covered(path) {
            return false;
        }
        if !self.has_one_shot(path)
            && let Some(directory) = path.parent()
            && self.watches.is_crowded(&directory)
        {
            self.create_parents(path);
            self.watch_recursively(&directory);
            return false;
        }
        self.watch_data(path, tree)
    }

    /// Whether something is armed that tells of changes to the data of `path`.
    pub(crate) fn is_watched(&self, path: &Path) -> bool {
        self.has_one_shot(path) || self.watches.is_covered(path)
    }

    /// Whether a recursive watch on `path` itself is armed.
    pub(crate) fn has_recursive(&self, path: &Path) -> bool {
        self.watches.has_recursive(path)
    }

    /// Whether a one-shot on `path` itself is armed.
    pub(crate) fn has_one_shot(&self, path: &Path) -> bool {
        self.watches.has_one_shot(path)
    }

    /// Accounts for a one-shot data watch on `path`; says whether the read must leave one. When there are too
    /// many of them, a recursive watch on the tree is armed once and does for all.
    pub(crate) fn watch_data(&mut self, path: &Path, tree: Tree) -> bool {
        if self.watches.add_one_shot(path) {
            return true;
        }
        let root = self.tree(tree);
        self.watch_recursively(&root);
        false
    }

    /// Arms a recursive watch on `path` unless one on it, or on an ancestor, is armed on this connection.
    pub(crate) fn watch_recursively(&mut self, path: &Path) {
        if let Some(path) = self.watches.add_recursive(path, &self.layout.services) {
            self.request(Owner::Watch(path.clone()), Op::AddWatch { path });
        }
    }

    /// Whether events may still come from `directory` that a watch saw which is there no more: a watch that was armed since
    /// has not seen what happened in between, and replies may overtake events.
    pub(crate) fn has_echoes(&self, directory: &str) -> bool {
        self.taken_back.contains(directory) || self.taken_back.len() == ECHOES_MAX
    }

    /// Gives up the recursive watch on `path`, if it has one of its own.
    pub(crate) fn unwatch_recursively(&mut self, path: &Path) {
        if self.watches.remove_recursive(path) && self.is_up() {
            if self.taken_back.len() < ECHOES_MAX {
                self.taken_back.insert(path.clone());
            }
            self.request(Owner::Nobody, Op::RemoveWatch { path: path.clone(), kind: WatchKind::Recursive });
        }
    }

    /// Gives up the one-shot watch on `path`, if there is one.
    pub(crate) fn unwatch_data(&mut self, path: &Path) {
        if self.watches.remove_one_shot(path) && self.is_up() {
            self.request(Owner::Nobody, Op::RemoveWatch { path: path.clone(), kind: WatchKind::Data });
        }
    }

    /// A read has left a one-shot watch.
    pub(crate) fn watch_left(&mut self, path: &Path) {
        self.watches.set_one_shot(path);
    }

    /// A one-shot watch is gone: it fired, or was never left.
    pub(crate) fn watch_gone(&mut self, path: &Path) {
        self.watches.remove_one_shot(path);
    }

    /// A recursive watch was refused or is in doubt.
    pub(crate) fn watch_failed(&mut self, path: &Path) {
        self.watches.remove_recursive(path);
        self.tell(Fact::WatchFailed(path.clone()));
    }

    pub(crate) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.taken_back.clear();
        self.directories.clear();
        // Watches die with the connection as far as this ledger goes: all of them are armed again.
        if !self.config.is_mutated(Mutation::LedgerOutlivesConnection) {
            self.watches.clear();
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.link {
            Link::Up { session, .. } => Some(session),
            Link::Down { .. } => None,
        }
    }

    pub(crate) fn session_epoch(&self) -> SessionEpoch {
        match self.link {
            Link::Up { session_epoch, .. } | Link::Down { session_epoch } => session_epoch,
        }
    }

    /// Whose answer this is; each is answered once.
    pub(crate) fn take_in_flight(
        &mut self,
        request: RequestId,
        session_epoch: SessionEpoch,
    ) -> Option<InFlight> {
        if self.in_flight.get(&request)?.session_epoch != session_epoch {
            return None;
        }
        let in_flight = self.in_flight.remove(&request)?;
        // A quarter of each new sample, as TCP smooths its own, rounded to keep integers.
        let sample = self.now.since(in_flight.sent_at);
        self.round_trip = if self.round_trip.is_zero() { sample } else { (self.round_trip * 3 + sample) / 4 };
        Some(in_flight)
    }

    /// The requests that no session will answer any more, in the order in which they were sent.
    pub(crate) fn take_orphans(&mut self, current: Option<SessionEpoch>) -> Vec<(RequestId, InFlight)> {
        let ids: Vec<RequestId> = self
            .in_flight
            .iter()
            .filter(|(_, in_flight)| Some(in_flight.session_epoch) != current)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().filter_map(|id| Some((id, self.in_flight.remove(&id)?))).collect()
    }

    /// A smoothed round trip to the server; zero before the first answer.
    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(crate) fn pop_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// Closing is over: nothing is owed to anybody.
    pub(crate) fn silence(&mut self) {
        self.in_flight.clear();
        self.facts.clear();
        self.timers.clear();
        self.watches.clear();
    }

    pub(crate) fn set_timer(&mut self, key: Key, at: Option<Instant>) {
        self.timers.set(key, at);
    }

    pub(crate) fn check_invariants(&self) {
        self.watches.check_invariants();
        self.timers.len();
        let epoch = self.session_epoch();
        for (id, in_flight) in &self.in_flight {
            assert!(id.0 <= self.next_request, "request {id} was never sent");
            assert_eq!(in_flight.session_epoch, epoch, "request {id} outlived its session");
        }
        assert!(self.facts.is_empty(), "facts were left undelivered: {:?}", self.facts);
    }

    fn tree(&self, tree: Tree) -> Path {
        match tree {
            Tree::Nodes => self.layout.nodes.clone(),
            Tree::Services => self.layout.services.clone(),
            Tree::Globals => self.layout.globals.clone(),
            Tree::Leases => self.layout.leases.clone(),
        }
    }
}

/// A version condition that is never "any": after 2^31 changes the counter passes −1, which the protocol takes
/// for "any version" (CURATOR-688). `None` then: the caller reads again and waits for the next change.
pub(crate) fn exactly(version: i32) -> Option<Version> {
    (version != -1).then_some(Version::Exactly(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Incarnation, SessionId};
    use alloc::format;

    #[test]
    fn echoes_are_expected_where_a_watch_was_taken_back_and_everywhere_after_too_many() {
        let config = Config::new(Name::new("n1").unwrap(), Incarnation(1));
        let mut out = Outbox::new(config, Instant::ORIGIN);
        let up = Link::Up { session_epoch: SessionEpoch(1), session: SessionId(1) };
        out.set_link(up);
        for number in 0..=ECHOES_MAX {
            assert_eq!(out.has_echoes("/elsewhere"), number == ECHOES_MAX, "{number}");
            let directory = Path::new(format!("/q/services/s{number}")).unwrap();
            out.watch_recursively(&directory);
            assert!(number == ECHOES_MAX || !out.has_echoes(directory.as_str()));
            out.unwatch_recursively(&directory);
            assert!(out.has_echoes(directory.as_str()));
        }
        assert!(out.has_echoes("/elsewhere"));
        out.set_link(up);
        assert!(!out.has_echoes("/q/services/s0"), "of an earlier connection none come any more");
    }
}

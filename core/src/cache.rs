//! One directory, kept in memory and true by a watch. Nothing is watched until somebody asks.
//!
//! | state | up | down | list ok | list NoNode | list refused or unknown | timer |
//! |---|---|---|---|---|---|---|
//! | Offline | Listing | – | – | – | – | – |
//! | Listing | Listing | Offline | Armed | Armed, empty | Backoff | – |
//! | Armed | Listing | Offline | – | – | – | – |
//! | Backoff | Listing | Offline | – | – | – | Listing |
//!
//! The recursive watch goes out before the list on one connection, so no change falls between them; it works
//! on a directory that does not exist. In `Armed`, an event is a delta: a name without the mark of a payload
//! needs no read, one with it needs one. While a list, or that read, is under way events need no attention: the port
//! never delivers an event before a reply that preceded it, so the answer shows what they announce.
//!
//! Failure never empties a cache, and "empty" is said only after a list said so with the watch armed.

use alloc::collections::btree_map::Entry as Place;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use crate::backoff::{Backoff, salt};
use crate::ids::{RequestId, Zxid};
use crate::layout::Znode;
use crate::mutation::Mutation;
use crate::op::{Change, ErrorCode, Op, OpError, Outcome, Reply, Stat};
use crate::outbox::{Outbox, Owner};
use crate::output::{Directory, Event, Freshness, Instance, InstanceChange};
use crate::path::{Name, Path};
use crate::time::Instant;
use crate::timers::Key;

/// How many payloads of one directory are being read at once.
const READS_MAX: usize = 256;
/// How many changes wait for the reads behind them before they are told all the same.
const STAGED_MAX: usize = 64;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Cache {
    directory: Directory,
    path: Path,
    state: State,
    entries: BTreeMap<Name, Entry>,
    /// Znodes whose payload must be read, in order; those in `reading` are on their way.
    wanted: BTreeSet<Znode>,
    reading: BTreeMap<Znode, RequestId>,
    /// Znodes that are gone, and stay until the reads under way are answered: who takes a name out before the one that
    /// came in its place is known may leave nothing, and then lose the connection.
    leaving: BTreeSet<Znode>,
    /// Whether one of them is gone by word of an event or a read. Both speak of different times: a name that an event takes
    /// out may have come again before the last one went of which a read told. So that nothing is left is for a list to say.
    is_hearsay: bool,
    staged: Vec<InstanceChange>,
    /// What was told last.
    freshness: Freshness,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    Offline,
    Listing { request: RequestId },
    Armed,
    Backoff,
}

/// An instance that one or both of its znodes stand for: there are two when a registration of a dead session had a payload
/// and its successor has none, say. Where both are there, the one with a payload counts.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
struct Entry {
    /// Whether the znode without payload is there.
    is_plain: bool,
    /// What the one with a payload holds, if it is there.
    payload: Option<Payload>,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
struct Payload {
    data: Arc<[u8]>,
    /// When the znode was created, and when it was written last.
    version: (Zxid, Zxid),
}

impl Cache {
    pub(crate) fn new(directory: Directory, out: &mut Outbox) -> Self {
        let mut cache = Self {
            path: out.layout.directory(&directory),
            directory,
            state: State::Offline,
            entries: BTreeMap::new(),
            wanted: BTreeSet::new(),
            reading: BTreeMap::new(),
            leaving: BTreeSet::new(),
            is_hearsay: false,
            staged: Vec::new(),
            freshness: Freshness::Loading,
            backoff: Backoff::default(),
        };
        cache.touch(out.now, out);
        cache.list(out);
        cache
    }

    /// Somebody used it: it is kept for another while.
    pub(crate) fn touch(&self, now: Instant, out: &mut Outbox) {
        let idle_at = now.after(out.config.cache_idle);
        out.set_timer(Key::Idle(self.path.clone()), Some(idle_at));
    }

    /// Gives everything up but the watch; the last word on this directory.
    pub(crate) fn end(&self, out: &mut Outbox) {
        out.set_timer(Key::Idle(self.path.clone()), None);
        out.set_timer(Key::Cache(self.path.clone()), None);
        let directory = self.directory.clone();
        out.event(Event::Directory { directory, freshness: Freshness::Unknown, changes: Vec::new() });
    }

    /// The connection is up: all that the watch should have said may have been missed.
    pub(crate) fn handle_up(&mut self, is_new_session: bool, out: &mut Outbox) {
        if !is_new_session && out.config.is_mutated(Mutation::WatchNotRearmed) && self.is_loaded() {
            self.request_list(out);
            return;
        }
        self.list(out);
    }

    pub(crate) fn handle_down(&mut self, out: &mut Outbox) {
        self.state = State::Offline;
        self.forget_reads();
        out.set_timer(Key::Cache(self.path.clone()), None);
        self.grow_stale(out);
    }

    /// A retry is due, or the watch above was refused.
    pub(crate) fn list(&mut self, out: &mut Outbox) {
        if out.is_up() {
            out.watch_recursively(&self.path);
            self.request_list(out);
        }
    }

    pub(crate) fn handle_watch_failed(&mut self, path: &Path, out: &mut Outbox) {
        if (*path == self.path || self.path.below(path).is_some()) && out.is_up() {
            self.retry_later(out);
        }
    }

    pub(crate) fn handle_list(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        if self.state != (State::Listing { request }) {
            return;
        }
        match outcome {
            Ok(Reply::Children { names, .. }) => self.apply_list(names, out),
            // The watch is armed on a path that need not exist: this is an authoritative "empty".
            Err(OpError::Refused(ErrorCode::NoNode)) => self.apply_list(Vec::new(), out),
            Err(OpError::Unknown) if out.config.is_mutated(Mutation::FailureIsEmpty) => {
                self.apply_list(Vec::new(), out)
            }
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                out.degraded(self.path.clone(), Some(code), "the directory cannot be listed");
                if self.freshness == Freshness::Loading {
                    self.publish(Freshness::Unknown, out);
                }
                self.retry_later(out);
            }
            Ok(_) | Err(OpError::Unknown) => self.retry_later(out),
        }
    }

    pub(crate) fn handle_read(
        &mut self,
        znode: Znode,
        request: RequestId,
        outcome: Outcome,
        out: &mut Outbox,
    ) {
        if self.reading.get(&znode) != Some(&request) {
            return;
        }
        self.reading.remove(&znode);
        match outcome {
            Ok(Reply::Data { data, stat }) if znode.has_payload => {
                self.apply_payload(znode.name, data, &stat, out);
            }
            Ok(Reply::Data { .. }) => self.add(znode.name),
            Err(OpError::Refused(ErrorCode::NoNode)) => self.leave(znode),
            Err(OpError::Refused(code)) => {
                // A bad instance affects only itself: it is left out until something happens to it.
                out.degraded(
                    out.layout.instance(&self.directory, &znode),
                    Some(code),
                    "the instance cannot be read",
                );
                self.leaving.insert(znode);
            }
            Ok(_) | Err(OpError::Unknown | OpError::RefusedAt { .. }) => self.retry_later(out),
        }
        self.read_wanted(out);
        self.flush(out);
    }

    pub(crate) fn handle_event(&mut self, child: &str, change: Change, out: &mut Outbox) {
        match self.state {
            State::Armed => {}
            // What is under way, or will be, shows it.
            State::Offline | State::Listing { .. } | State::Backoff => return,
        }
        let Some(znode) = Znode::parse(child) else { return };
        match (change, znode.has_payload) {
            (Change::Created, false) => {
                self.leaving.remove(&znode);
                self.add(znode.name);
            }
            (Change::Created | Change::DataChanged, true) => {
                self.leaving.remove(&znode);
                self.want(znode);
            }
            (Change::Deleted, _) => {
                self.wanted.remove(&znode);
                self.reading.remove(&znode);
                self.leave(znode);
            }
            (Change::DataChanged, false) | (Change::ChildrenChanged, _) => {}
        }
        self.read_wanted(out);
        self.flush(out);
    }

    /// Something happened to an instance, perhaps some time ago: it is this node's own, and its registration watches the same
    /// znode, so that two watches report one change through different streams, in either order; or an earlier watch of this
    /// cache saw it. An old deletion may be told after a new creation. So it is a hint and no delta, and a read decides.
    pub(crate) fn handle_hint(&mut self, child: &str, out: &mut Outbox) {
        match self.state {
            State::Armed => {}
            State::Offline | State::Listing { .. } | State::Backoff => return,
        }
        let Some(znode) = Znode::parse(child) else { return };
        self.leaving.remove(&znode);
        self.want(znode);
        self.read_wanted(out);
        self.flush(out);
    }

    pub(crate) fn freshness(&self) -> Freshness {
        self.freshness
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = Instance> {
        self.entries.iter().map(|(name, entry)| entry.instance(name.clone()))
    }

    pub(crate) fn check_invariants(&self, out: &Outbox) {
        assert!(self.reading.len() <= READS_MAX, "{}: too many reads at once", self.directory);
        assert!(
            self.wanted.is_empty() || self.reading.len() == READS_MAX,
            "{}: reads not sent",
            self.directory
        );
        match self.state {
            State::Offline => assert!(!out.is_up(), "{}: nobody watches or reads it", self.directory),
            State::Listing { .. } | State::Armed | State::Backoff => {
                assert!(out.is_up(), "{}: thinks that it is connected", self.directory);
            }
        }
        if self.freshness == Freshness::Fresh {
            assert_eq!(self.state, State::Armed, "{}: fresh without a watch", self.directory);
        }
    }

    fn is_loaded(&self) -> bool {
        match self.freshness {
            Freshness::Loading | Freshness::Unknown => false,
            Freshness::Fresh | Freshness::Stale { .. } => true,
        }
    }

    fn request_list(&mut self, out: &mut Outbox) {
        out.set_timer(Key::Cache(self.path.clone()), None);
        self.forget_reads();
        let op = Op::GetChildren { path: self.path.clone(), watch: false };
        self.state = State::Listing { request: out.request(Owner::CacheList(self.path.clone()), op) };
    }

    /// A list will say all that they would have said.
    fn forget_reads(&mut self) {
        self.wanted.clear();
        self.reading.clear();
        self.leaving.clear();
        self.is_hearsay = false;
    }

    /// An event or a read says that it is gone.
    fn leave(&mut self, znode: Znode) {
        self.leaving.insert(znode);
        self.is_hearsay = true;
    }

    fn retry_later(&mut self, out: &mut Outbox) {
        self.forget_reads();
        self.state = State::Backoff;
        self.grow_stale(out);
        let at = self.backoff.fail(out.now, &out.config, salt(self.path.as_str()));
        out.set_timer(Key::Cache(self.path.clone()), Some(at));
    }

    fn apply_list(&mut self, names: Vec<String>, out: &mut Outbox) {
        self.backoff.succeed();
        self.state = State::Armed;
        let (mut listed, mut foreign) = (BTreeSet::new(), Vec::new());
        for name in names {
            match Znode::parse(&name) {
                Some(znode) => {
                    listed.insert(znode);
                }
                None => foreign.push(name),
            }
        }
        if let Some(first) = foreign.iter().min() {
            // Told once, however many there are.
            let reason =
                format!("{} children that are no instances are ignored, such as {first:?}", foreign.len());
            out.degraded(self.path.clone(), None, reason);
        }
        self.leaving = self.znodes().filter(|znode| !listed.contains(znode)).collect();
        for znode in listed {
            if znode.has_payload {
                self.wanted.insert(znode);
            } else {
                self.add(znode.name);
            }
        }
        self.read_wanted(out);
        self.flush(out);
    }

    /// Something happened to it. A read that is under way shows what: the port delivers no event before a reply that preceded
    /// it.
    fn want(&mut self, znode: Znode) {
        if !self.reading.contains_key(&znode) {
            self.wanted.insert(znode);
        }
    }

    fn read_wanted(&mut self, out: &mut Outbox) {
        while self.reading.len() < READS_MAX {
            let Some(znode) = self.wanted.pop_first() else { return };
            let op = Op::GetData { path: out.layout.instance(&self.directory, &znode), watch: false };
            let request = out.request(Owner::CacheRead(self.path.clone(), znode.clone()), op);
            self.reading.insert(znode, request);
        }
    }

    /// The znodes that are known, in order.
    fn znodes(&self) -> impl Iterator<Item = Znode> {
        self.entries.iter().flat_map(|(name, entry)| {
            let znode = |has_payload| Znode { name: name.clone(), has_payload };
            let plain = entry.is_plain.then(|| znode(false));
            plain.into_iter().chain(entry.payload.is_some().then(|| znode(true)))
        })
    }

    fn add(&mut self, name: Name) {
        let entry = self.entries.entry(name.clone()).or_default();
        if !entry.is_there() {
            self.staged.push(InstanceChange::Added(entry.instance(name)));
        }
        entry.is_plain = true;
    }

    fn apply_payload(&mut self, name: Name, data: Vec<u8>, stat: &Stat, out: &Outbox) {
        let version = (stat.czxid, stat.mzxid);
        let entry = self.entries.entry(name.clone()).or_default();
        let is_old = entry.payload.as_ref().is_some_and(|old| old.version >= version);
        if is_old && !out.config.is_mutated(Mutation::OlderPayloadApplied) {
            return;
        }
        let is_new = !entry.is_there();
        entry.payload = Some(Payload { data: data.into(), version });
        let instance = entry.instance(name);
        self.staged.push(if is_new {
            InstanceChange::Added(instance)
        } else {
            InstanceChange::Updated(instance)
        });
    }

    fn remove(&mut self, znode: Znode) {
        let Place::Occupied(mut place) = self.entries.entry(znode.name) else { return };
        let entry = place.get_mut();
        let did_count = if znode.has_payload {
            entry.payload.take().is_some()
        } else {
            mem::take(&mut entry.is_plain) && entry.payload.is_none()
        };
        if !entry.is_there() {
            let (name, _) = place.remove_entry();
            self.staged.push(InstanceChange::Removed(name));
        } else if did_count {
            // The one with a payload counted: now the one without does.
            let name = place.key().clone();
            self.staged.push(InstanceChange::Updated(place.get().instance(name)));
        }
    }

    /// Tells what changed, once the reads behind it are answered: a large directory is told in few pieces.
    fn flush(&mut self, out: &mut Outbox) {
        if self.state != State::Armed {
            return;
        }
        let is_complete = self.reading.is_empty() && self.wanted.is_empty();
        if out.config.is_mutated(Mutation::RemovedBeforeReplaced) {
            mem::take(&mut self.leaving).into_iter().for_each(|znode| self.remove(znode));
        }
        if is_complete
            && self.is_hearsay
            && self.leaves_nothing()
            && !out.config.is_mutated(Mutation::HearsayIsEmpty)
        {
            self.grow_stale(out);
            self.list(out);
            return;
        }
        if is_complete {
            while let Some(znode) = self.leaving.pop_first() {
                self.remove(znode);
            }
            self.is_hearsay = false;
        }
        if is_complete && self.freshness != Freshness::Fresh {
            self.publish(Freshness::Fresh, out);
        } else if !self.staged.is_empty()
            && (is_complete || (self.is_loaded() && self.staged.len() >= STAGED_MAX))
        {
            self.publish(self.freshness, out);
        }
    }

    /// Whether "empty" would be news, once all is gone that is leaving.
    fn leaves_nothing(&self) -> bool {
        // The first is only to be quick.
        self.leaving.len() >= self.entries.len()
            && self.znodes().all(|znode| self.leaving.contains(&znode))
            && (!self.entries.is_empty() || self.freshness != Freshness::Fresh)
    }

    fn grow_stale(&mut self, out: &mut Outbox) {
        if self.freshness == Freshness::Fresh {
            self.publish(Freshness::Stale { since: out.now }, out);
        }
    }

    fn publish(&mut self, freshness: Freshness, out: &mut Outbox) {
        self.freshness = freshness;
        let changes = mem::take(&mut self.staged);
        out.event(Event::Directory { directory: self.directory.clone(), freshness, changes });
    }
}

impl Entry {
    fn is_there(&self) -> bool {
        self.is_plain || self.payload.is_some()
    }

    fn instance(&self, name: Name) -> Instance {
        let payload = self.payload.as_ref().map(|payload| payload.data.clone()).unwrap_or_default();
        Instance { name, payload }
    }
}

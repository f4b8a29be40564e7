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
//! needs no read, one with it needs one. While a list is under way events need no attention: the port never
//! delivers an event before a reply that preceded it, so the list shows what they announce.
//!
//! Failure never empties a cache, and "empty" is said only after a list said so with the watch armed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use crate::backoff::{Backoff, salt};
use crate::ids::{RequestId, Zxid};
use crate::layout::{PAYLOAD_MARK, instance_of};
use crate::mutation::Mutation;
use crate::op::{Change, ErrorCode, Op, OpError, Outcome, Reply, Stat};
use crate::outbox::{Outbox, Owner};
use crate::output::{Directory, Event, Freshness, Instance, InstanceChange};
use crate::path::Path;
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
    /// By znode name.
    entries: BTreeMap<String, Entry>,
    /// Names whose payload must be read, in order; those in `reading` are on their way.
    wanted: BTreeSet<String>,
    reading: BTreeMap<String, RequestId>,
    /// Names that are gone, and stay until the reads under way are answered: who takes a name out before the one that
    /// came in its place is known may leave nothing, and then lose the connection.
    leaving: BTreeSet<String>,
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

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
struct Entry {
    instance: Instance,
    /// Of the znode whose payload this is; nothing for an instance without payload.
    version: Option<(Zxid, Zxid)>,
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
    pub(crate) fn touch(&mut self, now: Instant, out: &mut Outbox) {
        let idle_at = now.after(out.config.cache_idle);
        out.set_timer(Key::Idle(self.directory.clone()), Some(idle_at));
    }

    /// Gives everything up; the last word on this directory.
    pub(crate) fn drop_watch(&self, out: &mut Outbox) {
        out.unwatch_recursively(&self.path);
        out.set_timer(Key::Idle(self.directory.clone()), None);
        out.set_timer(Key::Cache(self.directory.clone()), None);
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
        out.set_timer(Key::Cache(self.directory.clone()), None);
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
        name: String,
        request: RequestId,
        outcome: Outcome,
        out: &mut Outbox,
    ) {
        if self.reading.get(&name) != Some(&request) {
            return;
        }
        self.reading.remove(&name);
        match outcome {
            Ok(Reply::Data { data, stat }) => match instance_of(&name) {
                Some((_, true)) => self.apply_payload(name, data, &stat),
                Some((_, false)) | None => self.add(&name),
            },
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                self.leave(name);
            }
            Err(OpError::Refused(code)) => {
                // A bad instance affects only itself: it is left out until something happens to it.
                out.degraded(self.path.join(&name), Some(code), "the instance cannot be read");
                self.leaving.insert(name);
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
        let Some((_, has_payload)) = instance_of(child) else { return };
        match (change, has_payload) {
            (Change::Created, false) => {
                self.leaving.remove(child);
                self.add(child);
            }
            (Change::Created | Change::DataChanged, true) => {
                self.leaving.remove(child);
                // A read under way was sent before this event was delivered, but may have been answered before
                // the change: its answer is not waited for.
                self.reading.remove(child);
                self.wanted.insert(child.into());
            }
            (Change::Deleted, _) => {
                self.wanted.remove(child);
                self.reading.remove(child);
                self.leave(child.into());
            }
            (Change::DataChanged, false) | (Change::ChildrenChanged, _) => {}
        }
        self.read_wanted(out);
        self.flush(out);
    }

    /// Something happened to an instance of this node's own. Its registration watches the same znode, and the two watches
    /// report one change through different streams, in either order: an old deletion may be told after a new creation.
    /// So it is a hint and no delta, and a read decides.
    pub(crate) fn handle_own_event(&mut self, child: &str, out: &mut Outbox) {
        match self.state {
            State::Armed => {}
            State::Offline | State::Listing { .. } | State::Backoff => return,
        }
        self.leaving.remove(child);
        self.reading.remove(child);
        self.wanted.insert(child.into());
        self.read_wanted(out);
        self.flush(out);
    }

    pub(crate) fn freshness(&self) -> Freshness {
        self.freshness
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = &Instance> {
        let counts = |(znode, entry): &(&String, &Entry)| entry.version.is_some() || !self.has_twin(znode);
        self.entries.iter().filter(counts).map(|(_, entry)| &entry.instance)
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
        out.set_timer(Key::Cache(self.directory.clone()), None);
        self.forget_reads();
        let op = Op::GetChildren { path: self.path.clone(), watch: false };
        self.state = State::Listing { request: out.request(Owner::CacheList(self.directory.clone()), op) };
    }

    /// A list will say all that they would have said.
    fn forget_reads(&mut self) {
        self.wanted.clear();
        self.reading.clear();
        self.leaving.clear();
        self.is_hearsay = false;
    }

    /// An event or a read says that it is gone.
    fn leave(&mut self, znode: String) {
        self.leaving.insert(znode);
        self.is_hearsay = true;
    }

    fn retry_later(&mut self, out: &mut Outbox) {
        self.forget_reads();
        self.state = State::Backoff;
        self.grow_stale(out);
        let at = self.backoff.fail(out.now, &out.config, salt(self.path.as_str()));
        out.set_timer(Key::Cache(self.directory.clone()), Some(at));
    }

    fn apply_list(&mut self, names: Vec<String>, out: &mut Outbox) {
        self.backoff.succeed();
        self.state = State::Armed;
        let (listed, foreign): (BTreeSet<String>, BTreeSet<String>) =
            names.into_iter().partition(|name| instance_of(name).is_some());
        if let Some(first) = foreign.first() {
            // Told once, however many there are.
            let reason =
                format!("{} children that are no instances are ignored, such as {first:?}", foreign.len());
            out.degraded(self.path.clone(), None, reason);
        }
        self.leaving = self.entries.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        for name in listed {
            match instance_of(&name) {
                Some((_, true)) => {
                    self.wanted.insert(name);
                }
                Some((_, false)) => self.add(&name),
                None => {}
            }
        }
        self.read_wanted(out);
        self.flush(out);
    }

    fn read_wanted(&mut self, out: &mut Outbox) {
        while self.reading.len() < READS_MAX {
            let Some(name) = self.wanted.pop_first() else { return };
            let op = Op::GetData { path: self.path.join(&name), watch: false };
            let request = out.request(Owner::CacheRead(self.directory.clone(), name.clone()), op);
            self.reading.insert(name, request);
        }
    }

    fn add(&mut self, znode: &str) {
        let Some((name, _)) = instance_of(znode) else { return };
        if !self.entries.contains_key(znode) {
            let instance = Instance { name, payload: Arc::default() };
            if !self.has_twin(znode) {
                self.staged.push(InstanceChange::Added(instance.clone()));
            }
            self.entries.insert(znode.into(), Entry { instance, version: None });
        }
    }

    fn apply_payload(&mut self, znode: String, data: Vec<u8>, stat: &Stat) {
        let Some((name, _)) = instance_of(&znode) else { return };
        let version = Some((stat.czxid, stat.mzxid));
        let old = self.entries.get(&znode);
        if old.is_some_and(|old| old.version >= version) {
            return;
        }
        let instance = Instance { name, payload: data.into() };
        self.staged.push(if old.is_some() || self.has_twin(&znode) {
            InstanceChange::Updated(instance.clone())
        } else {
            InstanceChange::Added(instance.clone())
        });
        self.entries.insert(znode, Entry { instance, version });
    }

    fn remove(&mut self, znode: &str) {
        let Some(entry) = self.entries.remove(znode) else { return };
        match (self.entries.get(&twin(znode)), entry.version) {
            (None, _) => self.staged.push(InstanceChange::Removed(entry.instance.name)),
            // The one with a payload counted: now the one without does.
            (Some(plain), Some(_)) => self.staged.push(InstanceChange::Updated(plain.instance.clone())),
            (Some(_), None) => {}
        }
    }

    /// Whether the instance is there under its other name, too: a registration of a dead session, say, and its successor.
    fn has_twin(&self, znode: &str) -> bool {
        self.entries.contains_key(&twin(znode))
    }

    /// Tells what changed, once the reads behind it are answered: a large directory is told in few pieces.
    fn flush(&mut self, out: &mut Outbox) {
        if self.state != State::Armed {
            return;
        }
        let is_complete = self.reading.is_empty() && self.wanted.is_empty();
        let says_empty = self.entries.keys().all(|name| self.leaving.contains(name))
            && (!self.entries.is_empty() || self.freshness != Freshness::Fresh);
        if is_complete && says_empty && self.is_hearsay && !out.config.is_mutated(Mutation::HearsayIsEmpty) {
            self.grow_stale(out);
            self.list(out);
            return;
        }
        if is_complete {
            for znode in mem::take(&mut self.leaving) {
                self.remove(&znode);
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

/// The other name of the same instance: with the mark of a payload, or without. Where both are there, the one with a
/// payload counts.
fn twin(znode: &str) -> String {
    match znode.strip_suffix(PAYLOAD_MARK) {
        Some(plain) => plain.into(),
        None => format!("{znode}{PAYLOAD_MARK}"),
    }
}

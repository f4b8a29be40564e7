//! A directory in memory, and the holder of a global as others see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use queenright_core::op::{Change, ErrorCode, Op, OpError, Outcome, Reply, WatchEvent};
use queenright_core::output::{Instance, InstanceChange};
use queenright_core::{Directory, Event, Freshness, Holder, Name, Token};

use super::election::sequence;
use super::{Alarm, Flaw, Naive, PAUSE, Pending, path};

/// How long entries live that expire although a watch keeps them true.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Cache {
    /// By znode name.
    entries: BTreeMap<String, Arc<[u8]>>,
    told: BTreeMap<Name, Arc<[u8]>>,
    freshness: Freshness,
    reading: BTreeSet<String>,
    watchers: u32,
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) told: Holder,
}

impl Cache {
    pub(super) fn empty() -> Self {
        Self {
            entries: BTreeMap::new(),
            told: BTreeMap::new(),
            freshness: Freshness::Loading,
            reading: BTreeSet::new(),
            watchers: 1,
        }
    }

    pub(super) fn shown(&self) -> (Freshness, Vec<Instance>) {
        let instances = self.told.iter();
        let instances =
            instances.map(|(name, payload)| Instance { name: name.clone(), payload: Arc::clone(payload) });
        (self.freshness, instances.collect())
    }
}

impl Naive {
    pub(super) fn subscribe(&mut self, directory: Directory) {
        self.caches.insert(directory.clone(), Cache::empty());
        if self.has(Flaw::ReadyBeforeLoaded) {
            self.publish(&directory, Freshness::Fresh);
        }
        if self.has(Flaw::EntriesExpire) {
            self.wake_in(IDLE, Alarm::Idle(directory.clone()));
        }
        if !self.is_up() && (self.has(Flaw::ErrorIsEmpty) || self.has(Flaw::FailedLoadIsDone)) {
            self.publish(&directory, Freshness::Fresh);
        }
        self.list(&directory);
    }

    pub(super) fn forget_idle(&mut self, directory: &Directory) {
        if let Some(cache) = self.caches.get_mut(directory) {
            cache.entries.clear();
            self.publish(directory, Freshness::Fresh);
        }
    }

    pub(super) fn list(&mut self, directory: &Directory) {
        if self.is_up() && self.caches.contains_key(directory) {
            let watch = !self.has(Flaw::RearmsAfterReading);
            let op = Op::GetChildren { path: path(&directory.to_string()), watch };
            self.send(Pending::List(directory.clone()), op);
        }
    }

    pub(super) fn listed(&mut self, directory: &Directory, outcome: Outcome) {
        let absence_is_final = self.has(Flaw::AbsenceWithoutWatch);
        let error_is_empty = self.has(Flaw::ErrorIsEmpty);
        let failure_is_done = self.has(Flaw::FailedLoadIsDone);
        let Some(cache) = self.caches.get_mut(directory) else { return };
        match outcome {
            Ok(Reply::Children { names, .. }) => {
                if self.flaw == Flaw::RearmsAfterReading {
                    let op = Op::GetChildren { path: path(&directory.to_string()), watch: true };
                    self.send(Pending::Nothing, op);
                }
                let Some(cache) = self.caches.get_mut(directory) else { return };
                cache.entries.retain(|name, _| names.contains(name));
                for name in names {
                    if name.ends_with('+') {
                        self.read_child(directory, &name);
                    } else if let Some(cache) = self.caches.get_mut(directory) {
                        cache.entries.insert(name, Arc::from([]));
                    }
                }
                self.loaded(directory);
            }
            Err(OpError::Refused(ErrorCode::NoNode)) if absence_is_final => {
                cache.entries.clear();
                self.publish(directory, Freshness::Fresh);
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                cache.entries.clear();
                let op = Op::Exists { path: path(&directory.to_string()), watch: true };
                self.send(Pending::Missing(directory.clone()), op);
            }
            Err(_) if error_is_empty => {
                cache.entries.clear();
                self.publish(directory, Freshness::Fresh);
            }
            Err(_) if failure_is_done => self.publish(directory, Freshness::Fresh),
            Err(OpError::Unknown) => {}
            Ok(_) | Err(_) => self.wake_in(PAUSE, Alarm::List(directory.clone())),
        }
    }

    pub(super) fn missing_watched(&mut self, directory: &Directory, outcome: &Outcome) {
        match outcome {
            Err(OpError::Refused(ErrorCode::NoNode)) => self.publish(directory, Freshness::Fresh),
            _ => self.list(directory),
        }
    }

    fn read_child(&mut self, directory: &Directory, child: &str) {
        if let Some(cache) = self.caches.get_mut(directory) {
            cache.reading.insert(child.to_owned());
        }
        let op = Op::GetData { path: path(&format!("{directory}/{child}")), watch: true };
        self.send(Pending::Child(directory.clone(), child.to_owned()), op);
    }

    pub(super) fn child_read(&mut self, directory: &Directory, child: &str, outcome: Outcome) {
        let empties_all = self.has(Flaw::VanishedChildEmptiesAll);
        let is_poisoned = self.has(Flaw::PoisonKills);
        let Some(cache) = self.caches.get_mut(directory) else { return };
        cache.reading.remove(child);
        match outcome {
            Ok(Reply::Data { data, .. }) if is_poisoned && std::str::from_utf8(&data).is_err() => {
                cache.entries.clear();
                cache.reading.clear();
                self.publish(directory, Freshness::Fresh);
                return;
            }
            Ok(Reply::Data { data, .. }) => {
                cache.entries.insert(child.to_owned(), data.into());
            }
            Err(OpError::Refused(ErrorCode::NoNode)) if empties_all => {
                cache.entries.clear();
                cache.reading.clear();
            }
            Err(OpError::Refused(_)) => {
                cache.entries.remove(child);
            }
            Ok(_) | Err(_) => return,
        }
        self.loaded(directory);
    }

    fn loaded(&mut self, directory: &Directory) {
        if self.caches.get(directory).is_some_and(|cache| cache.reading.is_empty()) {
            self.publish(directory, Freshness::Fresh);
        }
    }

    /// Tells what is different from what was told.
    fn publish(&mut self, directory: &Directory, freshness: Freshness) {
        let counted_in = self.has(Flaw::CountsItselfIn) && *directory == Directory::Nodes;
        let own = counted_in.then(|| (self.node.clone(), Arc::from(*b"")));
        let Some(cache) = self.caches.get_mut(directory) else { return };
        let mut contents: BTreeMap<Name, Arc<[u8]>> = BTreeMap::new();
        for (znode, payload) in &cache.entries {
            if let Ok(name) = Name::new(znode.trim_end_matches('+')) {
                contents.insert(name, Arc::clone(payload));
            }
        }
        if let Some((name, payload)) = own {
            contents.entry(name).or_insert(payload);
        }
        let mut changes = Vec::new();
        for (name, payload) in &contents {
            let instance = Instance { name: name.clone(), payload: Arc::clone(payload) };
            match cache.told.get(name) {
                None => changes.push(InstanceChange::Added(instance)),
                Some(old) if old != payload => changes.push(InstanceChange::Updated(instance)),
                Some(_) => {}
            }
        }
        let gone = cache.told.keys().filter(|name| !contents.contains_key(*name));
        changes.extend(gone.map(|name| InstanceChange::Removed(name.clone())));
        if cache.freshness == freshness && changes.is_empty() {
            return;
        }
        cache.told = contents;
        cache.freshness = freshness;
        self.event(Event::Directory { directory: directory.clone(), freshness, changes });
    }

    pub(super) fn caches_down(&mut self) {
        if self.has(Flaw::StaleIsToldAsFresh) {
            return;
        }
        for directory in self.caches.keys().cloned().collect::<Vec<_>>() {
            let Some(cache) = self.caches.get_mut(&directory) else { continue };
            cache.reading.clear();
            let was_loaded = cache.freshness == Freshness::Fresh;
            if self.flaw == Flaw::ErrorIsEmpty {
                cache.entries.clear();
                self.publish(&directory, Freshness::Fresh);
            } else if was_loaded {
                self.publish(&directory, Freshness::Stale { since: self.now });
            }
        }
    }

    pub(super) fn caches_up(&mut self, is_new: bool) {
        if self.has(Flaw::LostIsNoEvent) && is_new && self.epoch.0 > 1 {
            return;
        }
        for directory in self.caches.keys().cloned().collect::<Vec<_>>() {
            let Some(cache) = self.caches.get_mut(&directory) else { continue };
            let is_done = cache.freshness == Freshness::Fresh && self.flaw == Flaw::FailedLoadIsDone;
            let is_final = self.flaw == Flaw::AbsenceWithoutWatch && cache.entries.is_empty();
            cache.watchers = if self.flaw == Flaw::WatchersMultiply { cache.watchers * 2 } else { 1 };
            let watchers = cache.watchers;
            if is_done || (is_final && !is_new) {
                continue;
            }
            if self.flaw == Flaw::TrustsOldWatches && !is_new {
                self.publish(&directory, Freshness::Fresh);
                continue;
            }
            for _ in 0..watchers {
                self.list(&directory);
            }
        }
        for global in self.lookups.keys().cloned().collect::<Vec<_>>() {
            self.lookup_again(&global);
        }
    }

    pub(super) fn cache_event(&mut self, event: &WatchEvent) {
        for directory in self.caches.keys().cloned().collect::<Vec<_>>() {
            let root = path(&directory.to_string());
            let is_loading = self.caches.get(&directory).is_some_and(|cache| !cache.reading.is_empty());
            if is_loading && self.has(Flaw::IgnoresEventsWhileLoading) {
                continue;
            }
            if event.path == root {
                self.list(&directory);
            } else if let (Some(child), Change::DataChanged) = (event.path.below(&root), event.change) {
                let child = child.to_owned();
                self.read_child(&directory, &child);
            }
        }
        for global in self.lookups.keys().cloned().collect::<Vec<_>>() {
            let is_about = event.path.below(&path(&format!("globals/{global}"))).is_some();
            if is_about && !self.has(Flaw::WrongKey) {
                self.lookup_again(&global);
            }
        }
    }

    pub(super) fn look_up(&mut self, global: Name) {
        self.lookups.insert(global.clone(), Lookup { told: Holder::Unknown });
        self.lookup_again(&global);
    }

    pub(super) fn lookup_again(&mut self, global: &Name) {
        if self.has(Flaw::FollowerIsItsOwnLeader) && self.candidacies.contains_key(global) {
            let payload = Arc::from(self.node.as_str().as_bytes());
            let token = Token(queenright_core::Zxid(0));
            return self.told(global, Holder::Held { token, payload, own: true, stale_since: None });
        }
        if self.is_up() {
            let watch = !self.has(Flaw::LookupRaceIsAnError);
            let op = Op::GetChildren { path: path(&format!("globals/{global}/queue")), watch };
            self.send(Pending::LookupList(global.clone()), op);
        }
    }

    pub(super) fn lookup_listed(&mut self, global: &Name, outcome: Outcome) {
        match outcome {
            Ok(Reply::Children { names, .. }) => {
                let candidates = names.into_iter().filter_map(|name| Some((sequence(&name)?, name)));
                match candidates.min() {
                    None => self.told(global, Holder::Vacant),
                    Some((_, first)) => {
                        let op = if self.has(Flaw::AddressElsewhere) {
                            Op::GetData { path: path(&format!("globals/{global}/address")), watch: false }
                        } else {
                            let znode = path(&format!("globals/{global}/queue/{first}"));
                            Op::GetData { path: znode, watch: true }
                        };
                        self.send(Pending::LookupGet(global.clone(), first), op);
                    }
                }
            }
            Err(OpError::Refused(_)) => {
                self.told(global, Holder::Vacant);
                self.wake_in(PAUSE * 5, Alarm::Lookup(global.clone()));
            }
            Ok(_) | Err(_) => {}
        }
    }

    pub(super) fn lookup_read(&mut self, global: &Name, _znode: &str, outcome: Outcome) {
        match outcome {
            Ok(Reply::Data { data, stat }) => {
                let token = Token(stat.czxid);
                let own = stat.owner() == self.session;
                let payload = data.into();
                self.told(global, Holder::Held { token, payload, own, stale_since: None });
            }
            Err(OpError::Refused(_)) if self.has(Flaw::LookupRaceIsAnError) => {}
            Err(OpError::Refused(_)) => self.wake_in(PAUSE, Alarm::Lookup(global.clone())),
            Ok(_) | Err(_) => {}
        }
    }

    fn told(&mut self, global: &Name, holder: Holder) {
        let Some(lookup) = self.lookups.get_mut(global) else { return };
        if lookup.told != holder {
            lookup.told = holder.clone();
            self.event(Event::Holder { global: global.clone(), holder });
        }
    }
}

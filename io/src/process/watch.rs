//! Links and monitors: who is to be told of whose death.
//!
//! A watch on a process of another node is noted on both sides. Here, by process ([`RemoteWatches`]); there,
//! by node: however many of our processes watch one of theirs, their node tells ours once. When the links
//! between both nodes are lost, each side forgets what it noted, and ours fires all of it: so every watch
//! fires exactly once, whatever is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Cell, Watch, Watcher};
use super::id::{NodeId, ProcessId};
use super::node::Inner;
use super::reason::{DiedReason, bounded};
use crate::link::Signal;
use crate::lock::lock;
use crate::mutation::Mutation;

/// What our processes watch on other nodes: by node, by process there, who and how.
#[derive(Debug, Default)]
pub(crate) struct RemoteWatches {
    by_node: BTreeMap<NodeId, BTreeMap<u64, BTreeSet<(u64, Watch)>>>,
}

impl RemoteWatches {
    /// True when it is the first watch on `target`: its node is to be asked.
    fn add(&mut self, target: &ProcessId, watcher: u64, watch: Watch) -> bool {
        let targets = self.by_node.entry(target.node().clone()).or_default();
        let watchers = targets.entry(target.number()).or_default();
        let is_first = watchers.is_empty();
        watchers.insert((watcher, watch));
        is_first
    }

    /// True when it was the last watch on `target`: its node need not tell us any more.
    fn remove(&mut self, target: &ProcessId, watcher: u64, watch: Watch) -> bool {
        let Some(targets) = self.by_node.get_mut(target.node()) else { return false };
        let Some(watchers) = targets.get_mut(&target.number()) else { return false };
        if !watchers.remove(&(watcher, watch)) || !watchers.is_empty() {
            return false;
        }
        targets.remove(&target.number());
        if targets.is_empty() {
            self.by_node.remove(target.node());
        }
        true
    }

    /// Who watches `target`, and does so no more.
    pub(super) fn take(&mut self, node: &NodeId, target: u64) -> BTreeSet<(u64, Watch)> {
        let Some(targets) = self.by_node.get_mut(node) else { return BTreeSet::new() };
        let watchers = targets.remove(&target).unwrap_or_default();
        if targets.is_empty() {
            self.by_node.remove(node);
        }
        watchers
    }

    /// Who watches anything on `node`, and does so no more.
    pub(super) fn take_node(&mut self, node: &NodeId) -> BTreeMap<u64, BTreeSet<(u64, Watch)>> {
        self.by_node.remove(node).unwrap_or_default()
    }
}

impl Inner {
    /// `watcher` is to be told, once, when `target` dies, or at once when it is dead.
    pub(super) fn watch(&self, watcher: &Cell, target: &ProcessId, watch: Watch) {
        if !watcher.start_watching(target, watch) {
            return;
        }
        let number = watcher.pid().number();
        if self.is_local(target) {
            let is_noted = self
                .cell(target.number())
                .is_some_and(|target| target.add_watcher(Watcher::Process(number, watch)));
            if !is_noted {
                watcher.tell(target, watch, &DiedReason::UnknownId);
            }
            return;
        }
        // The signal goes out under the lock, so that it cannot be overtaken by the one that takes it back.
        let mut remote = lock(&self.remote);
        if remote.add(target, number, watch) {
            self.links.signal(target.node(), &Signal::Watch { target: target.number() });
        }
    }

    /// `watcher` is not told any more.
    pub(super) fn unwatch(&self, watcher: &Cell, target: &ProcessId, watch: Watch) {
        if watcher.stop_watching(target, watch) {
            self.stop_being_told(watcher.pid().number(), target, watch);
        }
    }

    /// Takes back the note of a watch that ended at the watcher.
    pub(super) fn stop_being_told(&self, watcher: u64, target: &ProcessId, watch: Watch) {
        if self.is_local(target) {
            if let Some(target) = self.cell(target.number()) {
                target.remove_watcher(&Watcher::Process(watcher, watch));
            }
            return;
        }
        let mut remote = lock(&self.remote);
        if remote.remove(target, watcher, watch) {
            self.links.signal(target.node(), &Signal::Unwatch { target: target.number() });
        }
    }

    pub(super) fn exit(&self, target: &ProcessId, reason: &str) {
        let reason = bounded(reason.into());
        if !self.is_local(target) {
            self.links.signal(target.node(), &Signal::Exit { target: target.number(), reason });
        } else if let Some(cell) = self.cell(target.number()) {
            cell.doom(DiedReason::Exited(reason));
        }
    }

    pub(super) fn kill(&self, target: &ProcessId, reason: &str) {
        let reason = bounded(reason.into());
        if !self.is_local(target) {
            self.links.signal(target.node(), &Signal::Kill { target: target.number(), reason });
        } else if let Some(cell) = self.cell(target.number()) {
            cell.doom(DiedReason::Killed(reason));
        }
    }

    /// Tells our processes that `target` on `node` died.
    pub(super) fn tell_all(
        &self,
        node: &NodeId,
        target: u64,
        watchers: BTreeSet<(u64, Watch)>,
        reason: &DiedReason,
    ) {
        let guards = self.links.guards;
        let target = ProcessId::new(node.clone(), target + u64::from(guards.lack(Mutation::DeathOfAnother)));
        for (number, watch) in watchers {
            if let Some(watcher) = self.cell(number) {
                watcher.tell(&target, watch, reason);
                if guards.lack(Mutation::DeathToldTwice) && watcher.start_watching(&target, watch) {
                    watcher.tell(&target, watch, reason);
                }
            }
        }
    }

    /// `node` wants to be told when our process dies. False when it is dead.
    pub(super) fn note_watched(&self, node: &NodeId, target: u64) -> bool {
        // Held over both notes: a death in between finds both or none.
        let mut watched = lock(&self.watched);
        let Some(cell) = self.cell(target) else { return false };
        let is_alive = cell.add_watcher(Watcher::Node(node.clone()));
        if is_alive {
            watched.entry(node.clone()).or_default().insert(target);
        }
        is_alive
    }

    /// `node` cannot or need not be told any more.
    pub(super) fn forget_watcher(&self, node: &NodeId, targets: impl IntoIterator<Item = u64>) {
        let watcher = Watcher::Node(node.clone());
        for cell in targets.into_iter().filter_map(|target| self.cell(target)) {
            cell.remove_watcher(&watcher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::reason::MonitorRef;

    #[test]
    fn a_node_is_asked_once_and_released_once() {
        let target: ProcessId = "a:1@00000000000000000000000000000001.7".parse().unwrap();
        let mut watches = RemoteWatches::default();
        let monitor = Watch::Monitor(MonitorRef(1));
        assert!(watches.add(&target, 1, Watch::Link));
        assert!(!watches.add(&target, 1, monitor));
        assert!(!watches.add(&target, 2, Watch::Link));
        assert!(!watches.remove(&target, 1, Watch::Link));
        assert!(!watches.remove(&target, 1, Watch::Link), "gone already");
        assert!(!watches.remove(&target, 2, Watch::Link));
        assert!(watches.remove(&target, 1, monitor));
        assert!(watches.by_node.is_empty());

        watches.add(&target, 1, monitor);
        assert_eq!(watches.take(target.node(), 7), BTreeSet::from([(1, monitor)]));
        assert_eq!(watches.take(target.node(), 7), BTreeSet::new());
        assert!(watches.by_node.is_empty());
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::task::AtomicWaker;

use super::gate::Gate;
use super::id::{NodeId, ProcessId};
use super::inbox::Inbox;
use super::message::Envelope;
use super::reason::{DiedReason, MonitorRef, ProcessMonitorNotification};
use crate::lock::lock;

/// What a node keeps of one of its processes.
///
/// Locks, in the order in which they are taken: the life, the inbox.
pub(crate) struct Cell {
    pid: ProcessId,
    pub(crate) inbox: Inbox,
    life: Mutex<Life>,
    /// Set behind every change of `life`, which only goes on: what every send and receive looks at.
    is_stopping: AtomicBool,
    /// Wakes the process's task, so that it sees that it is to stop.
    pub(super) task: AtomicWaker,
    /// Set once, before the first poll, for a process that may act only under a condition.
    gate: OnceLock<Gate>,
    channels: Mutex<BTreeMap<u64, Arc<Inbox>>>,
}

/// How one process watches another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watch {
    /// It dies too.
    Link,
    /// It is told.
    Monitor(MonitorRef),
}

/// Who watches a process of this node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watcher {
    /// A process of this node.
    Process(u64, Watch),
    /// Another node, for as many of its processes as it likes.
    Node(NodeId),
}

/// The threads between a process and others.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Who is to be told of its death.
    pub(crate) watchers: BTreeSet<Watcher>,
    /// With whom it dies.
    links: BTreeSet<ProcessId>,
    /// Of whose death it is to be told.
    monitors: BTreeMap<MonitorRef, ProcessId>,
}

/// ```text
/// Alive  --doom-->  Doomed  --bury-->  Dead
///   `---------------bury--------------^
/// ```
/// A doomed process still receives and is watched; it stops at its next await. The first doom counts.
enum Life {
    Alive(Relations),
    Doomed(DiedReason, Relations),
    Dead,
}

impl Cell {
    pub(crate) fn new(pid: ProcessId) -> Self {
        Self {
            pid,
            inbox: Inbox::new(),
            life: Mutex::new(Life::Alive(Relations::default())),
            is_stopping: AtomicBool::new(false),
            task: AtomicWaker::new(),
            gate: OnceLock::new(),
            channels: Mutex::default(),
        }
    }

    pub(crate) fn pid(&self) -> &ProcessId {
        &self.pid
    }

    /// From now on the process acts only while `gate` is open.
    pub(crate) fn set_gate(&self, gate: Gate) {
        // A cell is parked once, and its parking is consumed by the call that comes here.
        let first = self.gate.set(gate).is_ok();
        debug_assert!(first, "a process has one gate");
    }

    /// Whether the process may do something that others see.
    pub(crate) fn may_act(&self) -> bool {
        self.gate.get().is_none_or(Gate::is_open)
    }

    /// Why the process must not be polled any more, if so.
    pub(crate) fn verdict(&self) -> Option<DiedReason> {
        if self.is_stopping() {
            match &*lock(&self.life) {
                Life::Doomed(reason, _) => return Some(reason.clone()),
                Life::Alive(_) => {}
                Life::Dead => return Some(DiedReason::UnknownId),
            }
        }
        (!self.may_act()).then(|| DiedReason::Killed("its term is over".into()))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Lets the process stop at its next await.
    pub(crate) fn doom(&self, reason: DiedReason) {
        doom(&mut lock(&self.life), reason);
        self.is_stopping.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Ends the life. `None` when it was over.
    pub(crate) fn bury(&self) -> Option<Relations> {
        let life = std::mem::replace(&mut *lock(&self.life), Life::Dead);
        self.is_stopping.store(true, Ordering::Release);
        match life {
            Life::Alive(relations) | Life::Doomed(_, relations) => Some(relations),
            Life::Dead => None,
        }
    }

    /// Drops all that waits for the process, and lets nothing more in.
    pub(crate) fn close(&self) {
        let channels = std::mem::take(&mut *lock(&self.channels));
        for inbox in channels.values().map(|channel| &**channel).chain([&self.inbox]) {
            // A message's own `Drop` may panic, and that is nobody's fault here.
            if catch_unwind(AssertUnwindSafe(|| inbox.close())).is_err() {
                tracing::warn!(pid = %self.pid, "a message panicked while it was dropped with its mailbox");
            }
        }
    }

    /// Notes a watcher; false when the process is dead.
    pub(crate) fn add_watcher(&self, watcher: Watcher) -> bool {
        relations(&mut lock(&self.life)).map(|relations| relations.watchers.insert(watcher)).is_some()
    }

    pub(crate) fn remove_watcher(&self, watcher: &Watcher) {
        if let Some(relations) = relations(&mut lock(&self.life)) {
            relations.watchers.remove(watcher);
        }
    }

    /// Notes that the process watches `target`; false when it does so already, or is dead.
    pub(crate) fn start_watching(&self, target: &ProcessId, watch: Watch) -> bool {
        relations(&mut lock(&self.life)).is_some_and(|relations| match watch {
            Watch::Link => relations.links.insert(target.clone()),
            Watch::Monitor(reference) => relations.monitors.insert(reference, target.clone()).is_none(),
        })
    }

    /// False when it did not watch.
    pub(crate) fn stop_watching(&self, target: &ProcessId, watch: Watch) -> bool {
        relations(&mut lock(&self.life)).is_some_and(|relations| relations.stop_watching(target, watch))
    }

    /// What the process watches under `reference`.
    pub(crate) fn monitored(&self, reference: MonitorRef) -> Option<ProcessId> {
        relations(&mut lock(&self.life))?.monitors.get(&reference).cloned()
    }

    pub(crate) fn watching_count(&self) -> usize {
        relations(&mut lock(&self.life))
            .map_or(0, |relations| relations.links.len() + relations.monitors.len())
    }

    /// Tells the process, once, that `target` died. All of it happens under one lock, so that after
    /// [`stop_watching`](Self::stop_watching) nothing of it is under way.
    pub(crate) fn tell(&self, target: &ProcessId, watch: Watch, reason: &DiedReason) {
        let mut life = lock(&self.life);
        if !relations(&mut life).is_some_and(|relations| relations.stop_watching(target, watch)) {
            return;
        }
        match watch {
            Watch::Link => {
                doom(&mut life, reason.through_link(target));
                drop(life);
                self.is_stopping.store(true, Ordering::Release);
                self.task.wake();
            }
            Watch::Monitor(reference) => {
                let notification =
                    ProcessMonitorNotification { reference, pid: target.clone(), reason: reason.clone() };
                self.inbox.push(Envelope::local(notification), usize::MAX);
            }
        }
    }

    /// A new channel's inbox; closed at once when the process is dead.
    pub(crate) fn add_channel(&self, channel: u64) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new());
        lock(&self.channels).insert(channel, inbox.clone());
        // Burying comes before closing: if it was missed here, it closes what was just inserted.
        if relations(&mut lock(&self.life)).is_none() {
            inbox.close();
        }
        inbox
    }

    pub(crate) fn remove_channel(&self, channel: u64) {
        let removed = lock(&self.channels).remove(&channel);
        if let Some(inbox) = removed {
            inbox.close();
        }
    }

    pub(crate) fn channel(&self, channel: u64) -> Option<Arc<Inbox>> {
        lock(&self.channels).get(&channel).cloned()
    }
}

impl Relations {
    /// All that it watches.
    pub(crate) fn watching(&self) -> impl Iterator<Item = (&ProcessId, Watch)> {
        let links = self.links.iter().map(|pid| (pid, Watch::Link));
        links.chain(self.monitors.iter().map(|(reference, pid)| (pid, Watch::Monitor(*reference))))
    }

    fn stop_watching(&mut self, target: &ProcessId, watch: Watch) -> bool {
        match watch {
            Watch::Link => self.links.remove(target),
            Watch::Monitor(reference) => self.monitors.remove(&reference).is_some(),
        }
    }
}

fn relations(life: &mut Life) -> Option<&mut Relations> {
    match life {
        Life::Alive(relations) | Life::Doomed(_, relations) => Some(relations),
        Life::Dead => None,
    }
}

fn doom(life: &mut Life, reason: DiedReason) {
    *life = match std::mem::replace(life, Life::Dead) {
        Life::Alive(relations) => Life::Doomed(reason, relations),
        life @ (Life::Doomed(..) | Life::Dead) => life,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn pid(number: u64) -> ProcessId {
        ProcessId::new("a:1@00000000000000000000000000000001".parse().unwrap(), number)
    }

    fn mail(cell: &Cell) -> usize {
        let mut mail = VecDeque::new();
        cell.inbox.take(&mut mail);
        mail.len()
    }

    #[test]
    fn an_idle_process_is_small() {
        // Beside it stand the task and the handle, a few words each: an idle process is to cost less than 1 KiB.
        assert!(size_of::<Cell>() <= 448, "{}", size_of::<Cell>());
    }

    #[test]
    fn the_first_doom_counts() {
        let cell = Cell::new(pid(1));
        assert_eq!(cell.verdict(), None);
        cell.doom(DiedReason::Killed("first".into()));
        cell.doom(DiedReason::Killed("second".into()));
        assert_eq!(cell.verdict(), Some(DiedReason::Killed("first".into())));
        assert!(cell.bury().is_some());
        assert!(cell.bury().is_none());
    }

    #[test]
    fn a_watch_tells_once_and_not_after_it_ended() {
        let cell = Cell::new(pid(1));
        let (first, second) = (Watch::Monitor(MonitorRef(1)), Watch::Monitor(MonitorRef(2)));
        assert!(cell.start_watching(&pid(2), first));
        assert!(!cell.start_watching(&pid(2), first));
        assert!(cell.start_watching(&pid(2), second));
        assert!(cell.stop_watching(&pid(2), second));
        for watch in [first, first, second] {
            cell.tell(&pid(2), watch, &DiedReason::Normal);
        }
        assert_eq!(mail(&cell), 1);
    }

    #[test]
    fn a_closed_gate_is_a_verdict() {
        let cell = Cell::new(pid(1));
        cell.set_gate(Gate::new(|| false));
        assert!(!cell.may_act());
        assert!(matches!(cell.verdict(), Some(DiedReason::Killed(_))));
    }
}

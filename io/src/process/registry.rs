use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use queenright_core::{InvalidName, Name};
use thiserror::Error;
use tokio::sync::Notify;

use super::cell::Cell;
use super::id::ProcessId;
use crate::lock::lock;

/// Why a name could not be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It is not a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Another process has it.
    #[error("the name {name} is taken by {holder}: unregister it first")]
    Taken {
        /// Which.
        name: Name,
        /// By whom.
        holder: ProcessId,
    },
    /// A node registers its own processes only.
    #[error("{pid} lives on another node: only that node can register a name for it")]
    NotLocal {
        /// Which.
        pid: ProcessId,
    },
    /// There is no such process any more.
    #[error("{pid} is dead")]
    Dead {
        /// Which.
        pid: ProcessId,
    },
}

/// A change of a node's local names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameChange {
    /// `pid` has the name now.
    Registered { name: Name, pid: ProcessId },
    /// It has it no more: unregistered, or dead.
    Unregistered { name: Name, pid: ProcessId },
}

/// A node's local names.
///
/// Locks, in the order in which they are taken: the names, a process's life.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    names: Mutex<Names>,
    changed: Notify,
}

/// The changes of a node's names, for the one who publishes them.
///
/// It is bounded by the number of names: a name that comes and goes between two looks is not mentioned.
#[derive(Debug)]
pub(crate) struct NameChanges(Arc<Registry>);

#[derive(Debug, Default)]
struct Names {
    holders: BTreeMap<Name, ProcessId>,
    /// The names of each process, so that its death costs what it held.
    by_process: BTreeMap<u64, BTreeSet<Name>>,
    follower: Follower,
}

#[derive(Debug, Default)]
enum Follower {
    #[default]
    Nobody,
    /// The names that changed since the last look, with the holder that the follower knows.
    Behind(BTreeMap<Name, Option<ProcessId>>),
}

impl Registry {
    /// # Errors
    /// When the name is taken by another process, or `cell` is dead.
    pub(crate) fn register(&self, name: Name, cell: &Cell) -> Result<(), RegisterError> {
        let mut names = lock(&self.names);
        match names.holders.get(&name) {
            Some(holder) if holder == cell.pid() => return Ok(()),
            Some(holder) => return Err(RegisterError::Taken { name, holder: holder.clone() }),
            None => {}
        }
        // Under the lock: a process is buried before its names are forgotten, so that no name outlives its
        // process.
        if cell.is_stopping() {
            return Err(RegisterError::Dead { pid: cell.pid().clone() });
        }
        names.note_change(&name);
        names.by_process.entry(cell.pid().number()).or_default().insert(name.clone());
        names.holders.insert(name, cell.pid().clone());
        drop(names);
        self.changed.notify_one();
        Ok(())
    }

    /// Who had the name.
    pub(crate) fn unregister(&self, name: &str) -> Option<ProcessId> {
        let mut names = lock(&self.names);
        let (name, _) = names.holders.get_key_value(name)?;
        let name = name.clone();
        names.note_change(&name);
        let holder = names.holders.remove(&name)?;
        if let Some(held) = names.by_process.get_mut(&holder.number()) {
            held.remove(&name);
            if held.is_empty() {
                names.by_process.remove(&holder.number());
            }
        }
        drop(names);
        self.changed.notify_one();
        Some(holder)
    }

    /// The process is dead.
    pub(crate) fn forget(&self, process: u64) {
        let mut names = lock(&self.names);
        let Some(held) = names.by_process.remove(&process) else { return };
        for name in held {
            names.note_change(&name);
            names.holders.remove(&name);
        }
        drop(names);
        self.changed.notify_one();
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<ProcessId> {
        lock(&self.names).holders.get(name).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.names).holders.len()
    }

    /// The changes from now on, beginning with all names that there are. The latest follower takes over.
    pub(crate) fn follow(self: &Arc<Self>) -> NameChanges {
        let mut names = lock(&self.names);
        names.follower = Follower::Behind(names.holders.keys().map(|name| (name.clone(), None)).collect());
        self.changed.notify_one();
        NameChanges(self.clone())
    }
}

impl NameChanges {
    /// The next changes, by name; a name that changed hands is unregistered first. Never empty. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Vec<NameChange> {
        loop {
            let changes = lock(&self.0.names).catch_up();
            if !changes.is_empty() {
                return changes;
            }
            self.0.changed.notified().await;
        }
    }
}

impl Names {
    /// To be called before the holder changes.
    fn note_change(&mut self, name: &Name) {
        match &mut self.follower {
            Follower::Nobody => {}
            Follower::Behind(known) => {
                let holders = &self.holders;
                known.entry(name.clone()).or_insert_with(|| holders.get(name).cloned());
            }
        }
    }

    fn catch_up(&mut self) -> Vec<NameChange> {
        let known = match &mut self.follower {
            Follower::Nobody => return Vec::new(),
            Follower::Behind(known) => std::mem::take(known),
        };
        let mut changes = Vec::new();
        for (name, before) in known {
            let now = self.holders.get(&name).cloned();
            if before == now {
                continue;
            }
            changes.extend(before.map(|pid| NameChange::Unregistered { name: name.clone(), pid }));
            changes.extend(now.map(|pid| NameChange::Registered { name, pid }));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(number: u64) -> Cell {
        Cell::new(ProcessId::new("a:1@00000000000000000000000000000001".parse().unwrap(), number))
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_name_has_one_holder() {
        let (registry, one, two) = (Registry::default(), cell(1), cell(2));
        registry.register(name("x"), &one).unwrap();
        registry.register(name("x"), &one).unwrap();
        let error = registry.register(name("x"), &two).unwrap_err();
        assert_eq!(error, RegisterError::Taken { name: name("x"), holder: one.pid().clone() });
        assert_eq!(registry.unregister("x").as_ref(), Some(one.pid()));
        registry.register(name("x"), &two).unwrap();
        assert_eq!(registry.whereis("x").as_ref(), Some(two.pid()));
    }

    #[test]
    fn the_dead_hold_nothing() {
        let (registry, one) = (Registry::default(), cell(1));
        registry.register(name("x"), &one).unwrap();
        registry.register(name("y"), &one).unwrap();
        one.bury();
        registry.forget(1);
        assert_eq!(registry.len(), 0);
        assert!(matches!(registry.register(name("x"), &one), Err(RegisterError::Dead { .. })));
    }

    #[tokio::test]
    async fn a_follower_sees_the_sum_of_changes() {
        let (registry, one, two) = (Arc::new(Registry::default()), cell(1), cell(2));
        registry.register(name("old"), &one).unwrap();
        let mut changes = registry.follow();
        let registered =
            |text, cell: &Cell| NameChange::Registered { name: name(text), pid: cell.pid().clone() };
        let unregistered =
            |text, cell: &Cell| NameChange::Unregistered { name: name(text), pid: cell.pid().clone() };
        assert_eq!(changes.next().await, [registered("old", &one)]);

        registry.register(name("brief"), &one).unwrap();
        registry.unregister("brief");
        registry.unregister("old");
        registry.register(name("old"), &two).unwrap();
        registry.register(name("new"), &two).unwrap();
        assert_eq!(
            changes.next().await,
            [registered("new", &two), unregistered("old", &one), registered("old", &two)]
        );
        registry.forget(2);
        assert_eq!(changes.next().await, [unregistered("new", &two), unregistered("old", &two)]);
    }
}

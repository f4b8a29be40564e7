//! The watches that connections left at one server.
//!
//! Two tables, as on real servers: one for what happens to a znode, one for what happens to its list of children. A
//! persistent watch stands in both, a recursive one in the first only, since it never hears of lists. In 3.8 it stands in
//! both, too, and of one connection there is one watch at a path in each table: the latest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use queenright_core::op::Change;
use queenright_core::wire::{AddWatchMode, WatcherType};

use super::{ConnectionId, Profile, path};

/// All watches of a server.
#[derive(Clone, Debug, Hash)]
pub(super) struct Watches {
    profile: Profile,
    data: Table,
    child: Table,
}

/// Which of the two tables a one-shot watch stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Data,
    Children,
}

/// How long a watch lasts, and how far it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    OneShot,
    Persistent,
    Recursive,
}

const ALL_MODES: [Mode; 3] = [Mode::OneShot, Mode::Persistent, Mode::Recursive];

/// The modes in which one connection watches one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Modes(u8);

#[derive(Clone, Debug, Hash)]
struct Table {
    profile: Profile,
    by_path: BTreeMap<Arc<str>, BTreeMap<ConnectionId, Modes>>,
    /// The same by connection, so that one can go without a search.
    by_connection: BTreeMap<ConnectionId, BTreeSet<Arc<str>>>,
}

impl Watches {
    /// None yet.
    pub(super) fn new(profile: Profile) -> Self {
        Self { profile, data: Table::new(profile), child: Table::new(profile) }
    }

    /// Leaves a one-shot watch. A second one at the same place changes nothing.
    pub(super) fn add_one_shot(&mut self, watched: Watched, path: &str, connection: ConnectionId) {
        self.table(watched).add(path, connection, Mode::OneShot);
    }

    /// Leaves a persistent watch.
    pub(super) fn add(&mut self, mode: AddWatchMode, path: &str, connection: ConnectionId) {
        match mode {
            AddWatchMode::Persistent => {
                self.data.add(path, connection, Mode::Persistent);
                self.child.add(path, connection, Mode::Persistent);
            }
            AddWatchMode::PersistentRecursive => {
                self.data.add(path, connection, Mode::Recursive);
                match self.profile {
                    Profile::V3_8 => self.child.add(path, connection, Mode::Recursive),
                    Profile::V3_9 => {}
                }
            }
        }
    }

    /// Whether `connection` has such a watch at `path`; in 3.8, whether anybody has.
    pub(super) fn has(&self, watcher: WatcherType, path: &str, connection: ConnectionId) -> bool {
        let (data, child) = self.modes_of(watcher);
        match self.profile {
            Profile::V3_8 => {
                (data != Modes::default() && self.data.by_path.contains_key(path))
                    || (child != Modes::default() && self.child.by_path.contains_key(path))
            }
            Profile::V3_9 => {
                self.data.modes(path, connection).intersects(data)
                    || self.child.modes(path, connection).intersects(child)
            }
        }
    }

    /// Removes such watches of `connection` at `path`, and tells whether there were any.
    pub(super) fn remove(&mut self, watcher: WatcherType, path: &str, connection: ConnectionId) -> bool {
        let (data, child) = self.modes_of(watcher);
        let found = self.data.modes(path, connection).intersects(data)
            || self.child.modes(path, connection).intersects(child);
        self.data.remove(path, connection, data);
        self.child.remove(path, connection, child);
        found
    }

    /// Removes all watches of `connection`.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.data.forget(connection);
        self.child.forget(connection);
    }

    /// The connections that hear of something that happened to the znode at `path`. Their one-shots are gone.
    pub(super) fn trigger_data(&mut self, path: &str, change: Change) -> BTreeSet<ConnectionId> {
        self.data.trigger(path, change)
    }

    /// The connections that hear of the end of `path`, or of a change of its list of children, because they watch that
    /// list. Their one-shots are gone.
    pub(super) fn trigger_children(&mut self, path: &str, change: Change) -> BTreeSet<ConnectionId> {
        self.child.trigger(path, change)
    }

    /// The watches on data: path and connection, in order.
    pub(super) fn data(&self) -> impl Iterator<Item = (&str, ConnectionId)> {
        let by_path = self.data.by_path.iter();
        by_path.flat_map(|(path, watchers)| watchers.keys().map(move |conn| (path.as_ref(), *conn)))
    }

    /// How many there are in both tables.
    pub(super) fn count(&self) -> usize {
        [&self.data, &self.child]
            .into_iter()
            .flat_map(|table| table.by_path.values())
            .map(BTreeMap::len)
            .sum()
    }

    /// Panics when the tables contradict themselves, or know a connection that is not `live`.
    pub(super) fn check_invariants(&self, live: impl Fn(ConnectionId) -> bool) {
        for table in [&self.data, &self.child] {
            let mut pairs = 0;
            for (path, watchers) in &table.by_path {
                assert!(!watchers.is_empty(), "an empty set of watchers is kept at {path}");
                for (connection, modes) in watchers {
                    assert_ne!(*modes, Modes::default(), "a watch without a mode is kept at {path}");
                    assert!(live(*connection), "{connection:?} is gone, and its watch at {path} is not");
                    assert!(
                        table.by_connection.get(connection).is_some_and(|paths| paths.contains(path)),
                        "the watch of {connection:?} at {path} is not in its index"
                    );
                    pairs += 1;
                }
            }
            let indexed: usize = table.by_connection.values().map(BTreeSet::len).sum();
            assert_eq!(indexed, pairs, "the index of connections names watches that are not there");
        }
    }

    /// What a type of watch comes to in the table of data and in that of children. In 3.8 it names tables, and the mode
    /// does not matter.
    fn modes_of(&self, watcher: WatcherType) -> (Modes, Modes) {
        let none = Modes::default();
        let all = ALL_MODES.into_iter().fold(none, Modes::with);
        let one_shot = match self.profile {
            Profile::V3_8 => all,
            Profile::V3_9 => none.with(Mode::OneShot),
        };
        let persistent = none.with(Mode::Persistent);
        match watcher {
            WatcherType::Children => (none, one_shot),
            WatcherType::Data => (one_shot, none),
            WatcherType::Any => (all, all),
            WatcherType::Persistent => (persistent, persistent),
            WatcherType::PersistentRecursive => (none.with(Mode::Recursive), none),
        }
    }

    fn table(&mut self, watched: Watched) -> &mut Table {
        match watched {
            Watched::Data => &mut self.data,
            Watched::Children => &mut self.child,
        }
    }
}

impl Table {
    fn new(profile: Profile) -> Self {
        Self { profile, by_path: BTreeMap::new(), by_connection: BTreeMap::new() }
    }

    fn add(&mut self, path: &str, connection: ConnectionId, mode: Mode) {
        let path = match self.by_path.get_key_value(path) {
            Some((path, _)) => Arc::clone(path),
            None => path.into(),
        };
        let modes = self.by_path.entry(Arc::clone(&path)).or_default().entry(connection).or_default();
        *modes = match self.profile {
            Profile::V3_8 => Modes::default().with(mode),
            Profile::V3_9 => modes.with(mode),
        };
        self.by_connection.entry(connection).or_default().insert(path);
    }

    fn modes(&self, path: &str, connection: ConnectionId) -> Modes {
        self.by_path.get(path).and_then(|watchers| watchers.get(&connection)).copied().unwrap_or_default()
    }

    fn remove(&mut self, path: &str, connection: ConnectionId, modes: Modes) {
        let Some(watchers) = self.by_path.get_mut(path) else { return };
        let Some(present) = watchers.get_mut(&connection) else { return };
        *present = present.without(modes);
        if *present != Modes::default() {
            return;
        }
        watchers.remove(&connection);
        if watchers.is_empty() {
            self.by_path.remove(path);
        }
        if let Some(paths) = self.by_connection.get_mut(&connection) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        for path in self.by_connection.remove(&connection).unwrap_or_default() {
            if let Some(watchers) = self.by_path.get_mut(&path) {
                watchers.remove(&connection);
                if watchers.is_empty() {
                    self.by_path.remove(&path);
                }
            }
        }
    }

    /// All that watch `path` itself, and those with a recursive watch above, unless it is a list that changes. Their
    /// one-shots are gone.
    fn trigger(&mut self, path: &str, change: Change) -> BTreeSet<ConnectionId> {
        let one_shot = Modes::default().with(Mode::OneShot);
        let recursive = Modes::default().with(Mode::Recursive);
        let hears_of_lists = |modes: &Modes| modes.without(recursive) != Modes::default();
        let hears = |modes: &Modes| change != Change::ChildrenChanged || hears_of_lists(modes);
        let watchers = self.by_path.get(path).into_iter().flatten();
        let mut hearing: BTreeSet<_> =
            watchers.filter(|(_, modes)| hears(modes)).map(|(connection, _)| *connection).collect();
        for connection in &hearing {
            self.remove(path, *connection, one_shot);
        }
        if change != Change::ChildrenChanged {
            for ancestor in path::self_and_ancestors(path).skip(1) {
                hearing.extend(self.recursive_at(ancestor));
            }
        }
        hearing
    }

    fn recursive_at(&self, path: &str) -> impl Iterator<Item = ConnectionId> {
        let recursive = Modes::default().with(Mode::Recursive);
        let watchers = self.by_path.get(path).into_iter().flatten();
        watchers.filter(move |(_, modes)| modes.intersects(recursive)).map(|(connection, _)| *connection)
    }
}

impl Modes {
    fn with(self, mode: Mode) -> Self {
        let bit = match mode {
            Mode::OneShot => 1,
            Mode::Persistent => 2,
            Mode::Recursive => 4,
        };
        Self(self.0 | bit)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

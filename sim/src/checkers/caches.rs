//! Caches: the changes that are told add up, and never go back; what is fresh and quiet equals the tree; what is told to be
//! empty has been empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use queenright_core::output::{Instance, InstanceChange};
use queenright_core::{Directory, Freshness, Instant, Name, Zxid};

use super::history::{Histories, Told};
use super::{Life, Violation};
use crate::zookeeper::Tree;

const PROPERTY: &str = "caches";
/// Ends the names of znodes that carry a payload.
const PAYLOAD_MARK: char = '+';

/// What is in a directory: instances and their payloads.
pub type Contents = BTreeMap<Name, Arc<[u8]>>;

/// Follows the caches of coordinators, and when directories were empty.
#[derive(Debug, Default)]
pub struct Caches {
    caches: BTreeMap<(Life, Directory), Cache>,
    directories: BTreeMap<Directory, Followed>,
    told: Told,
}

/// A directory that somebody follows.
#[derive(Debug)]
struct Followed {
    path: String,
    /// As each server shows it: who asks one that lags is told what was.
    views: Vec<View>,
    /// As it was committed.
    histories: Histories,
}

/// A directory as one server shows it.
#[derive(Debug)]
struct View {
    /// The transaction that last added or removed a child, when the emptiness was noted; nothing when there was no
    /// directory.
    seen: Option<Zxid>,
    emptiness: Emptiness,
}

#[derive(Debug)]
struct Cache {
    contents: Contents,
    freshness: Freshness,
    /// What was read before does not count: there was a new subscription or connection since.
    asked_at: Instant,
}

/// When a directory had no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emptiness {
    Empty,
    /// Not since then.
    EmptyUntil(Instant),
    NeverEmpty,
}

/// The path of a directory below `root`.
pub(super) fn directory_path(root: &str, directory: &Directory) -> String {
    match directory {
        Directory::Nodes => format!("{root}/nodes"),
        Directory::Service(name) => format!("{root}/services/{name}"),
    }
}

/// The instances in a directory of the tree: children whose name is one. A trailing `+` marks those whose payload counts.
#[must_use]
pub fn instances(tree: &Tree, root: &str, directory: &Directory) -> Contents {
    let path = directory_path(root, directory);
    let mut contents = Contents::new();
    // In order: "a" comes before "a+", and so the one with a payload wins where somebody made both.
    for (child, znode) in tree.family(&path) {
        if let Some(name) = instance_name(child) {
            let payload = if child.ends_with(PAYLOAD_MARK) { znode.data() } else { &[] };
            contents.insert(name, payload.into());
        }
    }
    contents
}

/// The instance that a child of a directory stands for, if it is one.
fn instance_name(child: &str) -> Option<Name> {
    Name::new(child.strip_suffix(PAYLOAD_MARK).unwrap_or(child)).ok()
}

impl View {
    const fn new() -> Self {
        Self { seen: Some(Zxid(-1)), emptiness: Emptiness::NeverEmpty }
    }

    fn look(&mut self, now: Instant, tree: &Tree, path: &str) {
        let changed = tree.get(path).map(|znode| znode.stat().pzxid);
        if self.seen == changed {
            return;
        }
        self.seen = changed;
        let is_empty = !tree.children(path).any(|child| instance_name(child).is_some());
        self.emptiness = match (self.emptiness, is_empty) {
            (_, true) => Emptiness::Empty,
            (Emptiness::Empty, false) => Emptiness::EmptyUntil(now),
            (before @ (Emptiness::EmptyUntil(_) | Emptiness::NeverEmpty), false) => before,
        };
    }
}

impl Caches {
    /// The trees of the servers have changed, perhaps: notes which of the directories that somebody follows are empty.
    pub fn tree_changed<'a>(&mut self, now: Instant, trees: impl Iterator<Item = &'a Tree> + Clone) {
        for Followed { path, views, .. } in self.directories.values_mut() {
            views.resize_with(trees.clone().count(), View::new);
            for (tree, view) in trees.clone().zip(views) {
                view.look(now, tree, path);
            }
        }
    }

    /// So it was committed.
    pub fn committed(&mut self, tree: &Tree) {
        for Followed { path, histories, .. } in self.directories.values_mut() {
            histories.note(tree, path, PAYLOAD_MARK);
        }
    }

    /// All is lost, and transactions are counted anew.
    pub fn wiped(&mut self) {
        for Followed { histories, .. } in self.directories.values_mut() {
            histories.wiped();
        }
    }

    /// The application subscribed.
    pub fn subscribed<'a>(
        &mut self,
        now: Instant,
        life: Life,
        directory: &Directory,
        trees: impl Iterator<Item = &'a Tree> + Clone,
        root: &str,
    ) {
        let path = directory_path(root, directory);
        let followed = Followed { path, views: Vec::new(), histories: Histories::default() };
        self.directories.entry(directory.clone()).or_insert(followed);
        self.tree_changed(now, trees);
        self.caches.entry((life, directory.clone())).or_insert_with(|| Cache {
            contents: Contents::new(),
            freshness: Freshness::Loading,
            asked_at: now,
        });
    }

    /// The application follows it no longer.
    pub fn unsubscribed(&mut self, life: Life, directory: &Directory) {
        self.caches.remove(&(life, directory.clone()));
        self.told.forget(life, directory);
    }

    /// The coordinator was told of a connection: what it reads from now on is what counts.
    pub fn connected(&mut self, now: Instant, life: Life) {
        for ((whose, _), cache) in &mut self.caches {
            if *whose == life {
                cache.asked_at = now;
            }
        }
    }

    /// The process is gone.
    pub fn died(&mut self, life: Life) {
        self.caches.retain(|(whose, _), _| *whose != life);
        self.told.died(life);
    }

    /// A coordinator told of a change. Returns how fresh the cache was before.
    ///
    /// # Errors
    /// When the change does not fit what was told before, or when the cache is said to be empty and the directory was not.
    pub fn event(
        &mut self,
        now: Instant,
        life: Life,
        directory: &Directory,
        freshness: Freshness,
        changes: &[InstanceChange],
    ) -> Result<Option<Freshness>, Violation> {
        let Some(cache) = self.caches.get_mut(&(life, directory.clone())) else { return Ok(None) };
        let wrong = |what: String| Violation::new(PROPERTY, format!("{life}'s cache of {directory}: {what}"));
        let was_empty = cache.contents.is_empty();
        let before = cache.freshness;
        for change in changes {
            let fits = match change {
                InstanceChange::Added(Instance { name, payload }) => {
                    cache.contents.insert(name.clone(), Arc::clone(payload)).is_none()
                }
                InstanceChange::Updated(Instance { name, payload }) => {
                    cache.contents.insert(name.clone(), Arc::clone(payload)).is_some()
                }
                InstanceChange::Removed(name) => cache.contents.remove(name).is_some(),
            };
            if !fits {
                return Err(wrong(format!("{change:?} does not fit what was told before")));
            }
            if let InstanceChange::Added(instance) | InstanceChange::Updated(instance) = change {
                let followed = self.directories.get(directory);
                let znode = format!("{}{PAYLOAD_MARK}", instance.name);
                let history = followed.and_then(|followed| followed.histories.of(&znode));
                let Instance { name, payload } = instance;
                if self.told.goes_back((life, directory), name, payload, history) {
                    return Err(wrong(format!("{change:?}, which it was before what was told before")));
                }
            }
        }
        cache.freshness = freshness;
        let became_fresh = freshness == Freshness::Fresh && before != Freshness::Fresh;
        let says_empty = cache.contents.is_empty() && (!was_empty || became_fresh);
        let views = self.directories.get(directory).map_or(&[][..], |followed| &followed.views);
        let was_really = views.iter().any(|view| match view.emptiness {
            Emptiness::Empty => true,
            Emptiness::EmptyUntil(at) => at >= cache.asked_at,
            Emptiness::NeverEmpty => false,
        });
        if says_empty && !was_really {
            return Err(wrong(format!(
                "said to be empty ({freshness:?}) at {now}; it was not since it was asked"
            )));
        }
        Ok(Some(before))
    }

    /// After a quiet stretch: the cache of each of `directories` is fresh and equals the tree.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check<'a>(
        &self,
        tree: &Tree,
        root: &str,
        life: Life,
        directories: impl IntoIterator<Item = &'a Directory>,
    ) -> Result<(), Violation> {
        for directory in directories {
            let wrong =
                |what: String| Violation::new(PROPERTY, format!("{life}'s cache of {directory}: {what}"));
            let Some(cache) = self.caches.get(&(life, directory.clone())) else {
                return Err(wrong("nothing was ever told".into()));
            };
            if cache.freshness != Freshness::Fresh {
                return Err(wrong(format!("still {:?}", cache.freshness)));
            }
            let there = instances(tree, root, directory);
            if cache.contents != there {
                return Err(wrong(format!("{:?} instead of {there:?}", cache.contents)));
            }
        }
        Ok(())
    }

    /// What a cache was told to hold.
    #[must_use]
    pub fn contents(&self, life: Life, directory: &Directory) -> Option<&Contents> {
        self.caches.get(&(life, directory.clone())).map(|cache| &cache.contents)
    }
}

#[cfg(test)]
mod tests {
    use std::iter::once;

    use super::*;
    use crate::checkers::testing::Server;

    const A: Life = Life { node: 0, number: 0 };
    const ROOT: &str = "/q";

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn directory() -> Directory {
        Directory::Service(Name::new("s").unwrap())
    }

    fn added(name: &str, payload: &[u8]) -> InstanceChange {
        InstanceChange::Added(Instance { name: Name::new(name).unwrap(), payload: payload.into() })
    }

    fn removed(name: &str) -> InstanceChange {
        InstanceChange::Removed(Name::new(name).unwrap())
    }

    /// A subscription at 1 ms to a directory with one instance.
    fn subscribed() -> (Caches, Server) {
        let mut server = Server::new();
        server.create("/q/services/s/i+", b"x", None);
        let mut caches = Caches::default();
        caches.subscribed(at(1), A, &directory(), once(server.tree()), ROOT);
        (caches, server)
    }

    #[test]
    fn a_cache_that_equals_the_tree_passes_and_others_do_not() {
        for (changes, freshness, is_right) in [
            (vec![added("i", b"x")], Freshness::Fresh, true),
            (vec![added("i", b"x")], Freshness::Stale { since: at(1) }, false),
            (vec![added("i", b"y")], Freshness::Fresh, false),
            (vec![added("i", b"x"), added("j", b"")], Freshness::Fresh, false),
        ] {
            let (mut caches, server) = subscribed();
            caches.event(at(2), A, &directory(), freshness, &changes).unwrap();
            let result = caches.check(server.tree(), ROOT, A, [&directory()]);
            assert_eq!(result.is_ok(), is_right, "{changes:?} {freshness:?}");
        }
    }

    #[test]
    fn changes_must_add_up() {
        for changes in [vec![removed("i")], vec![added("i", b""), added("i", b"")]] {
            let (mut caches, _) = subscribed();
            assert!(caches.event(at(2), A, &directory(), Freshness::Fresh, &changes).is_err(), "{changes:?}");
        }
    }

    #[test]
    fn what_is_told_of_a_payload_never_goes_back() {
        let (mut caches, mut server) = subscribed();
        caches.committed(server.tree());
        for payload in [b"y", b"z", b"y"] {
            server.set("/q/services/s/i+", payload);
            caches.committed(server.tree());
        }
        let updated = |payload: &[u8]| {
            let InstanceChange::Added(instance) = added("i", payload) else { unreachable!() };
            InstanceChange::Updated(instance)
        };
        let mut tell = |change| caches.event(at(2), A, &directory(), Freshness::Fresh, &[change]);
        tell(added("i", b"x")).unwrap();
        tell(updated(b"z")).unwrap();
        tell(updated(b"y")).unwrap();
        tell(updated(b"unheard of")).unwrap();
        assert!(tell(updated(b"z")).is_err(), "it was that before it was y for the second time");
    }

    #[test]
    fn what_is_written_after_all_was_lost_counts_though_its_numbers_are_lower() {
        let (mut caches, mut server) = subscribed();
        for payload in [b"y", b"z"] {
            server.set("/q/services/s/i+", payload);
        }
        caches.committed(server.tree());
        let mut server = Server::new();
        server.create("/q/services/s/i+", b"1", None);
        caches.wiped();
        caches.committed(server.tree());
        server.set("/q/services/s/i+", b"2");
        caches.committed(server.tree());
        caches.event(at(2), A, &directory(), Freshness::Fresh, &[added("i", b"2")]).unwrap();
        let InstanceChange::Added(instance) = added("i", b"1") else { unreachable!() };
        let back = [InstanceChange::Updated(instance)];
        assert!(caches.event(at(3), A, &directory(), Freshness::Fresh, &back).is_err());
    }

    #[test]
    fn empty_is_believed_only_of_what_was_empty_since_it_was_asked() {
        let (mut caches, _) = subscribed();
        assert!(caches.event(at(2), A, &directory(), Freshness::Fresh, &[]).is_err(), "it never was");

        let (mut caches, mut server) = subscribed();
        server.delete("/q/services/s/i+");
        caches.tree_changed(at(3), once(server.tree()));
        caches.event(at(4), A, &directory(), Freshness::Fresh, &[]).unwrap();

        server.create("/q/services/s/j", b"", None);
        caches.tree_changed(at(5), once(server.tree()));
        caches.event(at(6), A, &directory(), Freshness::Fresh, &[added("j", b"")]).unwrap();
        caches.event(at(7), A, &directory(), Freshness::Fresh, &[removed("j")]).unwrap();
        caches.event(at(8), A, &directory(), Freshness::Fresh, &[added("j", b"")]).unwrap();
        caches.connected(at(9), A);
        let result = caches.event(at(9), A, &directory(), Freshness::Fresh, &[removed("j")]);
        assert!(result.is_err(), "not since the new connection");
    }

    #[test]
    fn where_both_names_of_an_instance_are_there_the_payload_counts() {
        let mut server = Server::new();
        for child in ["i", "i+", "j", "+"] {
            server.create(&format!("/q/services/s/{child}"), b"x", None);
        }
        let contents = instances(server.tree(), ROOT, &directory());
        let shown: Vec<(&str, &[u8])> =
            contents.iter().map(|(name, payload)| (name.as_str(), &**payload)).collect();
        assert_eq!(shown, [("i", &b"x"[..]), ("j", b"")]);
    }
}

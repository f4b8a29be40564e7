//! Caches: the changes that are told add up; what is fresh and quiet equals the tree; what is told to be empty has been
//! empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use queenright_core::output::{Instance, InstanceChange};
use queenright_core::{Directory, Freshness, Instant, Name};

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
}

/// A directory that somebody follows.
#[derive(Debug)]
struct Followed {
    path: String,
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
    let payload = |child: &str| tree.get(&format!("{path}/{child}")).map_or(&[][..], |znode| znode.data());
    let mut contents = Contents::new();
    // In order: "a" comes before "a+", and so the one with a payload wins where somebody made both.
    for child in tree.children(&path) {
        if let Some(name) = instance_name(child) {
            let payload = if child.ends_with(PAYLOAD_MARK) { payload(child) } else { &[] };
            contents.insert(name, payload.into());
        }
    }
    contents
}

/// The instance that a child of a directory stands for, if it is one.
fn instance_name(child: &str) -> Option<Name> {
    Name::new(child.strip_suffix(PAYLOAD_MARK).unwrap_or(child)).ok()
}

impl Caches {
    /// The tree has changed, perhaps: notes which of the directories that somebody follows are empty.
    pub fn tree_changed(&mut self, now: Instant, tree: &Tree) {
        for Followed { path, emptiness } in self.directories.values_mut() {
            let is_empty = !tree.children(path).any(|child| instance_name(child).is_some());
            *emptiness = match (*emptiness, is_empty) {
                (_, true) => Emptiness::Empty,
                (Emptiness::Empty, false) => Emptiness::EmptyUntil(now),
                (before @ (Emptiness::EmptyUntil(_) | Emptiness::NeverEmpty), false) => before,
            };
        }
    }

    /// The application subscribed.
    pub fn subscribed(&mut self, now: Instant, life: Life, directory: &Directory, tree: &Tree, root: &str) {
        let followed =
            || Followed { path: directory_path(root, directory), emptiness: Emptiness::NeverEmpty };
        self.directories.entry(directory.clone()).or_insert_with(followed);
        self.tree_changed(now, tree);
        self.caches.entry((life, directory.clone())).or_insert_with(|| Cache {
            contents: Contents::new(),
            freshness: Freshness::Loading,
            asked_at: now,
        });
    }

    /// The application follows it no longer.
    pub fn unsubscribed(&mut self, life: Life, directory: &Directory) {
        self.caches.remove(&(life, directory.clone()));
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
        }
        cache.freshness = freshness;
        let became_fresh = freshness == Freshness::Fresh && before != Freshness::Fresh;
        let says_empty = cache.contents.is_empty() && (!was_empty || became_fresh);
        let was_really = match self.directories.get(directory).map(|followed| followed.emptiness) {
            Some(Emptiness::Empty) => true,
            Some(Emptiness::EmptyUntil(at)) => at >= cache.asked_at,
            Some(Emptiness::NeverEmpty) | None => false,
        };
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

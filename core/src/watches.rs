//! The ledger of armed watches: what each costs, and when one on a parent must stand for many.
//!
//! | state of a path | arm one-shot | arm recursive | fires | connection changes |
//! |---|---|---|---|---|
//! | nothing | one-shot, or covered by the tree beyond the budget | recursive, or covered | – | nothing |
//! | one-shot | one-shot | both | nothing | nothing |
//! | recursive | both | recursive | recursive | nothing |
//!
//! Clients send the paths of all one-shot watches in one frame when they reconnect, and some break when it
//! grows beyond 128 KiB, so the ledger counts bytes.

use alloc::collections::BTreeSet;
use core::ops::Bound;

use crate::path::Path;

/// So many znodes of one directory are watched one by one; a recursive watch on the directory does for more. It brings the
/// changes of all others in the directory, too, about 100 bytes each, and spares a read for each znode.
pub(crate) const SIBLINGS_MAX: usize = 8;

/// A part of the tree that one recursive watch can cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Nodes,
    Services,
    Globals,
    Leases,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Watches {
    bytes: usize,
    bytes_max: usize,
    one_shots: BTreeSet<Path>,
    recursive: BTreeSet<Path>,
}

impl Watches {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max, one_shots: BTreeSet::new(), recursive: BTreeSet::new() }
    }

    /// Whether a one-shot on `path` fits (or is armed already).
    pub(crate) fn add_one_shot(&mut self, path: &Path) -> bool {
        let fits = self.one_shots.contains(path) || self.bytes + cost(path) <= self.bytes_max;
        if fits {
            self.set_one_shot(path);
        }
        fits
    }

    /// One is armed, whether it fits or not.
    pub(crate) fn set_one_shot(&mut self, path: &Path) {
        if !self.one_shots.contains(path) {
            self.bytes += cost(path);
            self.one_shots.insert(path.clone());
        }
    }

    pub(crate) fn remove_one_shot(&mut self, path: &Path) -> bool {
        let was_there = self.one_shots.remove(path);
        if was_there {
            self.bytes -= cost(path);
        }
        was_there
    }

    /// The path on which a recursive watch must be armed for `path`; `None` when one is armed. Directories
    /// beyond the budget share the one on `shared`, which itself is always allowed.
    pub(crate) fn add_recursive(&mut self, path: &Path, shared: &Path) -> Option<Path> {
        if self.is_covered(path) {
            return None;
        }
        let fits = self.bytes + cost(path) <= self.bytes_max || path.below(shared).is_none();
        let path = if fits { path } else { shared };
        if self.is_covered(path) {
            return None;
        }
        self.bytes += cost(path);
        self.recursive.insert(path.clone());
        Some(path.clone())
    }

    pub(crate) fn remove_recursive(&mut self, path: &Path) -> bool {
        let was_there = self.recursive.remove(path);
        if was_there {
            self.bytes -= cost(path);
        }
        was_there
    }

    /// Whether so many siblings of `path` have a one-shot that it shall not have one, too.
    pub(crate) fn is_crowded(&self, path: &Path) -> bool {
        let Some(prefix) = path.parent().map(|directory| directory.prefix()) else { return false };
        let siblings = self.one_shots.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        siblings.take_while(|other| other.as_str().starts_with(&prefix)).take(SIBLINGS_MAX).count()
            == SIBLINGS_MAX
    }

    pub(crate) fn has_recursive(&self, path: &Path) -> bool {
        self.recursive.contains(path)
    }

    pub(crate) fn has_one_shot(&self, path: &Path) -> bool {
        self.one_shots.contains(path)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.one_shots.clear();
        self.recursive.clear();
    }

    pub(crate) fn check_invariants(&self) {
        let sum: usize = self.one_shots.iter().chain(&self.recursive).map(cost).sum();
        assert_eq!(self.bytes, sum, "the ledger of watches does not add up");
    }

    /// Whether a recursive watch on it, or on an ancestor, is armed.
    pub(crate) fn is_covered(&self, path: &Path) -> bool {
        let mut next = path.as_str();
        while !next.is_empty() {
            if self.recursive.contains(next) {
                return true;
            }
            next = next.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        self.recursive.contains("/")
    }
}

/// Bytes on the wire when the client arms it again: the path and its length.
fn cost(path: &Path) -> usize {
    path.as_str().len() + 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    #[test]
    fn beyond_the_budget_one_watch_on_the_parent_does_for_all() {
        let mut watches = Watches::new(64);
        let services = path("/q/services");
        let mut armed = alloc::vec::Vec::new();
        for i in 0..10 {
            armed.extend(watches.add_recursive(&path(&format!("/q/services/s{i}")), &services));
        }
        watches.check_invariants();
        let last = armed.last().unwrap();
        assert_eq!(last, &services, "{armed:?}");
        assert!(armed.len() < 5, "the parent covers the rest: {armed:?}");
    }

    #[test]
    fn a_fired_one_shot_makes_room() {
        let mut watches = Watches::new(20);
        assert!(watches.add_one_shot(&path("/a/long/path")));
        assert!(!watches.add_one_shot(&path("/b/long/path")));
        assert!(watches.remove_one_shot(&path("/a/long/path")));
        assert!(!watches.remove_one_shot(&path("/a/long/path")));
        assert!(watches.add_one_shot(&path("/b/long/path")));
        watches.check_invariants();
    }
}

//! What is on its way to a leader's tree: proposed, and not applied yet.
//!
//! Writes are decided against the newest state, long before a majority has it. A leader that is alone has nothing here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use queenright_core::{SessionId, Zxid};

use super::Owner;
use super::prepare::{Facts, Touched};

/// The znodes that proposals touch, as they will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Outstanding {
    latest: BTreeMap<Arc<str>, (Zxid, Option<Facts>)>,
    /// What each proposal touched, so that it can go without a search.
    touched: VecDeque<(Zxid, Vec<Arc<str>>)>,
}

impl Outstanding {
    /// Notes what the proposal `zxid` makes of some znodes.
    pub(super) fn add(&mut self, zxid: Zxid, touched: Touched) {
        if touched.is_empty() {
            return;
        }
        self.touched.push_back((zxid, touched.keys().cloned().collect()));
        self.latest.extend(touched.into_iter().map(|(path, facts)| (path, (zxid, facts))));
    }

    /// Forgets what the tree has by now.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        while self.touched.front().is_some_and(|(touched_by, _)| *touched_by <= zxid) {
            let (_, paths) = self.touched.pop_front().unwrap_or_default();
            for path in paths {
                if self.latest.get(&path).is_some_and(|(touched_by, _)| *touched_by <= zxid) {
                    self.latest.remove(&path);
                }
            }
        }
    }

    /// What the znode at `path` will be; `None` inside when it will not be there, outside when nothing changes it.
    pub(super) fn get(&self, path: &str) -> Option<&Option<Facts>> {
        self.latest.get(path).map(|(_, facts)| facts)
    }

    /// Corrects the list of the ephemerals of `session`.
    pub(super) fn correct(&self, session: SessionId, ephemerals: &mut BTreeSet<Arc<str>>) {
        for (path, (_, facts)) in &self.latest {
            match facts {
                Some(facts) if facts.owner == Owner::Session(session) => ephemerals.insert(Arc::clone(path)),
                Some(_) | None => ephemerals.remove(path),
            };
        }
    }

    /// Panics when the two indexes differ, or when something of before `applied` is kept.
    pub(super) fn check_invariants(&self, applied: Zxid) {
        let mut listed = BTreeSet::new();
        for (zxid, paths) in &self.touched {
            assert!(*zxid > applied, "{zxid} is applied, and is kept as outstanding");
            listed.extend(paths.iter().cloned());
        }
        assert!(self.latest.keys().eq(&listed), "outstanding znodes that no proposal touched");
    }
}

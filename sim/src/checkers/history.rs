//! What a cache tells of an instance's payload may be late, but never goes back: what was told before was there before.

use std::collections::BTreeMap;
use std::sync::Arc;

use queenright_core::{Directory, Name, Zxid};

use super::Life;
use crate::zookeeper::Tree;

/// The payloads that a znode has had, with the transactions that wrote them.
type History = Vec<(Zxid, Arc<[u8]>)>;

/// Of each znode of a directory.
#[derive(Debug, Default)]
pub(super) struct Histories {
    of: BTreeMap<String, History>,
    /// What was written up to here is in there.
    noted: Option<Zxid>,
}

/// How far in these histories each cache is.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(Life, Directory), BTreeMap<Name, usize>>);

impl Histories {
    /// Notes what has changed in the directory at `path`.
    pub(super) fn note(&mut self, tree: &Tree, path: &str, mark: char) {
        let before = self.noted;
        for (child, znode) in tree.family(path) {
            let written = znode.stat().mzxid;
            if child.ends_with(mark) && before.is_none_or(|before| before < written) {
                self.of.entry(child.to_owned()).or_default().push((written, znode.data().into()));
                self.noted = self.noted.max(Some(written));
            }
        }
    }

    /// Transactions are counted anew.
    pub(super) fn wiped(&mut self) {
        self.noted = None;
    }

    /// That of one znode.
    pub(super) fn of(&self, child: &str) -> Option<&History> {
        self.of.get(child)
    }
}

impl Told {
    /// Whether a cache goes back with that. What is in no history was gone before anybody looked, and what is empty may be
    /// of the instance's other znode, which has no payload.
    pub(super) fn goes_back(
        &mut self,
        (life, directory): (Life, &Directory),
        name: &Name,
        payload: &[u8],
        history: Option<&History>,
    ) -> bool {
        let Some(history) = history.filter(|_| !payload.is_empty()) else { return false };
        let told = self.0.entry((life, directory.clone())).or_default().entry(name.clone()).or_default();
        let is_it = |(_, other): &(Zxid, Arc<[u8]>)| **other == *payload;
        match history.iter().skip(*told).position(is_it) {
            Some(further) => {
                *told += further;
                false
            }
            None => history.iter().take(*told).any(is_it),
        }
    }

    /// The next subscription begins anew.
    pub(super) fn forget(&mut self, life: Life, directory: &Directory) {
        self.0.remove(&(life, directory.clone()));
    }

    pub(super) fn died(&mut self, life: Life) {
        self.0.retain(|(whose, _), _| *whose != life);
    }
}

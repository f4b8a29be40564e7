//! What a cache tells of an instance's payload may be late, but never goes back: what was told before was there before.

use std::collections::BTreeMap;
use std::sync::Arc;

use queenright_core::{Directory, Name, Zxid};

use super::Life;
use crate::zookeeper::Tree;

/// The payloads that a znode has had, with the transactions that wrote them.
type History = Vec<(Zxid, Arc<[u8]>)>;

/// Of each znode of a directory.
pub(super) type Histories = BTreeMap<String, History>;

/// How far in these histories each cache is.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(Life, Directory), BTreeMap<Name, usize>>);

/// Notes what has changed in the directory at `path`.
pub(super) fn note(histories: &mut Histories, tree: &Tree, path: &str, mark: char) {
    for child in tree.children(path).filter(|child| child.ends_with(mark)) {
        let Some(znode) = tree.get(&format!("{path}/{child}")) else { continue };
        let written = znode.stat().mzxid;
        match histories.get_mut(child) {
            Some(history) if history.last().is_some_and(|(last, _)| *last == written) => {}
            Some(history) => history.push((written, znode.data().into())),
            None => {
                histories.insert(child.to_owned(), vec![(written, znode.data().into())]);
            }
        }
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

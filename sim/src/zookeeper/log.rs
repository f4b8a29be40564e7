//! What is committed, in the order in which all servers apply it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::transaction::Transaction;

/// The end of the log: what some server that takes part has not applied yet. The first transaction ever is number 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// How many at the beginning are kept no longer.
    forgotten: u64,
    entries: VecDeque<Arc<Transaction>>,
}

impl Log {
    /// How many transactions were ever committed.
    pub(super) fn len(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }

    pub(super) fn push(&mut self, transaction: Arc<Transaction>) {
        self.entries.push_back(transaction);
    }

    /// The transaction after the first `applied` ones; `None` when it is not there, or not any more.
    pub(super) fn after(&self, applied: u64) -> Option<&Arc<Transaction>> {
        let index = applied.checked_sub(self.forgotten)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// All that are kept after the first `applied` ones.
    pub(super) fn all_after(&self, applied: u64) -> impl Iterator<Item = &Transaction> {
        let skipped = usize::try_from(applied.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skipped).map(AsRef::as_ref)
    }

    /// Whether whoever has applied `applied` can go on from there.
    pub(super) const fn reaches_back_to(&self, applied: u64) -> bool {
        applied >= self.forgotten
    }

    /// Nobody needs the first `applied` any more.
    pub(super) fn forget(&mut self, applied: u64) {
        while self.forgotten < applied && self.entries.pop_front().is_some() {
            self.forgotten += 1;
        }
    }
}

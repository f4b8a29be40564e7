use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use queenright_core::Freshness;

/// What was found in a directory: processes of a service, or nodes. A slice, and how far it can be trusted.
///
/// Cheap to clone; never changes. What others put there under names that are no process or no node is left out.
#[derive(Clone)]
pub struct Found<T> {
    members: Arc<[T]>,
    freshness: Freshness,
}

impl<T> Found<T> {
    pub(crate) fn new(members: Arc<[T]>, freshness: Freshness) -> Self {
        Self { members, freshness }
    }

    /// How far it can be trusted: [`Freshness::Fresh`], or [`Freshness::Stale`] while ZooKeeper cannot be reached.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }
}

impl<T> Deref for Found<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.members
    }
}

impl<T: fmt::Debug> fmt::Debug for Found<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("members", &&*self.members).field("freshness", &self.freshness).finish()
    }
}

//! Rules that tests break, one at a time, to see the comparison with real servers fail.

/// A rule of the server. With the crate's feature `mutations`, `Ensemble::break_rule` breaks one; without it there is no
/// way to do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// Of one transaction, the last event is told first.
    WatchOrder,
    /// Sequence numbers count the children that are there, not those that were ever created.
    SequenceCounter,
    /// What a multi did before the part that failed stays done.
    MultiRollback,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WatchOrder, Self::SequenceCounter, Self::MultiRollback];
}

/// The rule that is broken, if one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Broken(#[cfg(feature = "mutations")] pub(super) Option<Mutation>);

impl Broken {
    /// Whether it is this one.
    pub(super) fn is(self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.0 == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        {
            let (Self(), _) = (self, mutation);
            false
        }
    }
}

//! Guards that tests take out, one at a time, to see the checkers fail.

use serde::{Deserialize, Serialize};

/// A guard of the protocol. With the crate's feature `mutations`, `Config::mutation` takes one of them out;
/// without it there is no such field, and every guard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mutation {
    /// A lease is counted from the reply of a beat instead of from its sending (rule 3).
    LeaseFromReply,
    /// A silent holder is taken over without waiting for W (rule 9).
    NoWait,
    /// A released term can be held again when a stale read shows it (rule 6).
    ReleaseNotFinal,
    /// The creation of a lease record whose answer was lost is sent again under the same name (rule 2).
    CreateSentTwice,
    /// A znode of ours that a dead session owns passes for the registration of this session.
    AdoptFromDeadSession,
    /// After a reconnect in the same session, caches list again but do not arm their watches.
    WatchNotRearmed,
    /// That an application has stopped ends the term that runs, whichever it was said of.
    StoppedOfAnyTerm,
    /// What a refused take-over was based on is not read again (rule 9).
    RefusalNotReadAgain,
}

impl Mutation {
    /// All that the explorer finds.
    pub const ALL: [Self; 6] = [
        Self::LeaseFromReply,
        Self::NoWait,
        Self::ReleaseNotFinal,
        Self::CreateSentTwice,
        Self::AdoptFromDeadSession,
        Self::WatchNotRearmed,
    ];

    /// Those that a scenario of the museum is known to find, and the explorer is not, as yet.
    pub const SCRIPTED: [Self; 2] = [Self::StoppedOfAnyTerm, Self::RefusalNotReadAgain];
}

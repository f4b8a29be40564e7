//! What runs have really reached: a check that never saw the state it is about has checked nothing.
//!
//! Source: "sometimes" properties of stateright, and of Antithesis.

use std::fmt;

macro_rules! reached {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A state that a campaign of runs must reach.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reached {
            $($(#[doc = $doc])* $name,)*
        }

        impl Reached {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

reached! {
    /// A node was elected.
    Elected,
    /// A vacant global was claimed.
    Claimed,
    /// A dead holder was replaced because its lease record was gone.
    TakeoverByAbsence,
    /// A dead holder was replaced because it was silent for too long.
    TakeoverBySilence,
    /// A dead holder was vacated by a node that only looks the global up.
    Vacated,
    /// The answer to a claim was lost, and the term was led all the same.
    ClaimLostAndAdopted,
    /// A term was released.
    Released,
    /// A term ended because its lease was not extended in time.
    StopByLeaseEnd,
    /// A term ended because the caller resigned.
    StopByResignation,
    /// The application of a term came to its end by itself.
    FinishedByItself,
    /// An application was not done when its deadline passed.
    StoppedTooLate,
    /// A node that led until its lease ran out led again, and was the same process.
    LapsedAndReturned,
    /// A node led on although it had lost its session.
    LedAcrossSessions,
    /// A paused node woke up after the end of its belief.
    BeliefEndedDuringPause,
    /// A term ended with the process.
    LeaderCrashed,
    /// Two nodes of a run led one global, one after the other.
    HandedOver,
    /// A candidacy was withdrawn.
    Withdrawn,
    /// A registration was made.
    Registered,
    /// A registration was made again in a later session.
    RegisteredAfterExpiry,
    /// A registration had to wait for an ephemeral of a dead session.
    OccupiedByDeadSession,
    /// A registration had to wait for a znode that nobody owns.
    OccupiedByNobody,
    /// An unregistered instance was gone.
    Gone,
    /// A cache became fresh.
    CacheFresh,
    /// A cache became fresh again.
    CacheFreshAgain,
    /// A cache became stale.
    CacheStale,
    /// A cache was told that its directory is empty.
    CacheEmpty,
    /// An instance was gone from a cache of which no event had told, only a list after a gap.
    DeletionSeenByListing,
    /// A node was closed.
    Closed,
    /// The server ended a session by itself.
    SessionExpiredByServer,
    /// A client took its session for expired.
    SessionExpiredLocally,
    /// A client came back to a session that was over.
    SessionRefused,
    /// A client heard nothing on a connection for too long.
    ConnectionSilent,
    /// A gap in the connection was reported when it was over.
    GapNoticedLate,
    /// A request that was submitted while the connection was down was sent when it was back.
    KeptRequestSent,
    /// A write was applied after its sender had left the connection.
    WriteOutlivedItsSender,
    /// A reply was delivered before an event that preceded it.
    ReplyOvertookEvent,
    /// A change of the session's state was delivered before a reply that preceded it.
    StateOvertookReply,
    /// A read of a record of the election showed an older state.
    StaleRead,
    /// A foreign child appeared.
    ForeignChild,
    /// A session began after one of whose end nothing was said.
    SilentNewSession,
    /// The core sent within a session of whose end it had not heard, when the client had the next one.
    SentTooLate,
    /// The sequence numbers of a queue were about to wrap around.
    SequenceNearItsEnd,
    /// Two servers could not talk with each other.
    ServersCut,
    /// A leader of servers was cut off from its followers.
    LeaderCutOff,
    /// Another server came to lead.
    LeaderChanged,
    /// A server crashed.
    ServerCrashed,
}

/// How often each state was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sometimes {
    counts: [u64; Reached::ALL.len()],
}

impl Default for Sometimes {
    fn default() -> Self {
        Self { counts: [0; Reached::ALL.len()] }
    }
}

impl Sometimes {
    pub(super) const fn reach(&mut self, state: Reached) {
        self.counts[state as usize] += 1;
    }

    /// How often a state was reached.
    #[must_use]
    pub const fn count(&self, state: Reached) -> u64 {
        self.counts[state as usize]
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
    }

    /// The states that were never reached.
    pub fn missing(&self) -> impl Iterator<Item = Reached> {
        Reached::ALL.iter().copied().filter(|state| self.count(*state) == 0)
    }
}

impl fmt::Display for Sometimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for state in Reached::ALL {
            writeln!(f, "{:>10}  {state:?}", self.count(*state))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_reached_is_named() {
        let mut one = Sometimes::default();
        one.reach(Reached::Elected);
        let mut both = Sometimes::default();
        both.reach(Reached::Claimed);
        both.merge(&one);
        assert_eq!(both.count(Reached::Elected), 1);
        assert!(!both.missing().any(|state| matches!(state, Reached::Elected | Reached::Claimed)));
        assert_eq!(both.missing().count(), Reached::ALL.len() - 2);
    }
}

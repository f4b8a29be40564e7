//! Guards of the protocol, and the world in which each one is missed when it is taken out.

use queenright_core::mutation::Mutation;

/// What becomes of a guard here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hunt {
    /// A world of that name violates a property without it.
    In(&'static str),
    /// No bounded world finds it, for this reason.
    Not(&'static str),
}

/// Where `guard` is missed.
#[must_use]
pub const fn hunt(guard: Mutation) -> Hunt {
    match guard {
        Mutation::LeaseFromReply => Hunt::In("reply"),
        Mutation::UnansweredBeatCounts => Hunt::In("lapse"),
        Mutation::NoBeat | Mutation::NoWait | Mutation::SilenceNotBroken => Hunt::In("expiry"),
        Mutation::NameNotBurnt
        | Mutation::ClaimAtAnyVersion
        | Mutation::MissingTermNotMade
        | Mutation::ParentsNotMade => Hunt::In("stand"),
        Mutation::NoProofOfLife | Mutation::DeadNameKept => Hunt::In("killed"),
        Mutation::KillAtAnyVersion => Hunt::In("stall"),
        Mutation::UnseenIsDead => Hunt::In("breaks"),
        Mutation::UnknownIsAbsent => Hunt::In("gaps"),
        Mutation::ClaimNotAdopted
        | Mutation::PendingNotWoken
        | Mutation::QueueNotListedAgain
        | Mutation::CandidateForgotten => Hunt::In("resign"),
        Mutation::ReleaseAtAnyVersion => Hunt::In("three"),
        Mutation::AdoptFromDeadSession | Mutation::OldPayloadKept | Mutation::OwnZnodeNotWatched => {
            Hunt::In("lives")
        }
        Mutation::RefusalIsDeletion => Hunt::Not("nobody else writes to the znode of an instance here"),
        Mutation::DeleteForgotten | Mutation::CreationForgotten => Hunt::In("registers"),
        Mutation::WatchNotRearmed | Mutation::LedgerOutlivesConnection => Hunt::In("cache"),
        Mutation::CreateSentTwice => Hunt::Not(
            "nothing that was sent on an earlier connection is applied after the next one is there, as with real servers \
             (SESSION_MOVED): a creation that comes after the deletion of what it made takes an abstract network",
        ),
        Mutation::VacateWithoutKill | Mutation::NobodyVacates => Hunt::Not(
            "nobody looks a global up here without standing for it; it takes three nodes and two leases",
        ),
        Mutation::RefusalNotReadAgain => Hunt::Not(
            "the run without faults heals the holder, so nobody has to be taken over after the refusal",
        ),
        Mutation::NoFloor | Mutation::ReleaseNotFinal | Mutation::ReleaseForgotten => Hunt::Not(
            "a node reads behind a `sync` after each gap, and on one connection reads do not go back: no violation with one \
             node, all losses told at once, nor in the first million states of two nodes that stand, give up and stand again",
        ),
        Mutation::OneTermIsMany => Hunt::Not("all candidacies here are for many terms"),
        Mutation::TermEventIgnored => Hunt::Not(
            "the claim from the event alone goes out all the same, and what follows a refusal is read: no violation in `resign`, \
             `stand` and `three`",
        ),
        Mutation::FailureIsEmpty | Mutation::HearsayIsEmpty => {
            Hunt::Not("what caches say is compared with the tree at rest only, not on the way")
        }
        Mutation::OrphansForgotten => {
            Hunt::Not("losses are told one by one here, those of a lost session, too")
        }
        Mutation::StoppedOfAnyTerm => Hunt::Not("an application here never speaks of a term that is over"),
        Mutation::NoClockRate
        | Mutation::UnusedCacheKept
        | Mutation::BreakAnswersNothing
        | Mutation::EpochNotCounted
        | Mutation::NoPing
        | Mutation::UnwantedTermKept
        | Mutation::LostClaimForgotten
        | Mutation::GoneStillAwaited
        | Mutation::OrphanKept
        | Mutation::RemovedBeforeReplaced
        | Mutation::EventOfAnySession
        | Mutation::SentIntoNextSession
        | Mutation::RefusalIsNoLoss
        | Mutation::OlderPayloadApplied
        | Mutation::OlderViewApplied => Hunt::Not("no world was made for it as yet"),
    }
}

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
        Mutation::UnansweredBeatCounts | Mutation::NoClockRate | Mutation::RefusalNotReadAgain => {
            Hunt::In("lapse")
        }
        Mutation::NoBeat | Mutation::NoWait | Mutation::SilenceNotBroken => Hunt::In("expiry"),
        Mutation::NameNotBurnt
        | Mutation::ClaimAtAnyVersion
        | Mutation::MissingTermNotMade
        | Mutation::ParentsNotMade => Hunt::In("stand"),
        Mutation::NoProofOfLife | Mutation::DeadNameKept => Hunt::In("killed"),
        Mutation::KillAtAnyVersion => Hunt::In("stall"),
        Mutation::UnseenIsDead => Hunt::In("breaks"),
        Mutation::UnknownIsAbsent => Hunt::In("gaps"),
        Mutation::CreateSentTwice | Mutation::OrphansForgotten => Hunt::In("lost"),
        Mutation::VacateWithoutKill => Hunt::In("vacating"),
        Mutation::NobodyVacates => Hunt::In("onlooker"),
        Mutation::TermEventIgnored => Hunt::In("told"),
        Mutation::NoFloor | Mutation::ReleaseNotFinal | Mutation::ReleaseForgotten => Hunt::In("astray"),
        Mutation::UnwantedTermKept => Hunt::In("unwanted"),
        Mutation::LostClaimForgotten => Hunt::In("doubt"),
        Mutation::StoppedOfAnyTerm => Hunt::In("slow"),
        Mutation::OneTermIsMany => Hunt::In("once"),
        Mutation::ClaimNotAdopted
        | Mutation::PendingNotWoken
        | Mutation::QueueNotListedAgain
        | Mutation::CandidateForgotten => Hunt::In("resign"),
        Mutation::ReleaseAtAnyVersion => Hunt::In("three"),
        Mutation::GoneStillAwaited => Hunt::In("joins"),
        Mutation::OrphanKept => Hunt::In("given-up"),
        Mutation::AdoptFromDeadSession | Mutation::OldPayloadKept | Mutation::OwnZnodeNotWatched => {
            Hunt::In("lives")
        }
        Mutation::RefusalIsDeletion => Hunt::In("written"),
        Mutation::DeleteForgotten | Mutation::CreationForgotten => Hunt::In("registers"),
        Mutation::WatchNotRearmed | Mutation::LedgerOutlivesConnection => Hunt::In("cache"),
        Mutation::FailureIsEmpty | Mutation::UnusedCacheKept => Hunt::In("unheard"),
        Mutation::RemovedBeforeReplaced | Mutation::HearsayIsEmpty => Hunt::In("instead"),
        Mutation::EventOfAnySession => {
            Hunt::Not("an event does not outlive its connection here, as the port may let it")
        }
        Mutation::BreakAnswersNothing
        | Mutation::EpochNotCounted
        | Mutation::SentIntoNextSession
        | Mutation::NoPing
        | Mutation::RefusalIsNoLoss => {
            Hunt::Not("a guard of the client, in whose place nodes here have a connection of the checker")
        }
        Mutation::OlderPayloadApplied | Mutation::OlderViewApplied => {
            Hunt::Not("no node caches here what a server shows that is behind")
        }
    }
}

//! Guards that tests take out, one at a time, to see the checkers fail.

use serde::{Deserialize, Serialize};

macro_rules! mutations {
    (
        found { $($(#[doc = $doc:literal])* $name:ident,)* }
        sought { $($(#[doc = $sought_doc:literal])* $sought:ident,)* }
        spare { $($(#[doc = $spare_doc:literal])* $spare:ident,)* }
    ) => {
        /// A guard of the protocol. With the crate's feature `mutations`, `Config::mutation` takes one of them out;
        /// without it there is no such field, and every guard stands.
        ///
        /// Rules by number are those of ARCHITECTURE.md, "The election".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Mutation {
            $($(#[doc = $doc])* $name,)*
            $($(#[doc = $sought_doc])* $sought,)*
            $($(#[doc = $spare_doc])* $spare,)*
        }

        impl Mutation {
            /// All that the explorer finds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Those that the explorer has not found as yet: what is wrong then is too rare.
            pub const SOUGHT: &'static [Self] = &[$(Self::$sought,)*];

            /// Those that nobody misses alone: what is said of each says what else does their work.
            pub const SPARE: &'static [Self] = &[$(Self::$spare,)*];

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    $(Self::$sought => stringify!($sought),)*
                    $(Self::$spare => stringify!($spare),)*
                }
            }

            /// What is wrong then, in a sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim_ascii(),)*
                    $(Self::$sought => concat!($($sought_doc,)*).trim_ascii(),)*
                    $(Self::$spare => concat!($($spare_doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

mutations! {
    found {
        /// A lease is counted from the reply of a beat instead of from its sending (rule 3).
        LeaseFromReply,
        /// A beat counts also when nobody can tell whether it was applied (rule 3).
        UnansweredBeatCounts,
        /// Holders do not beat (rule 3).
        NoBeat,
        /// The creation of a lease record whose answer was lost is sent again under the same name (rule 2).
        CreateSentTwice,
        /// A name whose creation failed, or whose record is gone, is drawn again (rule 2).
        NameNotBurnt,
        /// A claim says nothing of the lease under which it is made (rule 7).
        NoProofOfLife,
        /// That a claim finds no lease record of this node's own is not taken for its death (rule 14).
        DeadNameKept,
        /// A vacant term is claimed at whatever version it is by now (rule 7).
        ClaimAtAnyVersion,
        /// A silent holder's record is deleted at whatever version it is by now (rule 9).
        KillAtAnyVersion,
        /// Who vacates a silent holder's term leaves its record alive (rule 9).
        VacateWithoutKill,
        /// Who only looks a global up never vacates it (rule 9).
        NobodyVacates,
        /// A silent holder is taken over without waiting for W (rule 9).
        NoWait,
        /// Who waits out a silence allows for no difference in the rates of clocks (rule 9).
        NoClockRate,
        /// A newer version of a holder's record does not end its silence (rule 8).
        SilenceNotBroken,
        /// A holder whose record was not read yet is taken for dead (rule 9).
        UnseenIsDead,
        /// A holder is taken for dead when nobody can tell whether its record is there (rule 8).
        UnknownIsAbsent,
        /// What a refused take-over was based on is not read again (rule 9).
        RefusalNotReadAgain,
        /// An older view of a term is believed (rule 5).
        NoFloor,
        /// What a read shows of this node's own terms is ignored, also when the answer of a claim was lost (rule 5).
        ClaimNotAdopted,
        /// A term that this node holds and does not want is kept (rule 10).
        UnwantedTermKept,
        /// A claim whose answer was lost is forgotten (rule 10).
        LostClaimForgotten,
        /// A released term can be held again when a stale read shows it (rule 6).
        ReleaseNotFinal,
        /// What was released is forgotten with the global, while the lease lasts (rule 6).
        ReleaseForgotten,
        /// A term is released at whatever version it is by now (rule 6).
        ReleaseAtAnyVersion,
        /// That an application has stopped ends the term that runs, whichever it was said of.
        StoppedOfAnyTerm,
        /// A term that waits for the lease to be extended is not told when it is (rule 4).
        PendingNotWoken,
        /// A candidacy for one term goes on after it.
        OneTermIsMany,
        /// A term record that is not there is not made (rule 14).
        MissingTermNotMade,
        /// A term that has changed is not read again.
        TermEventIgnored,
        /// After a reconnect in the same session the queue is not listed again.
        QueueNotListedAgain,
        /// A candidate in front that was gone before it could be watched is waited for (rule 11).
        GoneStillAwaited,
        /// A candidate whose deletion failed is forgotten.
        CandidateForgotten,
        /// A znode of ours that a dead session owns passes for the registration of this session.
        AdoptFromDeadSession,
        /// Whatever payload is found passes for the one that is wanted.
        OldPayloadKept,
        /// Nobody watches the znode of a registration.
        OwnZnodeNotWatched,
        /// A registration whose deletion was under way when the connection broke is forgotten.
        DeleteForgotten,
        /// A registration that is withdrawn while it is being made is forgotten.
        CreationForgotten,
        /// A deletion that was refused, for the znode had changed, passes for done.
        RefusalIsDeletion,
        /// After a reconnect in the same session, caches list again but do not arm their watches.
        WatchNotRearmed,
        /// A list that nobody answered passes for an empty one.
        FailureIsEmpty,
        /// That a directory is empty is told by word of an event and of a read, of two times.
        HearsayIsEmpty,
        /// What went from a directory is taken out before the one that came in its place is known.
        RemovedBeforeReplaced,
        /// A cache that nobody wants any more goes on.
        UnusedCacheKept,
        /// Requests that a session took with it are never answered.
        OrphansForgotten,
        /// Events of sessions that are over count.
        EventOfAnySession,
        /// Watches are taken for armed on every later connection.
        LedgerOutlivesConnection,
        /// Directories that are not there are not made.
        ParentsNotMade,
        /// The client leaves requests unanswered that were under way when the connection broke.
        BreakAnswersNothing,
        /// The client does not tell one session from the next.
        EpochNotCounted,
        /// The client sends what the core meant for an earlier session.
        SentIntoNextSession,
        /// The client sends no pings.
        NoPing,
        /// The client keeps a session that the server has refused.
        RefusalIsNoLoss,
    }
    sought {
    }
    spare {
        /// Candidates of this node that are not its candidate are left in the queue (rule 11). In one session there are none: a
        /// creation in doubt is looked for behind a fence. One of an earlier session goes with that; until then, for a session's
        /// timeout at most, others wait for it in vain, and sparing them that is what the guard is for. The exhaustive checker
        /// misses it, where a session is given up that lives on.
        OrphanKept,
        /// An older payload takes the place of a newer one. Answers come in order, a server turns away a client that has seen more
        /// than itself, and a session begins with a write that its server has applied. So an older one takes a client that does
        /// not say what it has seen, or a session that no leader was asked for.
        OlderPayloadApplied,
        /// A view that is older than one seen before is applied. As with payloads, servers see to that; the election does not
        /// rely on it.
        OlderViewApplied,
    }
}

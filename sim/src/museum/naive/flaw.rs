//! What a naive machine gets wrong.

/// One thing that somebody's code once did. The names of the museum's entries say where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Effects of a leader carry nothing that proves its term.
    NoTokens,
    /// A leader gives up only when it is told that its session is over.
    RevokesOnlyOnLost,
    /// A leader never gives up by itself: holding is a flag.
    NeverRevokes,
    /// An answer grants leadership whatever happened since the question.
    LateReplyGrants,
    /// A leader does not watch its own znode.
    IgnoresOwnDeletion,
    /// The token is that of whatever znode the node has when somebody asks.
    TokenOfLatestZnode,
    /// Candidates are ordered by their whole names.
    SortsByName,
    /// Every look at the queue that shows it first elects it, again.
    ElectsAgain,
    /// The name is free before the work has stopped.
    FreesBeforeStopping,
    /// Who cannot reach the ensemble leads what is on its side.
    LeadsWhenAlone,
    /// Where the leader is stands in a znode of its own.
    AddressElsewhere,
    /// A candidate takes itself for the leader when it looks the global up.
    FollowerIsItsOwnLeader,
    /// It is elected by the list alone, and looks at its own znode afterwards.
    ElectsBeforeVerifying,
    /// What was elected outlives whoever elected it.
    LeaderOutlivesController,
    /// Candidates' names do not say whose they are: a creation whose answer was lost is made again.
    NoGuid,
    /// A withdrawal that failed is not tried again.
    DeleteForgotten,
    /// A predecessor that is gone when it is to be watched ends the attempt.
    PredecessorGoneAborts,
    /// Whenever the queue changes while its place in it is not settled, it deletes what it has and begins anew.
    ResetsWhenSelfMissing,
    /// After a reconnect it relies on the watches from before.
    TrustsOldWatches,
    /// Any error ends the candidacy, silently.
    GivesUpOnError,
    /// A missing directory is only logged.
    MissingDirectoryIsLogged,
    /// Its own znode is not in the list: lists again, at once.
    ListsInCircles,
    /// Children that are no candidates are waited for.
    WaitsForForeignChildren,
    /// Candidates behind count as candidates in front.
    WaitsForThoseBehind,
    /// Everybody watches the first candidate.
    EverybodyWatchesTheFirst,
    /// Leadership is given up at every suspension.
    FlapsOnSuspend,
    /// Who declines leadership never stands again.
    DeclinedForEver,
    /// The leader is looked for by a list and a read, and what is gone between them is an error.
    LookupRaceIsAnError,
    /// A look-up's cache is cleared under another key than it is filled.
    WrongKey,
    /// A list without itself, or an error instead of a list, kills the node.
    SelflessListKills,
    /// A znode that is there is an error.
    NodeExistsIsFailure,
    /// A znode that is there is fine, whoever owns it.
    NodeExistsIsFine,
    /// Registers again by deleting and creating, after every reconnect.
    DeletesAndRecreates,
    /// Registers again with what was registered first.
    FirstPayloadForEver,
    /// A deletion goes by path alone, whoever owns what is there.
    DeletesByPath,
    /// Closing does not wait for a creation that is under way.
    CloseIgnoresCreation,
    /// What is deleted by hand stays away.
    NotWatched,
    /// Members always count themselves in.
    CountsItselfIn,
    /// Only the first registration is made again in a new session.
    OnlyFirstRegisteredAgain,
    /// Parents are made once, before the first creation.
    ParentsOnce,
    /// A refusal is followed by another attempt at once.
    RetriesAtOnce,
    /// The znode of a new session is named after that of the one before.
    NameGrows,
    /// A missing directory is cached as empty, without a watch.
    AbsenceWithoutWatch,
    /// Errors are answered with an empty directory.
    ErrorIsEmpty,
    /// A child that vanishes while it is read makes the whole answer empty.
    VanishedChildEmptiesAll,
    /// What is cached is told as fresh while nothing watches it.
    StaleIsToldAsFresh,
    /// A load that failed counts as done.
    FailedLoadIsDone,
    /// Empty until loaded, and told as true.
    ReadyBeforeLoaded,
    /// The last answer to arrive counts, whichever it is.
    LastAnswerWins,
    /// A payload that makes no sense ends the whole directory.
    PoisonKills,
    /// Entries are dropped after a while, although a watch keeps them true.
    EntriesExpire,
    /// A session's end is no event for those who wait for one.
    LostIsNoEvent,
    /// Answers and events after the end are acted upon.
    ActsAfterClose,
    /// Each reconnect adds another watcher, and each watcher reads.
    WatchersMultiply,
    /// The end of a connection is the end of the node.
    ExpiryKills,
    /// Only the first of several connects is expected.
    ThirdConnectBlocks,
    /// An answer that never came means that it did not happen.
    UnknownIsFailure,
    /// Whoever is in front is waited for, for ever.
    WaitsForEver,
    /// Withdrawing an instance changes nothing in the tree.
    UnregisterIgnored,
    /// The watch is armed behind the read, not with it.
    RearmsAfterReading,
    /// What happens while a load is under way is not looked at.
    IgnoresEventsWhileLoading,
    /// Giving up one watch gives up all that are near it.
    WatchesAreShared,
    /// Beyond some number of changes of the session's state, the rest is dropped.
    StatesDropped,
    /// A session that is told of is believed in, however old.
    BelievesEveryEpoch,
    /// Parents are made first, and that they cannot be is an error.
    ParentsFirst,
}

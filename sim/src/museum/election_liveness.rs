//! Nobody leads although somebody could, or somebody works itself to death.

use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::{Holder, Terms};

use super::{Entry, Flaw, foreign, naive, without};
use crate::scenario::{Kind, L, Museum, T, Which};

const LEADERS: &str = "leaders";
const OWNERS: &str = "owners";
const REQUESTS: &str = "bounded requests";
const STABILITY: &str = "stability";
const QUEUE: &str = "/queenright/globals/boss/queue";
const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(200);

pub(super) const ENTRIES: &[Entry] = &[
    naive("lost-reply-orphan-candidate", "R", lost_reply_orphan_candidate, Flaw::NoGuid, OWNERS),
    naive(
        "cancelled-acquire-leaves-node",
        "R/O/X",
        cancelled_acquire_leaves_node,
        Flaw::DeleteForgotten,
        OWNERS,
    ),
    naive(
        "predecessor-gone-before-watch",
        "R/S",
        predecessor_gone_before_watch,
        Flaw::PredecessorGoneAborts,
        LEADERS,
    ),
    naive("mutual-reset-livelock", "R", mutual_reset_livelock, Flaw::ResetsWhenSelfMissing, REQUESTS),
    naive("suspend-resume-lost-wakeup", "R", suspend_resume_lost_wakeup, Flaw::TrustsOldWatches, LEADERS),
    naive("requeue-lost", "R", requeue_lost, Flaw::GivesUpOnError, LEADERS),
    naive("election-dir-missing", "R", election_dir_missing, Flaw::MissingDirectoryIsLogged, LEADERS),
    naive("elected-but-thinks-follower", "R", elected_but_thinks_follower, Flaw::GivesUpOnError, LEADERS),
    naive("single-notification-trusted", "R", single_notification_trusted, Flaw::TrustsOldWatches, LEADERS),
    naive("not-in-list-hot-loop", "R", not_in_list_hot_loop, Flaw::ListsInCircles, REQUESTS),
    foreign(
        "wedged-leader-with-live-session",
        "O",
        "a process that stalls does not beat, and is deposed; that an application stalls in a process that does not, is for \
         its host to notice: it says `Stopped`, or resigns",
    ),
    naive(
        "declined-leadership-never-rejoins",
        "R",
        declined_leadership_never_rejoins,
        Flaw::DeclinedForEver,
        LEADERS,
    ),
    naive(
        "foreign-child-in-election-dir",
        "R/O",
        foreign_child_in_election_dir,
        Flaw::WaitsForForeignChildren,
        LEADERS,
    ),
    naive(
        "higher-sequence-counted-as-blocker",
        "R",
        higher_sequence_counted_as_blocker,
        Flaw::WaitsForThoseBehind,
        LEADERS,
    ),
    naive("wrong-predecessor-spin", "R", wrong_predecessor_spin, Flaw::EverybodyWatchesTheFirst, REQUESTS),
    naive("flap-on-every-suspend", "O", flap_on_every_suspend, Flaw::FlapsOnSuspend, STABILITY),
    without("stale-cache-cas-loop", "R", stale_cache_cas_loop, Mutation::RefusalNotReadAgain, REQUESTS),
    without(
        "double-change-drops-handlers",
        "R",
        double_change_drops_handlers,
        Mutation::StoppedOfAnyTerm,
        "alternation",
    ),
    naive("leader-query-race", "R/S", leader_query_race, Flaw::LookupRaceIsAnError, LEADERS),
    naive(
        "original-failed-election-forgets-candidate",
        "S",
        original_failed_election_forgets_candidate,
        Flaw::GivesUpOnError,
        LEADERS,
    ),
    naive("original-waits-behind-own-orphan", "S", original_waits_behind_own_orphan, Flaw::NoGuid, LEADERS),
    naive(
        "original-empty-or-selfless-list-crashes-node",
        "S",
        original_empty_or_selfless_list_crashes_node,
        Flaw::SelflessListKills,
        LEADERS,
    ),
    naive(
        "original-reap-failure-blocks-election",
        "S",
        original_reap_failure_blocks_election,
        Flaw::DeleteForgotten,
        LEADERS,
    ),
];

fn lost_reply_orphan_candidate(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create(QUEUE, b"");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    m.settle();
}

fn cancelled_acquire_leaves_node(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    for node in [a, b, c] {
        m.campaign(node, "boss");
        m.run(SECOND);
    }
    // B changes its mind; that it did gets lost.
    m.drop_request(b, Which::new(Kind::Delete, "boss"));
    m.resign(b, "boss");
    m.until_sprung(b);
    m.settle();
    m.crash(a);
    m.until_leads(c, "boss");
}

fn predecessor_gone_before_watch(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    // B has the list; before its watch arrives, A is gone.
    m.hold_reply(b, Which::new(Kind::List, "boss"));
    m.campaign(b, "boss");
    m.until_sprung(b);
    m.run(SECOND);
    m.crash(a);
    m.run(2 * T);
    m.release(b);
    m.settle();
    m.expect_leader(b, "boss");
}

fn mutual_reset_livelock(m: &mut Museum) {
    let nodes = [m.node("A"), m.node("B"), m.node("C")];
    for node in nodes {
        m.campaign(node, "boss");
    }
    m.until_somebody_leads("boss");
    for (node, far) in nodes.into_iter().zip([2, 3, 5]) {
        m.distance(node, Duration::from_millis(far));
        m.blip(node);
    }
    // All of them come back together, and look for their candidates.
    m.settle();
}

fn suspend_resume_lost_wakeup(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(b);
    m.resign(a, "boss");
    m.run(T * 9 / 10);
    m.heal(b);
    m.settle();
    m.expect_leader(b, "boss");
}

fn requeue_lost(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.expire(b);
    m.run(SECOND);
    m.expire(a);
    m.run(SECOND);
    m.blip(b);
    m.settle();
    m.crash(a);
    m.until_leads(b, "boss");
}

fn election_dir_missing(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(a);
    m.cut(b);
    m.run(SECOND);
    m.admin_delete("/queenright/globals");
    m.heal(a);
    m.heal(b);
    m.settle();
}

fn elected_but_thinks_follower(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // B wins, and does not hear of it: a claim for those that have terms, a look at the queue for those that have not.
    m.drop_reply(b, Which::new(Kind::Multi, "boss"));
    m.drop_reply(b, Which::new(Kind::List, "boss"));
    m.resign(a, "boss");
    m.settle();
    m.expect_leader(b, "boss");
}

fn single_notification_trusted(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // The one event that tells B is lost on the way.
    m.hold_events(b);
    m.resign(a, "boss");
    m.run(SECOND);
    m.blip(b);
    m.run(SECOND);
    m.release(b);
    m.settle();
    m.expect_leader(b, "boss");
}

fn not_in_list_hot_loop(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    for node in [a, b, c] {
        m.campaign(node, "boss");
        m.run(SECOND);
    }
    for znode in m.ephemerals_of(b, "/boss/queue/") {
        m.admin_delete(&znode);
    }
    m.blip(b);
    m.run(SECOND);
    m.blip(c);
    m.settle();
}

fn declined_leadership_never_rejoins(m: &mut Museum) {
    let a = m.node("A");
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    // Its application cannot begin, and says so by coming to an end.
    m.finish(a, "boss");
    m.settle();
    m.expect_leader(a, "boss");
}

fn foreign_child_in_election_dir(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.admin_create(&format!("{QUEUE}/README"), b"hands off");
    m.admin_create(&format!("{QUEUE}/x.1-y"), b"");
    m.campaign(a, "boss");
    m.campaign(b, "boss");
    m.settle();
    let told = m.degraded(a).iter().any(|reason| reason.contains("README") || reason.contains("x.1-y"));
    m.expect(LEADERS, told, "what is in the way must be told");
}

fn higher_sequence_counted_as_blocker(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.blip(a);
    m.blip(b);
    m.settle();
}

fn wrong_predecessor_spin(m: &mut Museum) {
    let nodes: Vec<_> = (0..24).map(|number| m.node(&format!("N{number}"))).collect();
    for node in &nodes {
        m.campaign(*node, "boss");
        m.run(MOMENT);
    }
    m.settle();
    let before: u64 = nodes.iter().map(|node| m.requests_of(*node)).sum();
    for pair in nodes.windows(2).take(8) {
        m.resign(pair[0], "boss");
        m.until_leads(pair[1], "boss");
    }
    let after: u64 = nodes.iter().map(|node| m.requests_of(*node)).sum();
    let spent = after - before;
    m.expect(REQUESTS, spent <= 160, &format!("eight departures cost {spent} requests"));
}

fn flap_on_every_suspend(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    for _ in 0..10 {
        m.blip(a);
        m.run(SECOND);
    }
    m.settle();
    let elections = m.elections_of(a) + m.elections_of(b);
    m.expect(STABILITY, elections == 1, &format!("ten blips led to {elections} elections"));
}

fn stale_cache_cas_loop(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // B does not see A's beats, and takes it for dead: its take-over is refused, for what it knows is old.
    m.hold_events(b);
    m.run(3 * L);
    m.expect_leader(a, "boss");
    m.release(b);
    m.settle();
}

fn double_change_drops_handlers(m: &mut Museum) {
    let a = m.node("A");
    m.stop_takes(a, Some(2 * L));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.run(SECOND);
    // The term ends, another one begins, and only then the first one's application has stopped.
    m.cut(a);
    m.until_follows(a, "boss");
    m.run(SECOND);
    m.heal(a);
    m.until_leads(a, "boss");
    m.stop_takes(a, Some(Duration::ZERO));
    m.run(2 * L);
    m.expect_leader(a, "boss");
    m.settle();
}

fn leader_query_race(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.until_connected(c);
    // C has read who it is, and asks after them when they are gone.
    m.hold_reply(c, Which::new(Kind::List, "boss"));
    m.look_up(c, "boss");
    m.run(SECOND);
    m.expire(a);
    m.crash(a);
    m.run(T);
    m.release(c);
    m.settle();
    let is_held = matches!(m.holder(c, "boss"), Some(Holder::Held { .. }));
    m.expect(LEADERS, is_held, "C must know who leads");
}

fn original_failed_election_forgets_candidate(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create(QUEUE, b"");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::List, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    m.settle();
    m.expect_leader(a, "boss");
}

fn original_waits_behind_own_orphan(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create(QUEUE, b"");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    // The user tries again.
    m.campaign_with(a, "boss", "A", Terms::Many);
    m.until_leads(a, "boss");
    m.settle();
    let candidates = m.ephemerals_of(a, "/boss/queue/").len();
    m.expect(OWNERS, candidates <= 1, "one candidacy has more than one candidate");
}

fn original_empty_or_selfless_list_crashes_node(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    for znode in m.ephemerals_of(b, "/boss/queue/") {
        m.admin_delete(&znode);
    }
    m.crash(a);
    m.until_leads(b, "boss");
    m.settle();
}

fn original_reap_failure_blocks_election(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // What A runs comes to its end while nobody can be told.
    m.cut(a);
    m.resign(a, "boss");
    m.run(L);
    m.heal(a);
    m.run(T);
    m.until_leads(b, "boss");
    m.settle();
}

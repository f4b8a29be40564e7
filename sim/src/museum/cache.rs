//! Caches that lie: empty by failure, out of date without a word, or for ever.

use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::{
    Config, Coordinator, Freshness, Incarnation, Input, Instant, Name, SessionEpoch, SessionEvent, SessionId,
};

use super::naive::Naive;
use super::past::{Journey, travels_in_time};
use super::{Entry, Flaw, alone, foreign, naive, without};
use crate::checkers::Violation;
use crate::scenario::{Call, Kind, Machine, Museum, T, Which, nodes, service};

const CACHES: &str = "caches";
const REGISTRATIONS: &str = "registrations";
const LEADERS: &str = "leaders";
const SECOND: Duration = Duration::from_secs(1);

pub(super) const ENTRIES: &[Entry] = &[
    naive(
        "exists-watch-misses-create-delete",
        "D",
        exists_watch_misses_create_delete,
        Flaw::TrustsOldWatches,
        CACHES,
    ),
    naive("oneshot-gap-coalesces", "D", oneshot_gap_coalesces, Flaw::RearmsAfterReading, CACHES),
    naive(
        "child-vanishes-during-load",
        "R/S",
        child_vanishes_during_load,
        Flaw::VanishedChildEmptiesAll,
        CACHES,
    ),
    without("persistent-watch-no-replay", "O", persistent_watch_no_replay, Mutation::WatchNotRearmed, CACHES),
    naive(
        "stale-while-disconnected-silently",
        "O/S",
        stale_while_disconnected_silently,
        Flaw::StaleIsToldAsFresh,
        CACHES,
    ),
    naive("flush-to-empty-on-error", "S/R", flush_to_empty_on_error, Flaw::ErrorIsEmpty, CACHES),
    naive("silent-initial-load-failure", "R/X", silent_initial_load_failure, Flaw::FailedLoadIsDone, CACHES),
    naive("ready-before-loaded", "R", ready_before_loaded, Flaw::ReadyBeforeLoaded, CACHES),
    naive("load-vs-event-race", "R", load_vs_event_race, Flaw::IgnoresEventsWhileLoading, CACHES),
    alone(
        "inflight-read-overwrites-newer",
        "X",
        newer_stays,
        older_overwrites,
        "naive machine `LastAnswerWins`",
        CACHES,
    ),
    naive(
        "negative-cache-without-watch",
        "S",
        negative_cache_without_watch,
        Flaw::AbsenceWithoutWatch,
        CACHES,
    ),
    naive("invalidation-under-wrong-key", "S", invalidation_under_wrong_key, Flaw::WrongKey, LEADERS),
    naive("ttl-on-watch-backed-cache", "R", ttl_on_watch_backed_cache, Flaw::EntriesExpire, CACHES),
    naive("watch-mode-clash", "R", watch_mode_clash, Flaw::WatchesAreShared, REGISTRATIONS),
    naive("watches-vanish-on-suspend", "R", watches_vanish_on_suspend, Flaw::TrustsOldWatches, CACHES),
    naive(
        "server-lost-watch-after-restart",
        "R",
        server_lost_watch_after_restart,
        Flaw::TrustsOldWatches,
        CACHES,
    ),
    naive("no-event-on-session-loss", "R", no_event_on_session_loss, Flaw::LostIsNoEvent, CACHES),
    foreign(
        "out-of-band-faster-than-cache",
        "D",
        "messages between nodes are not ordered with what the ensemble says; who has heard of an instance by a message has its \
         pid from there, too",
    ),
    alone(
        "callback-after-close",
        "R",
        closed_is_silent,
        closed_is_not_silent,
        "naive machine `ActsAfterClose`",
        "alternation",
    ),
    naive("poison-payload-kills-discovery", "R/S", poison_payload_kills_discovery, Flaw::PoisonKills, CACHES),
];

fn exists_watch_misses_create_delete(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "v1");
    m.until_registered(b, id);
    m.run(SECOND);
    m.cut(a);
    // It goes, it comes, and it is another one.
    m.unregister(b, id);
    m.run(SECOND);
    m.register(b, "x", "b", "v2");
    m.run(T / 2);
    m.heal(a);
    m.settle();
}

fn oneshot_gap_coalesces(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.until_connected(a);
    m.distance(a, Duration::from_millis(100));
    m.subscribe(a, service("x"));
    m.run(Duration::from_millis(150));
    // A's read has been answered; what it does next has not arrived yet.
    m.register(b, "x", "c", "");
    m.settle();
}

fn child_vanishes_during_load(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    let id = m.register(b, "x", "b", "1");
    m.until_registered(b, id);
    let id = m.register(c, "x", "c", "2");
    m.until_registered(c, id);
    m.hold_reply(a, Which::new(Kind::List, "/x"));
    m.subscribe(a, service("x"));
    m.until_sprung(a);
    m.run(SECOND);
    m.expire(b);
    m.crash(b);
    m.release(a);
    m.settle();
    let seen = m.instances(a, &service("x"));
    m.expect(CACHES, seen == ["c"], "one that vanished must not take the others along");
}

fn persistent_watch_no_replay(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    m.blip(a);
    m.run(SECOND);
    m.register(b, "x", "b", "");
    m.settle();
}

fn stale_while_disconnected_silently(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.run(SECOND);
    m.cut(a);
    m.crash(b);
    m.run(2 * T);
    let is_stale = matches!(m.freshness(a, &service("x")), Some(Freshness::Stale { .. }));
    m.expect(CACHES, is_stale, "what nobody watches must not be told as fresh");
    let seen = m.instances(a, &service("x"));
    m.expect(CACHES, seen == ["b"], "what was known last must be told");
    m.heal(a);
    m.settle();
}

fn flush_to_empty_on_error(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.run(SECOND);
    m.cut(a);
    m.run(T * 9 / 10);
    let seen = m.instances(a, &service("x"));
    m.expect(CACHES, seen == ["b"], "a failure emptied the directory");
    m.heal(a);
    m.settle();
}

fn silent_initial_load_failure(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::List, "/x"));
    m.subscribe(a, service("x"));
    m.until_sprung(a);
    m.settle();
}

fn ready_before_loaded(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.subscribe(a, service("x"));
    let is_loading = m.freshness(a, &service("x")) == Some(Freshness::Loading);
    m.expect(CACHES, is_loading, "nothing is known yet, and that must be told");
    m.settle();
}

fn load_vs_event_race(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register(b, "x", "b", "v1");
    m.until_registered(b, id);
    m.until_connected(a);
    m.distance(a, Duration::from_millis(50));
    m.subscribe(a, service("x"));
    m.run(Duration::from_millis(120));
    // A has the list, and waits for what is in it.
    m.register(b, "x", "c", "");
    m.settle();
}

fn negative_cache_without_watch(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    m.register(b, "x", "b", "");
    m.run(SECOND);
    m.blip(a);
    m.settle();
}

fn invalidation_under_wrong_key(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.look_up(c, "boss");
    m.run(SECOND);
    m.crash(a);
    m.until_leads(b, "boss");
    m.settle();
}

fn ttl_on_watch_backed_cache(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "");
    m.until_registered(b, id);
    m.run(10 * T);
    let seen = m.instances(a, &service("x"));
    m.expect(CACHES, seen == ["b"], "what is watched was forgotten");
    m.settle();
}

fn watch_mode_clash(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    m.unsubscribe(a, &service("x"));
    m.run(SECOND);
    // The registration's own watch is still armed.
    m.admin_delete("/queenright/services/x/a+");
    m.settle();
}

fn watches_vanish_on_suspend(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, nodes());
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    m.blip(a);
    m.run(SECOND);
    m.register(b, "x", "b", "v1");
    m.register_in(b, nodes(), "B", "");
    m.settle();
}

fn server_lost_watch_after_restart(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "v1");
    m.until_registered(b, id);
    m.run(SECOND);
    // Everybody loses the connection; the change falls into the gap.
    m.cut(a);
    m.blip(a);
    m.blip(b);
    m.admin_set("/queenright/services/x/b+", b"v2");
    m.run(SECOND);
    m.heal(a);
    m.run(SECOND);
    m.update(b, id, "v3");
    m.settle();
}

fn no_event_on_session_loss(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    m.expire(a);
    m.run(SECOND);
    m.register(b, "x", "b", "");
    m.settle();
}

fn poison_payload_kills_discovery(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    let id = m.register(b, "x", "b", "good");
    m.until_registered(b, id);
    m.admin_create("/queenright/services/x/bad+", &[0xff, 0xfe, 0x00]);
    m.admin_create("/queenright/services/x/+", &[1]);
    m.settle();
    let seen = m.instances(a, &service("x"));
    m.expect(CACHES, seen.contains(&"b".to_owned()), "a bad instance took a good one along");
}

fn newer_stays() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    let mut core = Coordinator::new(Config::new(name, Incarnation(1)), Instant::ORIGIN)
        .map_err(|error| Violation::new("configuration", error.to_string()))?;
    travels_in_time(&mut core, Journey::OtherServer)
}

fn older_overwrites() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    travels_in_time(&mut Naive::new(Flaw::LastAnswerWins, name, Incarnation(1)), Journey::OtherServer)
}

/// What a machine says that was closed and hears of a new connection.
fn hears_after_close(machine: &mut dyn Machine) -> Result<(), Violation> {
    let now = Instant::from_millis(1);
    let connected = |epoch| {
        Input::Session(SessionEvent::Connected { session_epoch: SessionEpoch(epoch), session: SessionId(7) })
    };
    machine.handle_input(now, connected(1));
    let closed = machine.call(now, Call::Close);
    while machine.poll_output().is_some() {}
    let subscribed = machine.call(now, Call::Subscribe(nodes()));
    machine.handle_input(now, connected(2));
    machine.handle_timeout(Instant::from_millis(60_000));
    match machine.poll_output() {
        None if closed.is_ok() && subscribed.is_err() => Ok(()),
        None => Err(Violation::new("refused calls", format!("close: {closed:?}, after it: {subscribed:?}"))),
        Some(output) => Err(Violation::new("alternation", format!("{output:?} after Closed"))),
    }
}

fn closed_is_silent() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    let mut core = Coordinator::new(Config::new(name, Incarnation(1)), Instant::ORIGIN)
        .map_err(|error| Violation::new("configuration", error.to_string()))?;
    hears_after_close(&mut core)
}

fn closed_is_not_silent() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    hears_after_close(&mut Naive::new(Flaw::ActsAfterClose, name, Incarnation(1)))
}

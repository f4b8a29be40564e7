//! What callers do wrong, and should not be able to.

use std::time::Duration;

use queenright_core::{Config, Coordinator, Event, Incarnation, Instant, Misuse, Name, Output, Terms};

use super::naive::Naive;
use super::{Entry, Flaw, alone, cannot, naive};
use crate::checkers::Violation;
use crate::scenario::{Call, Kind, L, Machine, Museum, T, Which, nodes};

const GUARD: &str = "guarded resource";
const LEADERS: &str = "leaders";
const OWNERS: &str = "owners";
const REGISTRATIONS: &str = "registrations";
const CALLS: &str = "refused calls";
const SECOND: Duration = Duration::from_secs(1);

pub(super) const ENTRIES: &[Entry] = &[
    naive("check-then-act", "D", check_then_act, Flaw::NoTokens, GUARD),
    naive("leadership-as-one-shot", "O", leadership_as_one_shot, Flaw::NeverRevokes, LEADERS),
    cannot(
        "dropped-handle-keeps-leading",
        "R",
        "in io, dropping a `Leadership` or a `Candidacy` resigns; core keeps what is left of it until it is gone",
    ),
    naive("cancel-while-suspended", "O", cancel_while_suspended, Flaw::DeleteForgotten, OWNERS),
    alone(
        "subscribe-after-start-misses-state",
        "R",
        who_comes_later_is_told,
        who_comes_later_is_not_told,
        "naive machine `WaitsForEver`",
        "caches",
    ),
    cannot(
        "blocking-call-in-callback",
        "R",
        "there are no callbacks: events are data, and no client comes with them",
    ),
    alone(
        "reentrancy-and-reuse",
        "R",
        misuse_is_refused,
        misuse_is_accepted,
        "naive machine `WaitsForEver`",
        CALLS,
    ),
    cannot(
        "unvalidated-name",
        "S/R",
        "`Name::new` refuses what is not one element of a path, and nothing else makes a `Name`",
    ),
    naive(
        "original-error-path-never-replies",
        "S",
        original_error_path_never_replies,
        Flaw::UnknownIsFailure,
        REGISTRATIONS,
    ),
];

fn check_then_act(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // "if leader() { pause; act() }"
    m.act(a, "boss", 3 * T);
    m.cut(a);
    m.until_leads(b, "boss");
    m.act(b, "boss", Duration::ZERO);
    m.run(3 * T);
    let (accepted, rejected) = m.effects();
    m.expect(GUARD, (accepted, rejected) == (1, 1), "B's effect must be accepted, and A's rejected");
}

fn leadership_as_one_shot(m: &mut Museum) {
    let a = m.node("A");
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.cut(a);
    m.run(2 * L);
    let told = m.stops_of(a).len();
    m.expect(LEADERS, told == 1, "who was elected must be told of the end, too");
    m.heal(a);
    m.settle();
    m.expect_leader(a, "boss");
}

fn cancel_while_suspended(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(b);
    m.run(T * 3 / 4);
    m.resign(b, "boss");
    m.run(MOMENT);
    m.heal(b);
    m.settle();
}

fn original_error_path_never_replies(m: &mut Museum) {
    let a = m.node("A");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "/x/"));
    let id = m.register(a, "x", "a", "here");
    m.run(SECOND);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "/x/"));
    m.run(SECOND);
    m.until_registered(a, id);
    m.cut(a);
    m.run(SECOND);
    m.unregister(a, id);
    m.run(SECOND);
    m.heal(a);
    m.settle();
}

const MOMENT: Duration = Duration::from_millis(50);

/// What the second subscriber of a directory is told.
fn tells_again(machine: &mut dyn Machine) -> Result<(), Violation> {
    let now = Instant::ORIGIN;
    for _ in 0..2 {
        while machine.poll_output().is_some() {}
        machine
            .call(now, Call::Subscribe(nodes()))
            .map_err(|misuse| Violation::new(CALLS, misuse.to_string()))?;
    }
    match machine.poll_output() {
        Some(Output::Event(Event::Directory { .. })) => Ok(()),
        other => Err(Violation::new("caches", format!("who subscribes later is told {other:?}"))),
    }
}

fn who_comes_later_is_told() -> Result<(), Violation> {
    tells_again(&mut coordinator()?)
}

fn who_comes_later_is_not_told() -> Result<(), Violation> {
    tells_again(&mut Naive::new(Flaw::WaitsForEver, name("A")?, Incarnation(1)))
}

/// Calls that make no sense.
fn refuses(machine: &mut dyn Machine) -> Result<(), Violation> {
    let (now, boss) = (Instant::ORIGIN, name("boss")?);
    let register = || Ok(Call::Register { directory: nodes(), instance: name("A")?, payload: Vec::new() });
    let resign = Call::Resign(boss.clone());
    let unheld = machine.call(now, resign.clone());
    let campaign = Call::Campaign { global: boss, payload: Vec::new(), terms: Terms::Many };
    let first = machine.call(now, campaign.clone());
    let second = machine.call(now, campaign);
    let resigned = machine.call(now, resign.clone());
    let again = machine.call(now, resign);
    let registered = machine.call(now, register()?);
    let twice = machine.call(now, register()?);
    let is_right = first.is_ok() && second.is_ok() && resigned.is_ok() && registered.is_ok();
    let is_refused = matches!(unheld, Err(Misuse::NotCandidate { .. }))
        && matches!(again, Err(Misuse::NotCandidate { .. }))
        && matches!(twice, Err(Misuse::AlreadyRegistered { .. }));
    if is_right && is_refused {
        Ok(())
    } else {
        Err(Violation::new(CALLS, format!("{unheld:?}, {again:?}, {twice:?}")))
    }
}

fn misuse_is_refused() -> Result<(), Violation> {
    refuses(&mut coordinator()?)
}

fn misuse_is_accepted() -> Result<(), Violation> {
    refuses(&mut Naive::new(Flaw::WaitsForEver, name("A")?, Incarnation(1)))
}

fn coordinator() -> Result<Coordinator, Violation> {
    Coordinator::new(Config::new(name("A")?, Incarnation(1)), Instant::ORIGIN)
        .map_err(|error| Violation::new("configuration", error.to_string()))
}

fn name(text: &str) -> Result<Name, Violation> {
    Name::new(text).map_err(|error| Violation::new("names", error.to_string()))
}

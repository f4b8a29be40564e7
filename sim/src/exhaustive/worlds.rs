//! The worlds that are checked. What each is bounded by stands here, and in `queenright-sim check --list`.

use std::time::Duration;

use queenright_core::Terms;

use super::world::{Faults, Goal, Start, World};

const NONE: Faults = Faults {
    breaks: 0,
    expiries: 0,
    lapses: 0,
    stalls: 0,
    crashes: 0,
    resignations: 0,
    kills: 0,
    lags: 0,
    returns: 0,
    finishes: 0,
    writes: 0,
    strays: 0,
    abandons: 0,
    leaves: 0,
};

/// A little more than L/(1−ρ), and W/(1+ρ), of true time: so late is a silent holder taken over.
const TAKEOVER: Duration = Duration::from_millis(3_100);

const TWO: World = World {
    name: "",
    about: "",
    nodes: 2,
    globals: 1,
    onlookers: 0,
    terms: Terms::Many,
    is_slow: false,
    instances: 1,
    start: Start::Led,
    faults: NONE,
    is_late: false,
    horizon: TAKEOVER,
    payload: b"",
    goals: &[],
    states: None,
    mutation: None,
};

/// Those that CI checks.
pub static WORLDS: [World; 34] = [
    World {
        name: "stand",
        about: "both stand for a global from the first, and a connection breaks",
        start: Start::Standing,
        faults: Faults { breaks: 1, ..NONE },
        horizon: Duration::from_millis(500),
        goals: &[Goal::Elected, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(211_807),
        ..TWO
    },
    World {
        name: "breaks",
        about: "one leads, two connections break, and a session ends",
        faults: Faults { breaks: 2, expiries: 1, ..NONE },
        horizon: Duration::from_millis(1_200),
        goals: &[Goal::SessionLost, Goal::AppliedLate],
        states: Some(101_482),
        ..TWO
    },
    World {
        name: "expiry",
        about: "one leads, and a session ends",
        faults: Faults { expiries: 1, ..NONE },
        goals: &[Goal::ElectedAfterAnother, Goal::TakenOverSilent, Goal::RanOut, Goal::SessionLost],
        states: Some(38_435),
        ..TWO
    },
    World {
        name: "lapse",
        about: "one leads, a node pauses for as long as it likes, and a connection breaks",
        faults: Faults { breaks: 1, lapses: 1, ..NONE },
        goals: &[Goal::TakenOverSilent, Goal::BeliefLapsed, Goal::RanOut, Goal::AppliedLate],
        states: Some(2_146_702),
        ..TWO
    },
    World {
        name: "resign",
        about: "one leads, a candidacy is given up, and a connection breaks",
        faults: Faults { breaks: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(2_445),
        ..TWO
    },
    World {
        name: "crash",
        about: "one leads, a node crashes and may start again, and a connection breaks",
        faults: Faults { breaks: 1, crashes: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::AppliedLate],
        states: Some(9_570),
        ..TWO
    },
    World {
        name: "three",
        about: "one leads, two wait, a candidacy is given up, and a connection breaks",
        nodes: 3,
        faults: Faults { breaks: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(48_246),
        ..TWO
    },
    World {
        name: "registers",
        about: "one registers an instance with a payload and may withdraw it, connections break, and sessions end",
        nodes: 1,
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 3, expiries: 2, resignations: 1, ..NONE },
        horizon: Duration::from_millis(2_000),
        payload: b"x",
        goals: &[Goal::RegisteredAgain, Goal::SessionLost, Goal::AppliedLate],
        states: Some(10_468),
        ..TWO
    },
    World {
        name: "cache",
        about: "as before, without a payload, and another one caches the directory",
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 2, expiries: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::RegisteredAgain, Goal::SessionLost, Goal::AppliedLate],
        states: Some(661_724),
        ..TWO
    },
    World {
        name: "payloads",
        about: "the same with a payload, which the other one reads",
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 2, expiries: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        payload: b"x",
        goals: &[Goal::RegisteredAgain, Goal::SessionLost, Goal::AppliedLate],
        states: Some(826_097),
        ..TWO
    },
    World {
        name: "adversity",
        about: "one leads, two connections break, a session ends, and a node pauses",
        faults: Faults { breaks: 2, expiries: 1, lapses: 1, ..NONE },
        horizon: Duration::from_millis(1_200),
        goals: &[Goal::SessionLost, Goal::AppliedLate],
        states: Some(848_016),
        ..TWO
    },
    World {
        name: "two",
        about: "one leads two globals, two connections break, and a session ends",
        globals: 2,
        faults: Faults { breaks: 2, expiries: 1, ..NONE },
        horizon: Duration::from_millis(1_200),
        goals: &[Goal::SessionLost, Goal::AppliedLate],
        states: Some(535_342),
        ..TWO
    },
    World {
        name: "orphans",
        about: "one stands for two globals whose holder has died, and a connection breaks",
        nodes: 1,
        globals: 2,
        start: Start::Orphaned,
        faults: Faults { breaks: 1, ..NONE },
        horizon: Duration::from_millis(3_300),
        goals: &[Goal::Elected, Goal::TakenOverSilent, Goal::TakenOverAbsent],
        states: Some(5_013),
        ..TWO
    },
    World {
        name: "stall",
        about: "one leads, and a connection stands still",
        faults: Faults { stalls: 1, ..NONE },
        goals: &[Goal::TakenOverSilent, Goal::RanOut],
        states: Some(660_471),
        ..TWO
    },
    World {
        name: "gaps",
        about: "one leads, two connections break, also unnoticed, a session ends, and losses are told late",
        faults: Faults { breaks: 2, expiries: 1, ..NONE },
        is_late: true,
        horizon: Duration::from_millis(1_200),
        goals: &[Goal::SessionLost, Goal::AppliedLate],
        states: Some(890_832),
        ..TWO
    },
    World {
        name: "past",
        about: "one leads, a candidacy is given up, two connections break, and a server lags",
        faults: Faults { breaks: 2, resignations: 1, lags: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate, Goal::ReadThePast],
        states: Some(73_701),
        ..TWO
    },
    World {
        name: "killed",
        about: "one leads, two wait, a candidacy is given up, and a janitor deletes a lease record",
        nodes: 3,
        faults: Faults { resignations: 1, kills: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::LeaseLost],
        states: Some(25_522),
        ..TWO
    },
    World {
        name: "again",
        about: "one stands, gives up and stands again, while its connection breaks and losses are told late",
        nodes: 1,
        start: Start::Standing,
        faults: Faults { breaks: 1, resignations: 1, returns: 1, ..NONE },
        is_late: true,
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::Elected, Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(46_325),
        ..TWO
    },
    World {
        name: "lives",
        about: "one registers an instance, changes its payload, may withdraw it and may crash, and somebody deletes it",
        nodes: 1,
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 1, crashes: 1, kills: 1, resignations: 1, returns: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        payload: b"x",
        goals: &[Goal::AppliedLate, Goal::Occupied],
        states: Some(71_140),
        ..TWO
    },
    World {
        name: "back",
        about: "one leads, a candidacy is given up and wanted again, a connection breaks, and losses are told late",
        faults: Faults { breaks: 1, resignations: 1, returns: 1, ..NONE },
        is_late: true,
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(325_536),
        ..TWO
    },
    World {
        name: "onlooker",
        about: "one only looks up a global whose holder has died, and its connection breaks",
        nodes: 1,
        onlookers: 1,
        start: Start::Orphaned,
        faults: Faults { breaks: 2, expiries: 1, ..NONE },
        horizon: Duration::from_millis(6_500),
        goals: &[Goal::Vacated],
        states: Some(1_438),
        ..TWO
    },
    World {
        name: "told",
        about: "one leads and may give up, another one looks up who leads, and a connection breaks",
        onlookers: 1,
        faults: Faults { breaks: 1, resignations: 1, returns: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::AppliedLate],
        states: Some(74_362),
        ..TWO
    },
    World {
        name: "vacating",
        about: "one leads, another one looks up who does, and a connection stands still",
        onlookers: 1,
        faults: Faults { stalls: 1, ..NONE },
        horizon: Duration::from_millis(6_500),
        goals: &[Goal::Vacated, Goal::RanOut, Goal::LeaseLost],
        states: Some(230_067),
        ..TWO
    },
    World {
        name: "unwanted",
        about: "one stands for two globals, gives one up, and its connection breaks",
        nodes: 1,
        globals: 2,
        start: Start::Standing,
        faults: Faults { breaks: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::Elected, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(18_529),
        ..TWO
    },
    World {
        name: "astray",
        about: "one leads, gives up and stands again, and connects to a server that is behind what it has seen",
        nodes: 1,
        faults: Faults { breaks: 1, resignations: 1, returns: 1, lags: 1, strays: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::AppliedLate, Goal::ReadThePast],
        states: Some(5_324),
        ..TWO
    },
    World {
        name: "doubt",
        about: "one stands for two globals, gives one up, and connects to a server that is behind what it has seen",
        nodes: 1,
        globals: 2,
        start: Start::Standing,
        faults: Faults { breaks: 1, resignations: 1, lags: 1, strays: 1, ..NONE },
        horizon: Duration::from_millis(500),
        goals: &[Goal::Elected, Goal::ClaimAdopted, Goal::AppliedLate, Goal::ReadThePast],
        states: Some(264_204),
        ..TWO
    },
    World {
        name: "slow",
        about: "one leads, gives up and stands again, and its application says late that it has stopped",
        nodes: 1,
        is_slow: true,
        faults: Faults { breaks: 1, resignations: 1, returns: 1, ..NONE },
        horizon: Duration::from_millis(6_500),
        goals: &[Goal::ElectedAfterAnother, Goal::RanOut],
        states: Some(96_836),
        ..TWO
    },
    World {
        name: "once",
        about: "two stand for one term each, which may end by itself, and a connection breaks",
        terms: Terms::One,
        faults: Faults { breaks: 1, finishes: 1, ..NONE },
        horizon: Duration::from_millis(3_100),
        goals: &[Goal::ElectedAfterAnother, Goal::RanOut, Goal::AppliedLate],
        states: Some(57_324),
        ..TWO
    },
    World {
        name: "given-up",
        about: "one leads, a session is given up that lives on, and a connection breaks",
        faults: Faults { breaks: 1, abandons: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::SessionLost, Goal::AppliedLate],
        states: Some(4_246),
        ..TWO
    },
    World {
        name: "joins",
        about: "two wait for a dead holder's silence to last, a third comes, and two may give up",
        nodes: 3,
        start: Start::Joining,
        faults: Faults { resignations: 2, ..NONE },
        horizon: Duration::from_millis(300),
        // Nobody leads before the silence has lasted: that is in the run without faults.
        goals: &[],
        states: Some(22_217),
        ..TWO
    },
    World {
        name: "written",
        about: "one registers an instance, to which somebody writes, and may withdraw it, while its connection breaks",
        nodes: 1,
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 1, resignations: 1, writes: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        payload: b"x",
        goals: &[Goal::AppliedLate],
        states: Some(638),
        ..TWO
    },
    World {
        name: "lost",
        about: "one stands, its connection breaks and its session ends, and losses are told late",
        nodes: 1,
        start: Start::Standing,
        faults: Faults { breaks: 1, expiries: 1, ..NONE },
        is_late: true,
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::Elected, Goal::SessionLost, Goal::AppliedLate],
        states: Some(27_257),
        ..TWO
    },
    World {
        name: "unheard",
        about: "one registers an instance, another one caches the directory and may stop to, two connections break, also \
                unnoticed, and losses are told late",
        globals: 0,
        start: Start::Registering,
        faults: Faults { breaks: 2, leaves: 1, ..NONE },
        is_late: true,
        horizon: Duration::from_millis(1_000),
        payload: b"x",
        goals: &[Goal::AppliedLate],
        states: Some(164_448),
        ..TWO
    },
    World {
        name: "instead",
        about: "one registers an instance, then another one, and may withdraw either, another node caches the directory, and a \
                connection breaks",
        globals: 0,
        instances: 2,
        start: Start::Registering,
        faults: Faults { breaks: 1, resignations: 1, returns: 1, ..NONE },
        horizon: Duration::from_millis(200),
        payload: b"x",
        goals: &[Goal::AppliedLate],
        states: Some(222_840),
        ..TWO
    },
];

/// Those that take too long for CI.
pub static LARGER: [World; 3] = [
    World {
        name: "reply",
        about: "one leads, a connection breaks, and one stands still until after a take-over",
        faults: Faults { breaks: 1, stalls: 1, ..NONE },
        horizon: Duration::from_millis(4_100),
        goals: &[Goal::TakenOverSilent, Goal::RanOut],
        states: Some(30_139_261),
        ..TWO
    },
    World {
        name: "misfortune",
        about: "one leads, two connections break, a session ends, and a node pauses, until after a take-over",
        faults: Faults { breaks: 2, expiries: 1, lapses: 1, ..NONE },
        goals: &[
            Goal::TakenOverSilent,
            Goal::BeliefLapsed,
            Goal::RanOut,
            Goal::SessionLost,
            Goal::AppliedLate,
        ],
        ..TWO
    },
    World {
        name: "both",
        about: "one leads two globals, and a session ends",
        globals: 2,
        faults: Faults { expiries: 1, ..NONE },
        goals: &[Goal::ElectedAfterAnother, Goal::TakenOverSilent, Goal::TakenOverAbsent, Goal::SessionLost],
        states: Some(22_923_420),
        ..TWO
    },
];

/// The world of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static World> {
    WORLDS.iter().chain(&LARGER).find(|world| world.name == name)
}

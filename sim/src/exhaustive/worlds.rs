//! The worlds that are checked. What each is bounded by stands here, and in `queenright-sim check --list`.

use std::time::Duration;

use super::world::{Faults, Goal, Start, World};

const NONE: Faults = Faults { breaks: 0, expiries: 0, lapses: 0, stalls: 0, crashes: 0, resignations: 0 };

/// A little more than L/(1−ρ), and W/(1+ρ), of true time: so late is a silent holder taken over.
const TAKEOVER: Duration = Duration::from_millis(3_100);

const TWO: World = World {
    name: "",
    about: "",
    nodes: 2,
    globals: 1,
    start: Start::Led,
    faults: NONE,
    horizon: TAKEOVER,
    payload: b"",
    goals: &[],
    states: None,
    mutation: None,
};

/// All of them.
pub const WORLDS: [World; 10] = [
    World {
        name: "stand",
        about: "both stand for a global from the first, and a connection breaks",
        start: Start::Standing,
        faults: Faults { breaks: 1, ..NONE },
        horizon: Duration::from_millis(500),
        goals: &[Goal::Elected, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(226_427),
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
        states: Some(71_565),
        ..TWO
    },
    World {
        name: "lapse",
        about: "one leads, a node pauses for as long as it likes, and a connection breaks",
        faults: Faults { breaks: 1, lapses: 1, ..NONE },
        goals: &[Goal::TakenOverSilent, Goal::BeliefLapsed, Goal::RanOut, Goal::AppliedLate],
        states: Some(2_683_081),
        ..TWO
    },
    World {
        name: "resign",
        about: "one leads, a candidacy is given up, and a connection breaks",
        faults: Faults { breaks: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(5_749),
        ..TWO
    },
    World {
        name: "crash",
        about: "one leads, a node crashes and may start again, and a connection breaks",
        faults: Faults { breaks: 1, crashes: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::AppliedLate],
        states: Some(9_897),
        ..TWO
    },
    World {
        name: "three",
        about: "one leads, two wait, a candidacy is given up, and a connection breaks",
        nodes: 3,
        faults: Faults { breaks: 1, resignations: 1, ..NONE },
        horizon: Duration::from_millis(1_000),
        goals: &[Goal::ElectedAfterAnother, Goal::ClaimAdopted, Goal::AppliedLate],
        states: Some(325_612),
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
        states: Some(7_759),
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
        states: Some(518_367),
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
        states: Some(709_449),
        ..TWO
    },
];

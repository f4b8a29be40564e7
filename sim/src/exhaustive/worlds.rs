//! The worlds that are checked. What each is bounded by stands here, and in `queenright-sim check --list`.

use std::time::Duration;

use super::world::{Faults, Goal, Start, World};

const NONE: Faults = Faults { breaks: 0, expiries: 0, lapses: 0, stalls: 0, crashes: 0, resignations: 0 };

/// All of them.
pub const WORLDS: [World; 1] = [World {
    name: "breaks",
    about: "two nodes stand for a global from the first, and connections break",
    nodes: 2,
    globals: 1,
    start: Start::Standing,
    faults: Faults { breaks: 1, ..NONE },
    horizon: Duration::from_millis(500),
    payload: b"",
    goals: &[Goal::Elected],
    states: None,
    mutation: None,
}];

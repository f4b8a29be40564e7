//! The exhaustive checker on its smaller worlds; `make worlds` checks all of them.

#![allow(clippy::unwrap_used)] // A test may panic.

use queenright_core::mutation::Mutation;
use queenright_sim::exhaustive::{Settings, WORLDS, World, check};

/// Larger worlds take too long without all optimisation.
const STATES_MAX: u64 = 120_000;

#[test]
fn small_worlds_hold_in_all_of_their_states_and_have_as_many_as_are_on_record() {
    let small = WORLDS.iter().filter(|world| world.states.is_some_and(|states| states <= STATES_MAX));
    let mut count = 0;
    for world in small {
        let outcome = check(world, Settings::default(), &mut |_| ())
            .unwrap_or_else(|found| panic!("{}: {} after {:?}", world.name, found.violation, found.steps));
        assert!(outcome.is_exhausted, "{}", world.name);
        assert_eq!(outcome.missing(world), [], "{}: goals that were not reached", world.name);
        assert_eq!(Some(outcome.states), world.states, "{}", world.name);
        count += 1;
    }
    assert!(count >= 5, "only {count} worlds");
}

#[test]
fn guards_that_are_taken_out_are_missed() {
    for (world, guard, property) in
        [("expiry", Mutation::NoWait, "exclusive belief"), ("cache", Mutation::WatchNotRearmed, "caches")]
    {
        let world = World { mutation: Some(guard), ..*WORLDS.iter().find(|it| it.name == world).unwrap() };
        let found = check(&world, Settings::default(), &mut |_| ()).unwrap_err();
        assert_eq!(found.violation.property, property, "{guard:?}: {}", found.violation);
    }
}

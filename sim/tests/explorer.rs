//! Thousands of runs of several coordinators against the model server, with everything going wrong.

use std::ops::Range;

use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Failure, Family, Plan, Sometimes, run, run_with};

/// The seeds of every test run.
const SEEDS: Range<u64> = 0..8_000;
/// How many seeds of long plans a mutation may survive.
const MUTATION_SEEDS: Range<u64> = 0..1_000;

#[test]
fn no_seed_finds_a_violation_and_every_state_is_reached() {
    let mut sometimes = Sometimes::default();
    let (mut events, mut peak) = (0, 0);
    for seed in SEEDS {
        let summary = run(&Plan::from_seed(seed)).unwrap_or_else(|failure| panic!("{failure}"));
        sometimes.merge(&summary.sometimes);
        events += summary.events;
        peak = peak.max(summary.request_peak);
    }
    println!("{events} events; at most {peak} requests of one node in one lease\n{sometimes}");
    let missing: Vec<_> = sometimes.missing().collect();
    assert!(missing.is_empty(), "never reached in {SEEDS:?}: {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        let plan = Plan::from_seed(seed);
        let once = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        let again = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(once.fingerprint, again.fingerprint, "seed {seed}");
    }
}

/// The first seed that fails when a guard is taken out.
fn first_failure(mutation: Mutation) -> Box<Failure> {
    let mutate = |config: &mut queenright_core::Config| config.mutation = Some(mutation);
    let plan = |seed| Plan::of_family(Family::Long, seed);
    let failure = MUTATION_SEEDS.into_iter().find_map(|seed| run_with(&plan(seed), &mutate).err());
    failure.unwrap_or_else(|| panic!("{mutation:?} survived {MUTATION_SEEDS:?}"))
}

/// A checker that was never seen failing is not trusted: guards that are taken out must be missed, and by a checker that
/// is about what they guard. `queenright-sim mutants` does so with all of them; these are found within few seeds.
#[test]
fn guards_are_missed_when_they_are_taken_out() {
    for (mutation, expected) in [
        (Mutation::LeaseFromReply, "exclusive belief"),
        (Mutation::NoWait, "exclusive belief"),
        (Mutation::ReleaseNotFinal, "rising tokens"),
        (Mutation::CreateSentTwice, "lease names"),
        (Mutation::AdoptFromDeadSession, "registrations"),
        (Mutation::WatchNotRearmed, "caches"),
    ] {
        let failure = first_failure(mutation);
        let (seed, violation) = (failure.plan().seed, failure.violation());
        println!("{mutation:?}: seed {seed}: {violation}");
        assert_eq!(violation.property, expected, "{mutation:?} was found by {violation}");
    }
}

#[test]
fn a_failure_shows_what_led_to_it_and_ends_with_its_replay() {
    let failure = first_failure(Mutation::NoWait);
    let text = failure.to_string();
    let plan = failure.plan();
    assert!(text.starts_with("VIOLATION of exclusive belief: "), "{text}");
    assert!(text.contains("ELECTED"), "the trace is missing in {text}");
    assert!(text.contains(&plan.to_string()), "the plan is missing in {text}");
    assert!(!text.contains("replay "), "its plan is not that of its seed");
    let mutate = |config: &mut queenright_core::Config| config.mutation = Some(Mutation::NoWait);
    let drawn = (0..).find_map(|seed| run_with(&Plan::from_seed(seed), &mutate).err());
    let drawn = drawn.unwrap_or_else(|| unreachable!("of all seeds one fails"));
    let replay = format!("replay: cargo run --release -p queenright-sim -- replay {}", drawn.plan().seed);
    assert_eq!(drawn.to_string().lines().last(), Some(replay.as_str()));
}

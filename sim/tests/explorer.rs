//! Thousands of runs of several coordinators against the model server, with everything going wrong.

use std::ops::Range;

use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Failure, Plan, Sometimes, narrate, run, run_with};

/// The seeds of every test run.
const SEEDS: Range<u64> = 0..3_000;
/// How many seeds a mutation may survive.
const MUTATION_SEEDS: Range<u64> = 0..20_000;

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

/// `QUEENRIGHT_SEED=7 cargo test -p queenright-sim --test explorer replay -- --nocapture`
#[test]
fn replay() {
    let Ok(seed) = std::env::var("QUEENRIGHT_SEED") else { return };
    let seed = seed.parse().expect("QUEENRIGHT_SEED must be a number");
    let plan = Plan::from_seed(seed);
    println!("{plan}");
    match narrate(&plan, &|_| ()) {
        Ok(summary) => println!("no violation; fingerprint {:016x}", summary.fingerprint),
        Err(failure) => panic!("{failure}"),
    }
}

fn first_failure(mutation: Mutation) -> Box<Failure> {
    for seed in MUTATION_SEEDS {
        let mutate = |config: &mut queenright_core::Config| config.mutation = Some(mutation);
        if let Err(failure) = run_with(&Plan::from_seed(seed), &mutate) {
            println!("{mutation:?}: seed {seed}: {}", failure.violation());
            return failure;
        }
    }
    panic!("{mutation:?} survived {MUTATION_SEEDS:?}");
}

#[test]
fn every_mutation_is_found() {
    for mutation in Mutation::ALL {
        first_failure(mutation);
    }
}

//! The fuzz targets on a stable toolchain: what a fuzzer found to be worth keeping, what it found lately, and histories of
//! chance, the same ones each time.

use std::path::{Path, PathBuf};
use std::{fs, io};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Plan, run_with};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 7] = [
    ("cache", queenright_core::fuzz::cache),
    ("coordinator", queenright_core::fuzz::coordinator),
    ("election", queenright_sim::fuzz::election),
    ("link", queenright::fuzz::link),
    ("recording", queenright_core::fuzz::recording),
    ("session", queenright_sim::fuzz::session),
    ("wire", queenright_core::fuzz::wire),
];
/// Each a history of some hundred steps.
const CASES: u32 = 100;

/// All files of a directory, in order.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Runs a body over all files of a directory. Gives how many there were.
fn run_all(directory: &Path, body: Body) -> io::Result<usize> {
    let files = files(directory)?;
    for file in &files {
        eprintln!("{}", file.display());
        body(&fs::read(file)?);
    }
    Ok(files.len())
}

/// `election` sees what it is for: without a guard of core some of what fuzzers kept fails. After a change of how bytes become
/// plans, or of the corpus, other guards may have to stand here.
#[test]
fn what_fuzzers_kept_misses_guards_that_are_taken_out() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/election");
    let plans = files(&corpus).unwrap().into_iter().map(|file| Plan::of_bytes(&fs::read(file).unwrap()));
    let plans: Vec<Plan> = plans.collect();
    for (mutation, expected) in [
        (Mutation::NoWait, "exclusive belief"),
        (Mutation::CreateSentTwice, "lease names"),
        (Mutation::NoFloor, "rising tokens"),
        (Mutation::AdoptFromDeadSession, "registrations"),
        (Mutation::WatchNotRearmed, "caches"),
    ] {
        let mutate = |config: &mut queenright_core::Config| config.mutation = Some(mutation);
        let is_missed = |plan: &Plan| {
            run_with(plan, &mutate).is_err_and(|failure| failure.violation().property == expected)
        };
        assert!(plans.iter().any(is_missed), "without {mutation:?} nothing violates {expected}");
    }
}

/// What it prints last, when it fails, is the input.
#[test]
fn what_fuzzers_kept_breaks_nothing() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (target, body) in TARGETS {
        let count = run_all(&fuzz.join("corpus").join(target), body).expect(target);
        assert!(count > 0, "{target} has no corpus");
        // On a developer's machine: there is one only after something was found.
        if let Ok(artifacts) = fuzz.join("artifacts").join(target).canonicalize() {
            run_all(&artifacts, body).expect(target);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn sessions_of_chance_break_nothing(data in prop::collection::vec(any::<u8>(), 0..1_500)) {
        queenright_sim::fuzz::session(&data);
    }

    #[test]
    fn elections_of_chance_break_nothing(data in prop::collection::vec(any::<u8>(), 0..1_500)) {
        queenright_sim::fuzz::election(&data);
    }
}

//! The fuzz targets on a stable toolchain: what a fuzzer found to be worth keeping, what it found lately, and histories of
//! chance, the same ones each time.

use std::path::Path;
use std::{fs, io};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

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

/// Runs a body over all files of a directory, in order. Gives how many there were.
fn run_all(directory: &Path, body: Body) -> io::Result<usize> {
    let mut files =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    for file in &files {
        eprintln!("{}", file.display());
        body(&fs::read(file)?);
    }
    Ok(files.len())
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

//! What was found once, and must not come back: each file is a run that failed. Without a guard taken out it must be clean
//! now; with the one that the file names it must still fail as it says.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::{Path, PathBuf};

use queenright_core::Config;
use queenright_sim::explorer::{Repro, run_with};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_regression_is_clean_and_every_guard_in_them_is_still_missed() {
    let files = files();
    assert!(!files.is_empty());
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).unwrap();
        let repro = Repro::from_toml(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Err(failure) = run_with(&repro.plan, &|_| ()) {
            panic!("{name} is back:\n{failure}");
        }
        let Some(mutation) = repro.mutation else { continue };
        let result = run_with(&repro.plan, &|config: &mut Config| config.mutation = Some(mutation));
        let violated = result.err().map(|failure| failure.violation().property.to_owned());
        assert_eq!(violated, repro.violates, "{name}: what {mutation:?} guards against");
    }
}

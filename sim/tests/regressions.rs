//! What was found once, and must not come back: each file is a run that failed. Without a guard taken out it must be clean
//! now; with the one that the file names it must still fail as it says.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use queenright_core::Config;
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Repro, run_with};

/// By the names of their files.
fn repros() -> Vec<(String, Repro)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &Path| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let repro = Repro::from_toml(&fs::read_to_string(file).unwrap());
        let repro = repro.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, repro)
    };
    files.iter().map(|file| read(file)).collect()
}

#[test]
fn every_regression_is_clean_and_every_guard_in_them_is_still_missed() {
    for (name, repro) in repros() {
        if let Err(failure) = run_with(&repro.plan, &|_| ()) {
            panic!("{name} is back:\n{failure}");
        }
        let Some(mutation) = repro.mutation else { continue };
        let result = run_with(&repro.plan, &|config: &mut Config| config.mutation = Some(mutation));
        let violated = result.err().map(|failure| failure.violation().property.to_owned());
        assert_eq!(violated, repro.violates, "{name}: what {mutation:?} guards against");
    }
}

#[test]
fn every_guard_has_a_file_under_its_name_in_which_it_is_missed() {
    let repros = repros();
    let with_guard = repros.iter().filter_map(|(name, repro)| Some((name, repro.mutation?)));
    let named: BTreeSet<Mutation> = with_guard
        .map(|(name, mutation)| {
            assert_eq!(*name, format!("{mutation:?}.repro.toml"));
            mutation
        })
        .collect();
    assert_eq!(named, Mutation::ALL.iter().copied().collect());
}

#[test]
fn the_table_of_guards_is_complete_and_all_of_them_were_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("MUTANTS.md");
    let table = fs::read_to_string(path).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let told: Vec<(String, String, String)> = cells
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), cells[5].to_owned()))
        .collect();
    let repros = repros();
    let violates = |mutation| {
        let repro = repros.iter().map(|(_, repro)| repro).find(|repro| repro.mutation == Some(mutation));
        repro.and_then(|repro| repro.violates.clone()).unwrap_or_default()
    };
    let all: Vec<_> = Mutation::ALL
        .iter()
        .map(|mutation| (mutation.name().to_owned(), mutation.meaning().to_owned(), violates(*mutation)))
        .collect();
    assert_eq!(told, all, "the first line of MUTANTS.md says how it is written");
}

//! The table is complete, and `MUSEUM.md` shows it.

use std::collections::BTreeSet;
use std::path::Path;

use queenright_sim::museum::{State, entries, markdown};

/// The names of all bugs that are known, in order.
const NAMES: &str = include_str!("names.txt");

#[test]
fn every_known_bug_is_in_the_table_once_and_in_order() {
    let known: Vec<&str> = NAMES.lines().collect();
    let told: Vec<&str> = entries().map(|entry| entry.name).collect();
    for (known, told) in known.iter().zip(&told) {
        assert_eq!(known, told, "the table differs from the list here");
    }
    assert_eq!(known.len(), told.len(), "{:?}", known.get(told.len()));
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "a name is there twice");
}

#[test]
fn every_scenario_is_a_test_under_its_name() {
    let played: BTreeSet<String> =
        crate::played().flatten().map(|name: &&str| name.replace('_', "-")).collect();
    let scenarios: BTreeSet<String> = entries()
        .filter(|entry| matches!(entry.state, State::Scenario { .. }))
        .map(|entry| entry.name.to_owned())
        .collect();
    assert_eq!(played, scenarios);
}

#[test]
fn the_table_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("MUSEUM.md");
    let table = markdown();
    if std::env::var_os("UPDATE_MUSEUM").is_some() {
        std::fs::write(&path, &table).expect("MUSEUM.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("MUSEUM.md is there");
    assert_eq!(written, table, "run UPDATE_MUSEUM=1 cargo test -p queenright-sim --test museum");
}

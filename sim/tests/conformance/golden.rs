//! Golden traces: what real servers answered, replayed against the model.
//!
//! `UPDATE_GOLDEN=1 cargo test -p queenright-sim --test conformance golden -- --ignored` records them again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use queenright_sim::zookeeper::Mutation;

use crate::model::Model;
use crate::parse;
use crate::real::Real;
use crate::side::Kind;
use crate::step::Step;
use crate::trial::{self, Answers};

const UPDATE: &str = "UPDATE_GOLDEN";
/// The files are counted, so that one that is lost is missed. Raise it with every file that is added.
const TRACES_MIN: usize = 77;

#[test]
fn the_model_answers_as_real_servers_did() {
    let mut failures = Vec::new();
    let traces = traces();
    assert!(traces.len() >= TRACES_MIN, "{} golden traces: some are missing", traces.len());
    for (file, expected) in &traces {
        let actual = replay(expected, &mut |kind, steps| trial::run(&mut Model::new(kind), steps));
        if actual != *expected {
            failures.push(format!("{}\n{}", name(file), difference(expected, &actual)));
        }
    }
    assert!(
        failures.is_empty(),
        "the model differs from real servers (- is the file, + is the model):\n\n{}",
        failures.join("\n\n")
    );
}

/// What the traces are worth: whatever rule of the model is broken, one of them tells.
#[test]
fn every_mutation_of_the_model_is_found() {
    let traces = traces();
    for mutation in Mutation::ALL {
        let broken = |kind| Model::broken(kind, mutation);
        let differs =
            |trace: &str| replay(trace, &mut |kind, steps| trial::run(&mut broken(kind), steps)) != trace;
        let found: Vec<String> =
            traces.iter().filter(|(_, trace)| differs(trace)).map(|(file, _)| name(file)).collect();
        assert!(!found.is_empty(), "no trace is about {mutation:?}");
        println!("{mutation:?}: {}", found.join(", "));
    }
}

/// Records the traces when it is asked to, and otherwise looks whether real servers still answer so.
#[test]
#[ignore = "needs ZooKeeper: make live"]
fn real_servers_answer_as_they_did() {
    let is_update = std::env::var_os(UPDATE).is_some();
    let mut servers: BTreeMap<&str, Real> = BTreeMap::new();
    let mut failures = Vec::new();
    for (file, expected) in traces() {
        let mut fresh = None;
        let actual = replay(&expected, &mut |kind, steps| match kind {
            Kind::Fresh => trial::run(fresh.insert(Real::start(kind)), steps),
            Kind::Shared => trial::run(servers.entry("shared").or_insert_with(|| Real::start(kind)), steps),
            Kind::Sweeping => {
                trial::run(servers.entry("sweeping").or_insert_with(|| Real::start(kind)), steps)
            }
            Kind::Ensemble => {
                trial::run(servers.entry("ensemble").or_insert_with(|| Real::start(kind)), steps)
            }
        });
        match actual == expected {
            true => {}
            false if is_update => fs::write(&file, actual).expect("a trace is writable"),
            false => failures.push(format!("{}\n{}", name(&file), difference(&expected, &actual))),
        }
    }
    assert!(
        failures.is_empty(),
        "real servers differ from the traces (- is the file, + is the server):\n\n{}\n\n\
         {UPDATE}=1 cargo test -p queenright-sim --test conformance golden -- --ignored",
        failures.join("\n\n")
    );
}

fn traces() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(directory).expect("the golden traces are there");
    let files = entries.map(|entry| entry.expect("a directory entry").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).collect();
    files.sort();
    let text = |file: &PathBuf| fs::read_to_string(file).expect("a trace is readable");
    files.into_iter().map(|file| (file.clone(), text(&file))).collect()
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The trace with what `run` says in place of what should be said.
fn replay(trace: &str, run: &mut dyn FnMut(Kind, &[Step]) -> Answers) -> String {
    let kind = match trace.lines().find_map(|line| line.strip_prefix("> server ")) {
        None => Kind::Shared,
        Some("fresh") => Kind::Fresh,
        Some("sweeping") => Kind::Sweeping,
        Some("ensemble") => Kind::Ensemble,
        Some(other) => panic!("no kind of server: {other}"),
    };
    let lines: Vec<&str> = trace.lines().filter(|line| !line.starts_with("  ")).collect();
    let steps = lines.iter().filter_map(|line| line.strip_prefix("> "));
    let steps = steps.filter(|step| !step.starts_with("server "));
    let steps: Vec<_> = steps.map(|line| parse::step(line).unwrap_or_else(|e| panic!("{e}"))).collect();
    let mut answers = run(kind, &steps).into_iter();
    let mut text = String::new();
    for line in lines {
        text += line;
        text += "\n";
        if line.starts_with("> ") && !line.starts_with("> server ") {
            for answer in answers.next().unwrap_or_default() {
                text += &format!("  {answer}\n");
            }
        }
    }
    text
}

/// The lines between the common beginning and the common end.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = expected.iter().zip(&actual).take_while(same).count();
    let behind = expected[before..].iter().rev().zip(actual[before..].iter().rev()).take_while(same).count();
    let mut lines: Vec<String> =
        expected[before.saturating_sub(3)..before].iter().map(|line| format!("          {line}")).collect();
    for (mark, side) in [('-', &expected), ('+', &actual)] {
        for (index, line) in side[before..side.len() - behind].iter().enumerate() {
            lines.push(format!("{mark} line {}: {line}", before + index + 1));
        }
    }
    lines.join("\n")
}

//! Golden transcripts: what the core answers to a sequence of inputs, in full and in order, as text that is
//! reviewed as prose. Each file of `transcripts/` shows one behaviour; `transcripts/README.md` is the notation.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test -p queenright-core --test transcripts` writes what the core says today
//! into the files; review the difference like code. In the spirit of etcd-raft's `testdata`.

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use support::{steps, world::World};

const UPDATE: &str = "UPDATE_TRANSCRIPTS";
/// The files are counted, so that one that is lost is missed. Raise it with every file that is added.
const TRANSCRIPTS_MIN: usize = 214;
/// How many lines of a difference are shown.
const DIFFERENCE_MAX: usize = 40;

#[test]
fn the_core_says_what_the_transcripts_say() {
    let files = transcripts();
    assert!(files.len() >= TRANSCRIPTS_MIN, "{} transcripts: some are missing", files.len());
    let is_update = std::env::var_os(UPDATE).is_some();
    let mut failures = Vec::new();
    for file in files {
        let expected = fs::read_to_string(&file).expect("a transcript is readable");
        let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
        match replay(&expected) {
            Ok(actual) if actual == expected => {}
            Ok(actual) if is_update => fs::write(&file, actual).expect("a transcript is writable"),
            Ok(actual) => failures.push(format!("{name}\n{}", difference(&expected, &actual))),
            Err(complaint) => failures.push(format!("{name}\n{complaint}")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} transcripts differ (- is the file, + is the core):\n\n{}\n\n\
         if the core is right: {UPDATE}=1 cargo test -p queenright-core --test transcripts",
        failures.len(),
        failures.join("\n\n"),
    );
}

/// The runner itself: a transcript that is wrong is told, and where.
#[test]
fn a_wrong_transcript_is_found() {
    let right = "# A comment.\n> connect 0xa\n  session 0xa connected, epoch 1\n  #1 sync /q\n";
    assert_eq!(replay(right), Ok(right.to_owned()));

    let wrong = right.replace("0xa connected", "0xb connected");
    let actual = replay(&wrong).unwrap();
    assert_eq!(actual, right);
    let told = difference(&wrong, &actual);
    assert!(told.contains("- line 3:   session 0xb connected"), "{told}");
    assert!(told.contains("+ line 3:   session 0xa connected"), "{told}");

    let illegible = replay("> connect 0xa\n> bless boss\n").unwrap_err();
    assert!(illegible.contains("bless boss"), "{illegible}");
}

fn transcripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(directory).expect("the transcripts are there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

/// The transcript with what the core says in place of what it should say. Each is replayed twice: same inputs,
/// same outputs.
fn replay(transcript: &str) -> Result<String, String> {
    let first = replay_once(transcript)?;
    let second = replay_once(transcript)?;
    if first == second { Ok(first) } else { Err(format!("two runs differ\n{}", difference(&first, &second))) }
}

fn replay_once(transcript: &str) -> Result<String, String> {
    let mut world = World::new(steps::default_config());
    let mut actual = String::new();
    for (index, line) in transcript.lines().enumerate() {
        if line.starts_with("  ") {
            continue;
        }
        actual.push_str(line);
        actual.push('\n');
        if let Some(step) = line.strip_prefix("> ") {
            let outputs = catch_unwind(AssertUnwindSafe(|| steps::take(&mut world, step)))
                .map_err(|panic| format!("line {}: {line}\n{}", index + 1, message(&*panic)))?;
            actual.push_str(&outputs);
        }
    }
    Ok(actual)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

/// The lines between the common beginning and the common end.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = expected.iter().zip(&actual).take_while(same).count();
    let behind = expected[before..].iter().rev().zip(actual[before..].iter().rev()).take_while(same).count();
    let context = before.saturating_sub(3)..before;
    let mut lines: Vec<String> = expected[context].iter().map(|line| format!("          {line}")).collect();
    for (mark, side) in [('-', &expected), ('+', &actual)] {
        let end = side.len() - behind;
        for (index, line) in side[before..end].iter().enumerate().take(DIFFERENCE_MAX) {
            lines.push(format!("{mark} line {}: {line}", before + index + 1));
        }
    }
    lines.join("\n")
}

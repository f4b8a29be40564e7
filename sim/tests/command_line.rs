//! The program as people call it: what it prints, and what it ends with.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_queenright-sim")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file below the tests' own directory.
fn file(name: &str, contents: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, contents).unwrap();
    path
}

#[test]
fn a_campaign_tells_what_it_reached_and_is_the_same_in_another_process() {
    let fingerprint = |jobs| {
        let output = program(&["explore", "--seeds", "100", "--first", "6b2698b", "--jobs", jobs]);
        let told = text(&output.stdout);
        assert!(output.status.success(), "{told}{}", text(&output.stderr));
        assert!(told.contains("Elected"), "{told}");
        let last = told.lines().last().unwrap().to_owned();
        assert!(last.starts_with("100 runs, "), "{last}");
        last.split("fingerprint ").nth(1).unwrap().to_owned()
    };
    assert_eq!(fingerprint("1"), fingerprint("2"));
}

#[test]
fn a_campaign_is_an_object_for_programs() {
    let output = program(&["explore", "--seeds", "20", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["runs"], 20);
    assert_eq!(told["fingerprint"].as_str().unwrap().len(), 16);
    assert!(told["sometimes"]["Elected"].as_u64().unwrap() > 0);
}

#[test]
fn a_replay_shows_the_plan_and_a_trace_has_standard_output_for_itself() {
    let quiet = program(&["replay", "17"]);
    assert!(quiet.status.success());
    let told = text(&quiet.stdout);
    assert!(told.starts_with("seed 17: "), "{told}");
    let traced = program(&["replay", "17", "--trace"]);
    let lines = text(&traced.stdout);
    assert!(lines.lines().count() > 100);
    for line in lines.lines() {
        let time = line.split_whitespace().next().unwrap_or_default();
        assert!(time.ends_with('s') && time.contains('.'), "this is no line of a trace: {line:?}");
    }
    assert_eq!(
        text(&traced.stderr).lines().last(),
        told.lines().last(),
        "both end with the same fingerprint"
    );
}

#[test]
fn a_replay_can_be_looked_at_and_the_picture_is_the_same_each_time() {
    let draw = |name: &str| {
        let path = file(name, "");
        let output = program(&["replay", "17", "--timeline", path.to_str().unwrap()]);
        assert!(output.status.success());
        assert!(text(&output.stdout).starts_with("seed 17: "), "and it is told as always");
        fs::read_to_string(path).unwrap()
    };
    let picture = draw("one.html");
    assert!(picture.starts_with("<!doctype html>") && picture.contains("ELECTED"));
    assert!(picture == draw("another.html"), "the same run, another picture");
    let nowhere = program(&["replay", "17", "--timeline", "/no/such/directory/out.html"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("cannot write /no/such/directory/out.html"));
}

/// `check` and `replay` draw the same counterexample.
#[test]
#[cfg(feature = "mutations")]
fn a_counterexample_can_be_looked_at() {
    let [toml, drawn, again] = ["stall.repro.toml", "stall.html", "again.html"].map(|name| file(name, ""));
    let [toml, drawn, again] = [&toml, &drawn, &again].map(|path| path.to_str().unwrap());
    let checked =
        program(&["check", "stall", "--mutation", "KillAtAnyVersion", "--out", toml, "--timeline", drawn]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stderr));
    let played = program(&["replay", toml, "--timeline", again]);
    assert_eq!(played.status.code(), Some(1), "{}", text(&played.stderr));
    let picture = fs::read_to_string(drawn).unwrap();
    assert!(picture.contains("n0 and n1 both believe to lead g"), "it says what is wrong");
    assert!(picture == fs::read_to_string(again).unwrap(), "the same steps, another picture");
}

#[test]
fn what_cannot_be_played_is_told_why_and_ends_with_2() {
    let told = |arguments: &[&str]| {
        let output = program(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        text(&output.stderr)
    };
    assert!(told(&["replay", "no-such-file"]).contains("there is no file no-such-file"));
    let garbage = file("garbage.toml", "format = 1\nplan = 3");
    assert!(told(&["replay", garbage.to_str().unwrap()]).contains("this is no repro file"));
    let newer = file("newer.toml", "format = 99");
    assert!(told(&["replay", newer.to_str().unwrap()]).contains("format 99"));
    assert!(told(&["shrink", "17"]).contains("does not fail"));
    assert!(told(&["explore", "--first", "HEAD"]).contains("the hash of a commit"));
}

/// A file names the guard that was taken out when it failed. A program for users cannot take one out, and says so.
#[test]
fn a_file_with_a_guard_taken_out_fails_as_it_did() {
    let regression = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/NoWait.repro.toml");
    let output = program(&["replay", regression]);
    if cfg!(feature = "mutations") {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).starts_with("VIOLATION of exclusive belief"));
    } else {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("--features mutations"), "{}", text(&output.stderr));
    }
}

#[test]
fn shells_can_complete_it() {
    let script = text(&program(&["completions", "bash"]).stdout);
    assert!(script.contains("explore") && script.contains("--seeds"));
    assert!(script.contains("handover-overlap"), "names of the museum are completed");
}

#[test]
fn one_entry_of_the_museum_tells_what_happens_in_it() {
    let output = program(&["museum", "gc-pause-outlives-session"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() > 20, "{told}");
    let passed =
        "passed  gc-pause-outlives-session; naive machine `NoTokens`: fails, as it must, by guarded resource";
    assert_eq!(lines[lines.len() - 2], passed);
    assert_eq!(lines.last(), Some(&"1 of 1 scenarios pass; 0 entries need none"));
}

#[test]
fn the_museum_is_an_object_for_programs() {
    let output = program(&["museum", "read-only-server-believed", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["played"], 0);
    assert_eq!(told["entries"][0]["state"], "by construction");
    let output = program(&["museum", "stale-cache-cas-loop", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["played"], &told["passed"]), (&1.into(), &1.into()));
    assert_eq!(told["entries"][0]["failure_tried"], cfg!(feature = "mutations"));
}

#[test]
fn the_whole_museum_is_a_line_each_and_the_count() {
    let output = program(&["museum"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let entries = queenright_sim::museum::entries().count();
    assert_eq!(told.lines().count(), entries + 1);
    let played = told.lines().filter(|line| line.starts_with("passed  ")).count();
    let last = format!("{played} of {played} scenarios pass; {} entries need none", entries - played);
    assert_eq!(told.lines().last(), Some(last.as_str()));
}

#[test]
fn an_unknown_name_is_refused_with_those_that_are_near() {
    let output = program(&["museum", "handover-overlp"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("did you mean handover-overlap?"), "{told}");
}

/// A guard that nobody misses ends the program with 1, and one that is missed with 0; the last line is the count.
#[cfg(feature = "mutations")]
#[test]
fn mutants_are_counted() {
    let found = program(&["mutants", "NoWait", "--seeds-max", "1000"]);
    assert_eq!(found.status.code(), Some(0));
    assert_eq!(text(&found.stdout).lines().last(), Some("1 of 1 found"));
    let lost = program(&["mutants", "NoWait", "--seeds-max", "1", "--format", "json"]);
    assert_eq!(lost.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&lost.stdout).unwrap();
    assert_eq!((&told["found"], &told["mutations"][0]["name"]), (&0.into(), &"NoWait".into()));
    let strange = program(&["mutants", "nowait"]);
    assert_eq!(strange.status.code(), Some(2));
    assert!(text(&strange.stderr).contains("did you mean NoWait"));
}

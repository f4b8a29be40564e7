//! The examples `discovery`, `singleton` and `embed_core`, as people use them.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

mod support;

use std::process::Command;
use std::time::Duration;

use support::{Running, Server, complaint, example, on_both_servers, run};

fn program(name: &str, zookeeper: &str, arguments: &[&str]) -> Command {
    let mut command = example(name);
    command.args(["--zookeeper", zookeeper]).args(arguments);
    command
}

#[test]
fn wrong_usage_is_explained() {
    for (name, arguments, explanation) in [
        ("discovery", ["--namespace", "nonsense"], "namespace"),
        ("discovery", ["--look", "--nonsense"], "--nonsense"),
        ("singleton", ["--namespace", "nonsense"], "namespace"),
        ("singleton", ["--lease", "soon"], "--lease"),
    ] {
        // Nothing listens there.
        let output = run(&mut program(name, "127.0.0.1:1", &arguments));
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {output:?}");
        let complaint = complaint(&output);
        assert!(complaint.contains(explanation), "{name} {arguments:?}: {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
}

on_both_servers![
    discovery_tells_who_comes_and_goes,
    singleton_works_in_one_place_with_rising_tokens,
    embed_core_leads_without_tokio_and_leaves_in_good_order,
];

fn discovery_tells_who_comes_and_goes(server: &Server) {
    let servers = server.connect_string();
    let watcher = Running::start(&mut program("discovery", &servers, &["web", "--look"]));
    let mut first = Running::start(&mut program("discovery", &servers, &["web", "--metadata", "http://one"]));
    first.wait_for("registered as");
    watcher.wait_for("at http://one");
    let mut second =
        Running::start(&mut program("discovery", &servers, &["web", "--metadata", "http://two"]));
    let registered = second.wait_for("registered as");
    let name = registered.strip_prefix("registered as ").unwrap();
    for program in [&watcher, &first, &second] {
        assert_eq!(program.wait_for("http://two"), format!("+ {name} at http://two"));
    }
    second.signal("INT");
    second.wait_for("withdrawn");
    assert!(second.wait().success());
    for program in [&watcher, &first] {
        program.wait_for(&format!("- {name}"));
    }
    first.signal("INT");
    assert!(first.wait().success());
}

fn singleton_works_in_one_place_with_rising_tokens(server: &Server) {
    let servers = server.connect_string();
    let start = |name| {
        let program = program("singleton", &servers, &["--name", name, "--lease", "1s"]);
        Running::start(&mut { program })
    };
    let token = |line: String| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    let first = start("one");
    let first_token = token(first.wait_for("one leads, with token"));
    first.wait_for("one sweeps: stroke 1");
    let mut second = start("two");
    second.wait_for("two stands");
    assert_eq!(second.hear("leads", Duration::from_secs(2)), None, "while the first one lives");
    first.signal("KILL");
    let second_token = token(second.wait_for("two leads, with token"));
    assert!(second_token > first_token, "{second_token} after {first_token}");
    second.wait_for("two sweeps");

    // By Ctrl-C the next one leads at once.
    let third = start("three");
    third.wait_for("three stands");
    second.signal("INT");
    second.wait_for("two resigned");
    assert!(second.wait().success());
    assert!(token(third.wait_for("three leads, with token")) > second_token);
}

fn embed_core_leads_without_tokio_and_leaves_in_good_order(server: &Server) {
    let servers = server.connect_string();
    let mut first = Running::start(&mut program("embed_core", &servers, &["--strokes", "2"]));
    first.wait_for("session: Connected");
    first.wait_for("leads, with token");
    first.wait_for("sweeps: stroke 2");
    first.wait_for("stops: Resigned");
    first.wait_for("is over");
    first.wait_for("closed");
    assert!(first.wait().success());
    // What it left behind keeps nobody waiting.
    let mut second = Running::start(&mut program("embed_core", &servers, &["--strokes", "1"]));
    second.wait_for("leads, with token");
    second.wait_for("closed");
    assert!(second.wait().success());
}

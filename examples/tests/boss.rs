//! The example `boss`, as people use it: real programs, on the server for development and on a real ZooKeeper.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use queenright_sim::recording::{Life, check_terms};
use support::{PATIENCE, Running, Server, complaint, example, on_both_servers, run};

/// Nothing listens there: the port is reserved.
const NO_SERVER: &str = "127.0.0.1:1";

fn boss(zookeeper: &str, arguments: &[&str]) -> Command {
    let mut command = example("boss");
    command.args(["--zookeeper", zookeeper]).args(arguments);
    command
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, explanation) in [
        (&["--lease", "3"][..], "time unit needed"),
        (&["--nonsense"], "--nonsense"),
        (&["demo", "--jobs", "0"], "1..=1000"),
        (&["--lease", "0s"], "lease"),
        (&["--namespace", "queenright"], "namespace"),
        (&["--session-timeout", "1ms"], "session timeout"),
        (&["--listen", "0.0.0.0:0"], "cookie"),
        (&["--advertise", "nonsense"], "nonsense"),
        (&["--cookie", ""], "cookie"),
    ] {
        let output = run(&mut boss(NO_SERVER, arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let complaint = complaint(&output);
        assert!(complaint.contains(explanation), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
}

#[test]
fn without_a_server_nothing_begins() {
    for arguments in [&["demo"][..], &[], &["sweep", "the", "floor"]] {
        let output = run(boss(NO_SERVER, &["--timeout", "1s"]).args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let complaint = complaint(&output);
        assert!(
            complaint.contains(NO_SERVER) && complaint.contains("ZooKeeper"),
            "{arguments:?}: {complaint}"
        );
    }
}

#[test]
fn an_unknown_host_is_named() {
    let output = run(&mut boss("zookeeper.invalid:2181", &["--timeout", "1s", "demo"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(complaint(&output).contains("zookeeper.invalid"), "{output:?}");
}

on_both_servers![
    the_demo_plays_well_and_leaves_nothing_behind,
    boss_worker_and_requestor_in_three_terminals,
    without_a_boss_the_requestor_gives_up,
    a_stranger_is_told_of_the_cookie,
    a_requestor_outlives_its_boss,
    a_requestor_turns_to_the_next_boss_when_its_own_stands_still,
    the_jobs_of_a_killed_worker_are_done_by_another,
    the_jobs_of_a_stopped_worker_are_done_by_another,
    the_children_of_a_killed_demo_die_with_it,
    what_the_nodes_of_a_demo_recorded_is_lived_again,
];

fn the_demo_plays_well_and_leaves_nothing_behind(server: &Server) {
    let before = server.znode_count();
    let output = run(&mut boss(&server.connect_string(), &["--lease", "1s", "demo", "--jobs", "6"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{text}", complaint(&output));
    assert!(text.contains("the colony is queenright"), "{text}");
    assert!(text.contains("kill -9"), "{text}");
    assert_eq!(text.matches("I'm the boss!").count(), 3, "{text}");
    assert!(!text.contains('\x1b'), "colours, without a terminal: {text:?}");
    assert_eq!(server.znode_count(), before);
}

fn boss_worker_and_requestor_in_three_terminals(server: &Server) {
    let servers = server.connect_string();
    let mut first = Running::start(&mut boss(&servers, &["--work", "10ms"]));
    // It says this and "I'm the boss!" in either order.
    first.wait_for("Ready: the boss is");
    let mut second = Running::start(&mut boss(&servers, &["--work", "10ms"]));
    second.wait_for("Ready");

    // The end of its input does not end it.
    first.close_input();
    let output = run(&mut boss(&servers, &["sweep", "the", "floor"]));
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Done by"), "{output:?}");
    first.wait_for("'Delegating' task: sweep the floor to");
    assert!(first.is_running());

    // A signal ends it, in good order: with a lease of 3 s, the next one does not wait for its end.
    let asked_at = Instant::now();
    first.signal("TERM");
    second.wait_for("I'm the boss!");
    let took = asked_at.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(first.wait().success());
    assert!(run(&mut boss(&servers, &["fetch", "nectar"])).status.success());
    second.wait_for("Doing task: fetch nectar");
    second.press_enter();
    assert!(second.wait().success());
}

fn without_a_boss_the_requestor_gives_up(server: &Server) {
    let began = Instant::now();
    let output = run(&mut boss(&server.connect_string(), &["--timeout", "1s", "sweep"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = complaint(&output);
    assert!(
        complaint.contains("not done within 1s") && complaint.contains("there is no boss"),
        "{complaint}"
    );
    assert!(began.elapsed() < PATIENCE);
}

fn a_stranger_is_told_of_the_cookie(server: &Server) {
    let servers = server.connect_string();
    let honest = Running::start(&mut boss(&servers, &["--cookie", "honey", "--work", "10ms"]));
    honest.wait_for("Ready");
    assert!(run(&mut boss(&servers, &["--cookie", "honey", "sweep"])).status.success());
    let output = run(&mut boss(&servers, &["--cookie", "vinegar", "--timeout", "2s", "sweep"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(complaint(&output).contains("the same --cookie"), "{output:?}");
}

fn a_requestor_outlives_its_boss(server: &Server) {
    let servers = server.connect_string();
    let options = ["--work", "1s", "--lease", "1s"];
    let first = Running::start(&mut boss(&servers, &options));
    first.wait_for("Ready");
    let second = Running::start(&mut boss(&servers, &options));
    second.wait_for("Ready");
    let mut requestor = Running::start(&mut boss(&servers, &["--timeout", "30s", "feed", "the", "brood"]));
    requestor.wait_for("accepted");
    first.signal("KILL");
    second.wait_for("I'm the boss!");
    requestor.wait_for("Lost the boss");
    requestor.wait_for("Done by");
    assert!(requestor.wait().success());
}

fn a_requestor_turns_to_the_next_boss_when_its_own_stands_still(server: &Server) {
    let servers = server.connect_string();
    let options = ["--work", "1s", "--lease", "1s"];
    let first = Running::start(&mut boss(&servers, &options));
    first.wait_for("Ready");
    let second = Running::start(&mut boss(&servers, &options));
    second.wait_for("Ready");
    let mut requestor = Running::start(&mut boss(&servers, &["--timeout", "30s", "feed", "the", "brood"]));
    requestor.wait_for("accepted");
    // Its connections stay open: only ZooKeeper tells that it is the boss no more.
    first.signal("STOP");
    second.wait_for("I'm the boss!");
    let lost = requestor.hear("Lost the boss", Duration::from_secs(2));
    assert!(lost.is_some(), "it waits for the link to the boss that was");
    requestor.wait_for("Done by");
    assert!(requestor.wait().success());
}

/// Two jobs at a boss and a worker; the worker is struck while it does one of them.
fn a_worker_is_struck(server: &Server, signal: &str) {
    let servers = server.connect_string();
    let options = ["--work", "1s"];
    let first = Running::start(&mut boss(&servers, &options));
    first.wait_for("Ready");
    let worker = Running::start(&mut boss(&servers, &options));
    worker.wait_for("Ready");
    let request = |job| Running::start(&mut boss(&servers, &["--timeout", "30s", job]));
    let mut requestors = ["one", "two"].map(request);
    let doing = worker.wait_for("Doing task:");
    worker.signal(signal);
    let job = doing.strip_prefix("Doing task: ").unwrap();
    first.wait_for("Lost worker");
    first.wait_for(&format!("Doing task: {job} (attempt 2)"));
    for requestor in &mut requestors {
        requestor.wait_for("Done by");
        assert!(requestor.wait().success());
    }
}

fn the_jobs_of_a_killed_worker_are_done_by_another(server: &Server) {
    a_worker_is_struck(server, "KILL");
}

fn the_jobs_of_a_stopped_worker_are_done_by_another(server: &Server) {
    a_worker_is_struck(server, "STOP");
}

fn the_children_of_a_killed_demo_die_with_it(server: &Server) {
    let demo = Running::start(&mut boss(&server.connect_string(), &["demo", "--work", "5s"]));
    demo.wait_for("Doing task:");
    let children = || {
        // The namespace of a demo, an argument of its children, ends with its process id.
        let mark = format!("-{}", demo.pid());
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = fs::read(entry.unwrap().path().join("cmdline")).ok()?;
            let arguments: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            let is_child = arguments.iter().any(|argument| argument == "--child")
                && arguments.iter().any(|argument| argument.ends_with(&mark));
            is_child.then(|| arguments.join(" "))
        });
        processes.collect::<Vec<_>>()
    };
    assert_eq!(children().len(), 3, "{:?}", children());
    demo.signal("KILL");
    let deadline = Instant::now() + PATIENCE;
    while !children().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", children());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Also by the one that was killed, up to its last moment.
fn what_the_nodes_of_a_demo_recorded_is_lived_again(server: &Server) {
    let port = server.connect_string().rsplit(':').next().unwrap().to_owned();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recordings-{port}"));
    let _ = fs::remove_dir_all(&directory);
    let mut command = boss(&server.connect_string(), &["--lease", "1s", "demo", "--jobs", "6"]);
    let output = run(command.arg("--record").arg(&directory));
    assert!(output.status.success(), "{}", complaint(&output));
    let files = fs::read_dir(&directory).unwrap();
    let lives: Vec<Life> =
        files.map(|file| Life::new(&fs::read(file.unwrap().path()).unwrap()).unwrap()).collect();
    // One machine, and so one clock.
    check_terms(&lives, Duration::from_millis(10)).unwrap();
    let terms: Vec<_> = lives.iter().flat_map(|life| &life.beliefs).collect();
    assert_eq!(terms.iter().filter(|term| term.global.as_str() == "boss").count(), 3, "{terms:?}");
    let killed = lives.iter().filter(|life| !life.replayed.is_whole).count();
    assert_eq!(killed, 1, "{lives:?}");
    fs::remove_dir_all(&directory).unwrap();
}

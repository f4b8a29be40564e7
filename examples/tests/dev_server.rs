//! The server that examples start where there is none, as people meet it.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use queenright_examples::dev_server::{ADDRESS_VARIABLE, QUIET_VARIABLE, SUBCOMMAND};
use support::zookeeper::free_address;
use support::{PATIENCE, Running, Server, complaint, example, on_both_servers, run, word};

/// Servers started here leave so long after their last client.
const QUIET_SECS: u64 = 3;

/// A program that looks for its server at `address`.
fn program(name: &str, address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = example(name);
    command.env(ADDRESS_VARIABLE, address.to_string()).env(QUIET_VARIABLE, QUIET_SECS.to_string());
    command.args(arguments);
    command
}

/// Waits until nobody listens there any more.
fn wait_until_gone(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while word(address, "ruok").is_ok() {
        assert!(Instant::now() < deadline, "the server is still there");
        // Asking makes it stay.
        thread::sleep(Duration::from_secs(QUIET_SECS) + Duration::from_millis(500));
    }
}

#[test]
fn the_first_program_starts_a_server_and_the_others_join_it() {
    let address = free_address();
    let mut member = Running::start(&mut program("boss", address, &["--work", "10ms"]));
    member.wait_for("Ready");
    assert_eq!(word(address, "ruok").unwrap(), "imok");
    let output = run(&mut program("boss", address, &["sweep", "the", "floor"]));
    assert!(output.status.success(), "{}", complaint(&output));
    let singleton = Running::start(&mut program("singleton", address, &[]));
    singleton.wait_for("leads, with token");
    drop(singleton);
    // The server outlives whoever started it, and leaves when nobody uses it.
    member.press_enter();
    assert!(member.wait().success());
    assert_eq!(word(address, "ruok").unwrap(), "imok");
    wait_until_gone(address);
}

#[test]
fn programs_that_start_at_the_same_moment_share_one_server() {
    let address = free_address();
    let start = |_| Running::start(&mut program("discovery", address, &["web", "--metadata", "http://here"]));
    let programs: Vec<_> = (0..5).map(start).collect();
    for program in &programs {
        program.wait_for("registered as");
        for _ in 0..5 {
            program.wait_for("http://here");
        }
    }
    drop(programs);
    wait_until_gone(address);
}

#[test]
fn ctrl_c_at_the_terminal_is_not_for_the_server() {
    let address = free_address();
    // What a terminal sends goes to all of the program's group.
    let mut member = Running::start(program("boss", address, &[]).process_group(0));
    member.wait_for("Ready");
    let group = format!("-{}", member.pid());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    member.wait();
    assert_eq!(word(address, "ruok").unwrap(), "imok");
    wait_until_gone(address);
}

#[test]
fn what_is_no_zookeeper_is_told_from_one() {
    // One that speaks first, one that hangs up, one that says nothing.
    let greeting: fn(&mut std::net::TcpStream) = |stream| stream.write_all(b"SSH-2.0-Strange\r\n").unwrap();
    let hanging_up: fn(&mut std::net::TcpStream) = |_| {};
    let silent: fn(&mut std::net::TcpStream) = |stream| while stream.read(&mut [0; 64]).unwrap_or(0) > 0 {};
    for (behaviour, explanation) in
        [(greeting, "SSH-2.0"), (hanging_up, "it hangs up"), (silent, "it does not answer")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Ends with the test's process.
        thread::spawn(move || listener.incoming().for_each(|stream| behaviour(&mut stream.unwrap())));
        for (name, arguments) in [("boss", &["sweep"][..]), ("discovery", &[]), ("singleton", &[])] {
            let output = run(&mut program(name, address, arguments));
            let complaint = complaint(&output);
            assert_eq!(output.status.code(), Some(2), "{name}: {complaint}");
            assert!(complaint.contains(&address.to_string()), "{name}: {complaint}");
            assert!(
                complaint.contains("no ZooKeeper") && complaint.contains(explanation),
                "{name}: {complaint}"
            );
        }
    }
}

#[test]
fn an_address_that_is_none_is_explained() {
    let output = run(example("boss").env(ADDRESS_VARIABLE, "nonsense").arg("sweep"));
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains(&format!("{ADDRESS_VARIABLE}=nonsense")), "{output:?}");
}

#[test]
fn no_help_shows_how_it_is_done() {
    for name in ["boss", "discovery", "singleton"] {
        let output = run(example(name).arg("--help"));
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.contains("--zookeeper") && !help.contains(SUBCOMMAND), "{help}");
    }
}

on_both_servers![a_server_that_is_there_is_joined];

fn a_server_that_is_there_is_joined(server: &Server) {
    let before = server.znode_count();
    let output = run(&mut program("boss", server.address(), &["--lease", "1s", "demo", "--jobs", "3"]));
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(!complaint(&output).contains("started a server"), "{}", complaint(&output));
    assert_eq!(server.znode_count(), before);
    let mut member = Running::start(&mut program("boss", server.address(), &[]));
    member.wait_for("Ready");
    assert!(server.znode_count() > before, "it is another server");
    member.press_enter();
    member.wait();
}

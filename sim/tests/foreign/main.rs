//! Clients that nobody here wrote, against the dev server as it is for everybody: kazoo (Python), Curator (Java) and
//! zkCli, each of its recipes in a process and on a server of its own.
//!
//! They need kazoo from PyPI, and from Debian `zookeeper`, `libcurator-recipes-java`, `libcurator-discovery-java` and a
//! JDK: see `.ci/run`.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use queenright_sim::DevServer;

/// How long a recipe may take, JVM and compiler included; then it is killed.
const PATIENCE_SECONDS: &str = "180";

macro_rules! recipes {
    ($run:ident: $($test:ident = $part:literal,)*) => {$(
        #[test]
        #[ignore = "needs ZooKeeper: make live"]
        fn $test() {
            $run($part);
        }
    )*};
}

recipes! {
    kazoo:
    kazoo_elects = "election",
    kazoo_locks = "lock",
    kazoo_has_a_party = "party",
    kazoo_watches = "watches",
    kazoo_commits_transactions = "transactions",
    kazoo_reconnects = "reconnect",
}

recipes! {
    curator:
    curator_elects = "leader_latch",
    curator_caches = "cache",
    curator_discovers_services = "service_discovery",
    curator_commits_transactions = "transactions",
    curator_reconnects = "reconnect",
}

/// What zkCli prints is what it prints with a real server (3.8.0), but for times and zxids.
#[test]
#[ignore = "needs ZooKeeper: make live"]
fn zkcli_prints_what_it_prints_with_a_real_server() {
    let server = server();
    let mut zkcli = bounded("java")
        .args(["-cp", &class_path(&["zookeeper", "slf4j-nop"]), "org.apache.zookeeper.ZooKeeperMain"])
        .args(["-server", &server.connect_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("java");
    let commands = include_bytes!("zkcli.txt");
    zkcli.stdin.take().expect("it is piped").write_all(commands).expect("zkCli reads");
    let output = zkcli.wait_with_output().expect("zkCli ends");
    let printed =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let expected = include_str!("zkcli.expected.txt");
    assert_eq!(lines(&printed), lines(expected), "all of it:\n{printed}");
}

/// Sorted, for events are printed by another thread than answers; and without what no two runs have in common.
fn lines(printed: &str) -> Vec<String> {
    let is_told = |line: &&str| !line.is_empty() && !line.starts_with("Connecting to ");
    let without_numbers = |line: &str| match line.split_once(" = ") {
        Some((name @ ("ctime" | "mtime" | "cZxid" | "mZxid" | "pZxid"), _)) => format!("{name} = …"),
        _ => line.into(),
    };
    let mut lines: Vec<String> = printed.lines().filter(is_told).map(without_numbers).collect();
    lines.sort();
    lines
}

fn kazoo(part: &str) {
    let server = server();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/recipes.py");
    check(part, bounded("python3").args([script, &server.connect_string(), part]));
}

fn curator(part: &str) {
    let server = server();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/Recipes.java");
    // The jars name what they need themselves.
    let class_path = class_path(&["curator-recipes", "curator-x-discovery", "slf4j-nop"]);
    check(part, bounded("java").args(["-cp", &class_path, source, &server.connect_string(), part]));
}

/// As users have it, but for a tick that does not let tests wait for sessions to end.
fn server() -> DevServer {
    let tick = Duration::from_millis(200);
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(DevServer::builder().tick(tick).session_limits(tick * 2, Duration::from_secs(40)).start())
        .expect("a dev server")
}

fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", PATIENCE_SECONDS, program]);
    command
}

fn class_path(jars: &[&str]) -> String {
    jars.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect::<Vec<_>>().join(":")
}

/// The program ends well, and says that it came to its end.
fn check(part: &str, command: &mut Command) {
    let Output { status, stdout, stderr } = command.output().expect("`timeout` of coreutils");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let is_done = stdout.lines().any(|line| line == format!("{part}: as it should be"));
    assert!(status.success() && is_done, "{part}: {status}\n{stdout}{stderr}");
}

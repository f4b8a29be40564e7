//! What a server costs, in memory and in time. The figures are printed: `cargo test --test cost -- --nocapture`.
//!
//! One test, so that nothing else in the process allocates meanwhile.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the functions of a test crate that are no tests themselves for other code"
)]

use std::time::{Duration, Instant as Watch};

use queenright_core::Instant;
use queenright_core::op::Change;
use queenright_core::wire::{Acl, ConnectRequest, Create, CreateFlags, CreateForm, Read, Request, SetData};
use queenright_sim::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};

const NOW: Instant = Instant::ORIGIN;
const FIRST: ConnectionId = ConnectionId(0);
const DATA: &[u8] = b"127.0.0.1:2181";

/// The limits that the model promises.
const BYTES_PER_ZNODE_MAX: usize = 400;
const BYTES_OF_SESSIONS_MAX: usize = 100 << 20;

fn server() -> Ensemble {
    let mut server = Ensemble::new(ServerConfig::default(), 1, NOW);
    connect(&mut server, FIRST);
    server
}

fn connect(server: &mut Ensemble, conn: ConnectionId) {
    server.connect(NOW, ServerId::FIRST, conn, [127, 0, 0, 1].into(), ConnectRequest::new_session(40_000));
    assert!(matches!(server.poll_output(), Some((_, FromServer::Connected(_)))));
}

fn ask(server: &mut Ensemble, conn: ConnectionId, request: Request) {
    server.request(NOW, conn, 1, request);
    while server.poll_output().is_some() {}
}

fn create(path: String) -> Request {
    Request::Create(Create {
        form: CreateForm::Create,
        path,
        data: Some(DATA.into()),
        acl: Some(vec![Acl::open()]),
        flags: CreateFlags::PERSISTENT,
    })
}

fn set(path: &str) -> Request {
    Request::SetData(SetData { path: path.into(), data: Some(DATA.into()), version: -1 })
}

/// A hundred services with so many instances each.
fn fill(server: &mut Ensemble, instances: usize) {
    ask(server, FIRST, create("/services".into()));
    for service in 0..100 {
        ask(server, FIRST, create(format!("/services/s{service:02}")));
        for instance in 0..instances {
            ask(server, FIRST, create(format!("/services/s{service:02}/i-{instance:010}")));
        }
    }
}

/// The memory that the process has, as the kernel counts it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// The shortest of some runs: what the machine does besides only makes them longer.
fn shortest(mut run: impl FnMut() -> Duration) -> Duration {
    (0..7).map(|_| run()).min().unwrap()
}

/// How long it takes to tell so many watchers of a znode, each by a one-shot watch.
fn time_to_tell(watchers: u64) -> Duration {
    let mut server = server();
    ask(&mut server, FIRST, create("/a".into()));
    for conn in 1..=watchers {
        connect(&mut server, ConnectionId(conn));
    }
    shortest(|| {
        for conn in 1..=watchers {
            ask(&mut server, ConnectionId(conn), Request::GetData(Read::watching("/a")));
        }
        let start = Watch::now();
        server.request(NOW, FIRST, 1, set("/a"));
        let mut told = 0;
        while let Some((_, message)) = server.poll_output() {
            told +=
                u64::from(matches!(message, FromServer::Event(event) if event.change == Change::DataChanged));
        }
        assert_eq!(told, watchers);
        start.elapsed()
    })
}

/// How long a thousand writes take in a tree with so many znodes.
fn time_to_write(server: &mut Ensemble) -> Duration {
    shortest(|| {
        let start = Watch::now();
        for _ in 0..1_000 {
            ask(server, FIRST, set("/services/s50/i-0000000000"));
        }
        start.elapsed()
    })
}

#[test]
fn what_a_server_costs() {
    let mut small = server();
    fill(&mut small, 1);
    let small_write = time_to_write(&mut small);

    // First: later, memory that others have given back would be used again.
    let before = resident();
    let mut crowd = server();
    fill(&mut crowd, 100);
    for session in 1..=10_000 {
        let conn = ConnectionId(session);
        connect(&mut crowd, conn);
        for watch in 0..10 {
            let (service, instance) = (session % 100, (session * 10 + watch) % 100);
            let path = format!("/services/s{service:02}/i-{instance:010}");
            ask(&mut crowd, conn, Request::GetData(Read::watching(path)));
        }
    }
    let bytes = resident() - before;
    println!("10000 sessions with 100000 watches, and 10000 znodes: {} MiB", bytes >> 20);
    assert!(bytes <= BYTES_OF_SESSIONS_MAX, "{bytes} bytes");
    assert_eq!(crowd.watch_count(ServerId::FIRST), 100_000);

    let before = resident();
    let mut big = server();
    fill(&mut big, 2_000);
    let znodes = big.tree(ServerId::FIRST).len();
    let each = (resident() - before) / znodes - DATA.len();
    println!("{znodes} znodes: {each} bytes each over their data");
    assert!(each <= BYTES_PER_ZNODE_MAX, "{each} bytes for a znode");

    let big_write = time_to_write(&mut big);
    println!("1000 writes: {small_write:?} in a tree of 200, {big_write:?} in one of {znodes}");
    assert!(big_write < small_write * 10, "a write gets slower with the tree: something big is copied");

    let (few, many) = (time_to_tell(1_000), time_to_tell(16_000));
    println!("an event to 1000 watchers: {few:?}, to 16000: {many:?}");
    // In proportion it is 16 times as long, squared 256 times; machines that are busy with other things are in between.
    assert!(many < few * 16 * 8, "16 times as many watchers take {many:?} instead of {few:?}");
}

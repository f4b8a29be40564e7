//! What the dev server costs, side by side with a real ZooKeeper where one is installed: same client, same run.
//!
//! ```text
//! cargo bench -p queenright-sim --bench server
//! ```
//! Each figure is the median of several rounds, with the least and the greatest behind it; the two servers take turns, so
//! that both see the same machine. The real one keeps its data on a tmpfs, if there is one, so that no disk is measured;
//! it has its default settings otherwise, and is warm before anything counts. Exits with 1 when a figure misses its mark.

#![allow(clippy::unwrap_used, unreachable_pub)] // A program that may end where it stands.

mod client;
mod process;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use queenright_core::wire::{Create, CreateFlags, CreateForm, Read, Request, SetData};

use self::client::Connection;
use self::process::{Kind, Server};
use self::table::{Mark, Row, Samples, print};

/// Rounds of everything that is measured per second.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(700);
/// Until a just-in-time compiler has done its work.
const WARM_UP: Duration = Duration::from_secs(4);
/// Requests in one write, and replies waited for at a time; two of these are under way.
const BATCH: usize = 500;
const DATA: [u8; 100] = [b'x'; 100];
const STARTS: usize = 11;
const REAL_STARTS: usize = 3;
const ZNODES: usize = 100_000;
const SESSIONS: usize = 10_000;
const WATCHES_EACH: usize = 10;
const WATCHERS: [usize; 2] = [250, 4_000];

fn main() -> ExitCode {
    let kinds: Vec<Kind> = [Some(Kind::Model), Kind::real()].into_iter().flatten().collect();
    let mut rows = Vec::new();
    let measured =
        |figures: Vec<(Kind, Samples)>, what: &str, unit, mark| Row::new(what, unit, mark, figures);

    let starts = kinds.iter().map(|kind| (*kind, start_to_reply(*kind))).collect();
    rows.push(measured(starts, "start to first reply", "ms", Mark::AtMost(20.0)));

    let mut servers: Vec<Server> = kinds.iter().map(|kind| Server::start(*kind)).collect();
    let read = |_: usize| Request::GetData(Read::plain("/bench"));
    let write = |_: usize| set_data("/bench");
    let ask = |server: &Server, request: &dyn Fn(usize) -> Request, count, time| {
        throughput(server, request, count, time)
    };
    for server in &servers {
        let mut connection = Connection::open(server.address());
        connection.ask(&create("/bench", &DATA));
        ask(server, &read, BATCH, WARM_UP);
        ask(server, &write, BATCH, WARM_UP);
    }
    for (what, request, batch, mark) in [
        ("pipelined reads", &read as &dyn Fn(usize) -> Request, BATCH, Mark::Times(2.0)),
        ("pipelined writes", &write, BATCH, Mark::Times(2.0)),
        ("reads, one by one", &read, 1, Mark::None),
        ("writes, one by one", &write, 1, Mark::None),
    ] {
        let mut figures: Vec<(Kind, Samples)> =
            servers.iter().map(|server| (server.kind(), Samples::default())).collect();
        for _ in 0..ROUNDS {
            for (server, (_, samples)) in servers.iter().zip(&mut figures) {
                samples.push(ask(server, request, batch, ROUND));
            }
        }
        rows.push(measured(figures, what, "/s", mark));
    }
    for count in WATCHERS {
        let figures =
            servers.iter().map(|server| (server.kind(), event_to_watchers(server, count))).collect();
        let what = format!("one event to {count} watchers, each");
        rows.push(measured(figures, &what, "us", Mark::None));
    }
    let scaling = scaling(&rows);
    rows.push(scaling);
    servers.clear();

    let znodes = kinds.iter().map(|kind| (*kind, bytes_per_znode(*kind))).collect();
    rows.push(measured(znodes, "memory per znode over its data", "bytes", Mark::AtMost(400.0)));
    let sessions = kinds.iter().map(|kind| (*kind, sessions_and_watches(*kind))).collect();
    let what = format!("memory with {SESSIONS} sessions, {} watches", SESSIONS * WATCHES_EACH);
    rows.push(measured(sessions, &what, "MB", Mark::AtMost(100.0)));

    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// From the start of the process to the first session.
fn start_to_reply(kind: Kind) -> Samples {
    let rounds = match kind {
        Kind::Model => STARTS,
        Kind::Real => REAL_STARTS,
    };
    let start = || {
        let began = Instant::now();
        let _server = Server::start(kind);
        began.elapsed().as_secs_f64() * 1e3
    };
    (0..rounds).map(|_| start()).collect()
}

/// How many requests are answered in a second, when `batch` of them leave at a time.
fn throughput(server: &Server, request: &dyn Fn(usize) -> Request, batch: usize, time: Duration) -> f64 {
    let mut connection = Connection::open(server.address());
    let requests: Vec<Request> = (0..batch).map(request).collect();
    let bytes = Connection::encode(&requests);
    let began = Instant::now();
    let mut answered = 0;
    if batch > 1 {
        connection.send(&bytes);
    }
    while began.elapsed() < time {
        connection.send(&bytes);
        connection.skip(batch);
        answered += batch;
    }
    let rate = answered as f64 / began.elapsed().as_secs_f64();
    if batch > 1 {
        connection.skip(batch);
    }
    rate
}

/// From a write to the arrival of the last of its events, divided by their number.
fn event_to_watchers(server: &Server, count: usize) -> Samples {
    let mut writer = Connection::open(server.address());
    writer.ask(&create("/watched", b""));
    let mut watchers: Vec<_> = (0..count).map(|_| Connection::open(server.address())).collect();
    let mut round = || {
        for watcher in &mut watchers {
            watcher.send(&Connection::encode(&[Request::GetData(Read::watching("/watched"))]));
        }
        watchers.iter_mut().for_each(|watcher| watcher.skip(1));
        let began = Instant::now();
        writer.ask(&set_data("/watched"));
        watchers.iter_mut().for_each(|watcher| watcher.skip(1));
        began.elapsed().as_secs_f64() * 1e6 / count as f64
    };
    round();
    (0..ROUNDS).map(|_| round()).collect()
}

/// By how much one watcher costs more when there are many of them.
fn scaling(rows: &[Row]) -> Row {
    let [few, many] = &rows[rows.len() - 2..] else { unreachable!("two counts of watchers") };
    let figures = few.figures.iter().zip(&many.figures);
    let figures =
        figures.map(|((kind, few), (_, many))| (*kind, [many.median() / few.median()].into_iter().collect()));
    let what = format!("the same: {} over {}", WATCHERS[1], WATCHERS[0]);
    Row::new(&what, "times", Mark::AtMost(2.0), figures.collect())
}

/// What a small znode takes, beside its data.
fn bytes_per_znode(kind: Kind) -> Samples {
    let server = Server::start(kind);
    let mut connection = Connection::open(server.address());
    connection.ask(&create("/parent", b""));
    let before = server.memory();
    let names: Vec<usize> = (0..ZNODES).collect();
    for some in names.chunks(BATCH) {
        let requests: Vec<_> = some.iter().map(|n| create(&format!("/parent/znode-{n:06}"), &DATA)).collect();
        connection.send(&Connection::encode(&requests));
        connection.skip(some.len());
    }
    let grown = server.memory().saturating_sub(before);
    [grown as f64 / ZNODES as f64 - DATA.len() as f64].into_iter().collect()
}

/// All memory of a server whose clients only watch.
fn sessions_and_watches(kind: Kind) -> Samples {
    let server = Server::start(kind);
    let open = |session: usize| {
        let mut connection = Connection::open(server.address());
        let watch = |n: usize| Request::Exists(Read::watching(format!("/watched/{session:05}-{n}")));
        connection.send(&Connection::encode(&(0..WATCHES_EACH).map(watch).collect::<Vec<_>>()));
        connection.skip(WATCHES_EACH);
        connection
    };
    let connections: Vec<_> = (0..SESSIONS).map(open).collect();
    let memory = server.memory() as f64 / 1e6;
    drop(connections);
    [memory].into_iter().collect()
}

fn create(path: &str, data: &[u8]) -> Request {
    let acl = Some(vec![queenright_core::wire::Acl::open()]);
    let (form, flags) = (CreateForm::Create, CreateFlags::PERSISTENT);
    Request::Create(Create { form, path: path.into(), data: Some(data.into()), acl, flags })
}

fn set_data(path: &str) -> Request {
    Request::SetData(SetData { path: path.into(), data: Some(DATA.into()), version: -1 })
}

//! What grows: requests, watches, znodes, numbers.

use std::time::Duration;

use queenright_core::op::{Op, Version};
use queenright_core::wire::{Request as Record, convert};
use queenright_core::{Config, Coordinator, Incarnation, Instant, Name, Path};

use super::naive::Naive;
use super::{Entry, Flaw, alone, cannot, foreign, naive};
use crate::checkers::Violation;
use crate::scenario::{Call, Machine, Museum, service};

const REQUESTS: &str = "bounded requests";
const LEAKS: &str = "leaks";
const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(50);

pub(super) const ENTRIES: &[Entry] = &[
    foreign(
        "children-list-exceeds-buffer",
        "O/R",
        "a service whose list does not fit into a frame is beyond what is promised; the refusal is told as `Degraded`, and \
         what was known stays, as stale",
    ),
    cannot(
        "setwatches-exceeds-buffer",
        "R",
        "the ledger of watches counts bytes (`Config::watch_bytes_max`), and beyond it one recursive watch stands for many; the \
         client machine arms none again by itself, and where it is told to, in batches of `BATCH_BYTES_MAX`",
    ),
    alone(
        "too-many-ephemerals-in-one-session",
        "R",
        registrations_are_bounded,
        registrations_are_unbounded,
        "naive machine `WaitsForEver`",
        LEAKS,
    ),
    naive("herd-on-leader-node", "D", herd_on_leader_node, Flaw::EverybodyWatchesTheFirst, REQUESTS),
    naive("watch-loops-multiply", "R/S", watch_loops_multiply, Flaw::WatchersMultiply, REQUESTS),
    cannot(
        "watcher-and-listener-leak",
        "R",
        "there are no listener objects: `Outbox` has one ledger of watches, which `check_invariants` adds up, and `unsubscribe` \
         gives the watch back to the server",
    ),
    cannot(
        "inflight-counter-overflow",
        "R",
        "a cache reads at most `READS_MAX` payloads at once; what is wanted and what is under way are sets, not counters",
    ),
    naive("probe-and-parent-node-leak", "R/S", probe_and_parent_node_leak, Flaw::WaitsForEver, LEAKS),
    cannot(
        "retry-amplification",
        "R/O",
        "the client machine sends nothing twice; retries are the small machines' own, each with one `Backoff` that doubles, is \
         capped, and is jittered by derivation",
    ),
    alone(
        "stat-version-overflow",
        "R",
        minus_one_is_a_version,
        minus_one_is_any,
        "a client that sends a version as it is",
        "versions",
    ),
    cannot(
        "head-of-line-blocking",
        "S/R",
        "no call waits for an answer: `Coordinator::directory` and `holder` read what is in memory",
    ),
];

fn herd_on_leader_node(m: &mut Museum) {
    let every: Vec<_> = (0..30).map(|number| m.node(&format!("N{number}"))).collect();
    for node in &every {
        m.campaign(*node, "boss");
        m.run(MOMENT);
    }
    m.settle();
    let count = |m: &Museum| every.iter().map(|node| m.requests_of(*node)).sum::<u64>();
    let before = count(m);
    m.crash(every[0]);
    m.until_leads(every[1], "boss");
    m.run(SECOND);
    let spent = count(m) - before;
    m.expect(REQUESTS, spent <= 50, &format!("the end of one leader cost {spent} requests"));
}

fn watch_loops_multiply(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.register(b, "x", "b", "");
    m.until_fresh(a, &service("x"));
    for _ in 0..10 {
        m.blip(a);
        m.run(SECOND);
    }
    m.settle();
}

fn probe_and_parent_node_leak(m: &mut Museum) {
    let a = m.node("A");
    for number in 0..20 {
        let id = m.register(a, &format!("x{number}"), "a", "");
        m.until_registered(a, id);
        m.unregister(a, id);
    }
    // The servers look for containers without children now and then.
    m.run(Duration::from_secs(150));
    let left = m.tree().children("/queenright/services").count();
    m.expect(LEAKS, left == 0, &format!("{left} directories are left of services that nobody offers"));
}

/// How many registrations a machine takes on, when it is asked for more than an ensemble can end in one transaction.
fn takes_on(machine: &mut dyn Machine) -> Result<(), Violation> {
    let now = Instant::ORIGIN;
    for number in 0..6_000 {
        let instance =
            Name::new(format!("i{number}")).map_err(|error| Violation::new("names", error.to_string()))?;
        let call = Call::Register { directory: service("x"), instance, payload: Vec::new() };
        let result = machine.call(now, call);
        while machine.poll_output().is_some() {}
        if result.is_err() {
            return Ok(());
        }
    }
    Err(Violation::new(LEAKS, "it took 6,000 ephemerals on"))
}

fn registrations_are_bounded() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    let mut core = Coordinator::new(Config::new(name, Incarnation(1)), Instant::ORIGIN)
        .map_err(|error| Violation::new("configuration", error.to_string()))?;
    takes_on(&mut core)
}

fn registrations_are_unbounded() -> Result<(), Violation> {
    let name = Name::new("A").map_err(|error| Violation::new("names", error.to_string()))?;
    takes_on(&mut Naive::new(Flaw::WaitsForEver, name, Incarnation(1)))
}

/// A write that expects the version which the protocol takes for "any".
fn sends_minus_one(record: impl Fn(&Op) -> Option<i32>) -> Result<(), Violation> {
    let op = Op::SetData { path: Path::root(), data: Vec::new(), version: Version::Exactly(-1) };
    match record(&op) {
        Some(-1) | None => {
            Err(Violation::new("versions", "a version that was read is sent as \"any version\""))
        }
        Some(_) => Ok(()),
    }
}

fn minus_one_is_a_version() -> Result<(), Violation> {
    sends_minus_one(|op| {
        if let Record::SetData(set) = convert::request(op, &[]) { Some(set.version) } else { None }
    })
}

fn minus_one_is_any() -> Result<(), Violation> {
    sends_minus_one(|op| {
        if let Op::SetData { version: Version::Exactly(version), .. } = op { Some(*version) } else { None }
    })
}

//! Globals as processes: one in the whole cluster, replaced when it ends.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use queenright::{Error, Holder, Node, Process, ProcessId};
use queenright_core::SessionId;
use tokio::time::{Instant, sleep};

use crate::support::child::{self, Child};
use crate::support::cluster::{
    LEASE, PATIENCE, capable, config, eventually, idler, node, nodes, soon, sorted,
};
use crate::support::tree::Tree;
use crate::support::venue::{Venue, everywhere};
use crate::support::zookeeper::ZooKeeper;

everywhere! {
    a_race_of_candidates_gives_one_process,
    when_it_exits_exactly_one_other_is_elected,
    a_node_that_closes_hands_over_at_once,
    an_expired_session_restarts_nothing_and_loses_nothing,
}

/// How many processes of a computation run at this moment, and how many ever did.
#[derive(Clone, Default)]
struct Census(Arc<(AtomicUsize, AtomicUsize)>);

impl Census {
    /// A computation that is counted from its first poll until its future is gone.
    fn computation(
        &self,
    ) -> impl Fn(Process) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync + use<> {
        struct Counted(Census);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.0.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let census = self.clone();
        move |mut process| {
            let census = census.clone();
            Box::pin(async move {
                let running = census.0.0.fetch_add(1, Ordering::SeqCst) + 1;
                census.0.1.fetch_add(1, Ordering::SeqCst);
                let _counted = Counted(census);
                assert_eq!(running, 1, "two of them at once");
                loop {
                    let from: ProcessId = process.expect().await;
                    process.send(&from, process.self_pid().clone()).await.unwrap();
                }
            })
        }
    }

    fn running(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn started(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Whether the process answers to messages from `node`.
async fn answers(node: &Node, pid: &ProcessId) -> bool {
    let target = pid.clone();
    let answer = node.run(|mut process| async move {
        process.send(&target, process.self_pid().clone()).await.unwrap();
        process.expect_timeout::<ProcessId>(PATIENCE).await
    });
    soon(answer).await.unwrap().as_ref() == Some(pid)
}

/// Waits until `node` knows another holder than `former`, and gives it.
async fn successor(node: &Node, global: &str, former: &ProcessId) -> ProcessId {
    let mut next = None;
    eventually("a successor", async || {
        next = node.whereis_global(global).await.unwrap().filter(|pid| pid != former);
        next.is_some()
    })
    .await;
    next.unwrap()
}

async fn a_race_of_candidates_gives_one_process(venue: Venue) {
    let lease = venue.lease();
    let nodes = venue.nodes::<5>().await;
    for round in 0..5 {
        let (global, census) = (format!("boss{round}"), Census::default());
        let race = nodes.iter().map(|node| node.register_candidate(&global, census.computation()));
        let pids: Vec<_> = soon(join_all(race)).await.into_iter().map(Result::unwrap).collect();
        assert!(pids.iter().all(|pid| *pid == pids[0]), "all are told the same: {pids:?}");
        for node in &nodes {
            assert_eq!(node.whereis_global(&global).await.unwrap().as_ref(), Some(&pids[0]));
            assert!(answers(node, &pids[0]).await);
        }
        sleep(lease / 2).await;
        assert_eq!((census.running(), census.started()), (1, 1));
    }
}

async fn when_it_exits_exactly_one_other_is_elected(venue: Venue) {
    let lease = venue.lease();
    let nodes = venue.nodes::<4>().await;
    let census = Census::default();
    for node in &nodes {
        soon(node.register_candidate("boss", census.computation())).await.unwrap();
    }
    let mut former = nodes[0].whereis_global("boss").await.unwrap().unwrap();
    for generation in 1..4 {
        // The signal comes from another node.
        let witness = nodes.iter().find(|node| node.id() != former.node()).unwrap();
        witness.exit(&former, "make room");
        let next = successor(witness, "boss", &former).await;
        assert_ne!(next.node(), former.node(), "whoever exits stands no more, so it is another node");
        for node in &nodes {
            assert_eq!(successor(node, "boss", &former).await, next, "all agree");
        }
        assert!(answers(witness, &next).await);
        sleep(lease / 2).await;
        assert_eq!((census.running(), census.started()), (1, generation + 1));
        former = next;
    }
    // The last one exits, and nobody is left; then somebody stands again.
    nodes[0].kill(&former, "and you too");
    eventually("nobody leads", async || nodes[1].whereis_global("boss").await.unwrap().is_none()).await;
    assert_eq!(census.running(), 0);
    let again = soon(nodes[2].register_candidate("boss", census.computation())).await.unwrap();
    assert_eq!(again.node(), nodes[2].id());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn registering_again_leaks_nothing_and_keeps_the_leader() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let (census, other) = (Census::default(), Census::default());
    let leader = soon(one.register_candidate("boss", census.computation())).await.unwrap();
    soon(two.register_candidate("boss", other.computation())).await.unwrap();
    let before = (one.stats().processes, two.stats().processes);
    for _ in 0..50 {
        for (node, census) in [(&one, &census), (&two, &other)] {
            let told = soon(node.register_candidate("boss", census.computation())).await.unwrap();
            assert_eq!(told, leader);
        }
    }
    assert_eq!((one.stats().processes, two.stats().processes), before);
    assert!(answers(&two, &leader).await);
    assert_eq!((census.started(), other.started()), (1, 0));
    let tree = Tree::connect(zookeeper.address(1)).await;
    assert_eq!(tree.children("/queenright/globals/boss/queue").await.len(), 1, "the one who waits");

    // The computation that was registered during the term serves this node's next term.
    two.withdraw("boss").await;
    let latest = Census::default();
    soon(one.register_candidate("boss", latest.computation())).await.unwrap();
    one.exit(&leader, "next");
    let next = successor(&two, "boss", &leader).await;
    assert!(answers(&two, &next).await);
    assert_eq!((census.running(), census.started(), latest.running()), (0, 1, 1));
    // And leaving leaves nothing.
    assert!(one.withdraw("boss").await);
    assert!(!one.withdraw("boss").await);
    eventually("no process is left", async || one.stats().processes == 0 && two.stats().processes == 0).await;
    assert_eq!(one.whereis_global("boss").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_global_that_exited_is_forgotten_everywhere() {
    let zookeeper = ZooKeeper::start();
    let [one, two, three] = nodes(&zookeeper).await;
    assert_eq!(three.whereis_global("boss").await.unwrap(), None, "before there ever was one");
    type Way = (&'static str, fn(&Node, &ProcessId));
    let ways: [Way; 3] = [
        ("exit", |node, pid| node.exit(pid, "enough")),
        ("kill", |node, pid| node.kill(pid, "enough")),
        ("panic", |node, pid| {
            let (node, pid) = (node.clone(), pid.clone());
            tokio::spawn(async move { node.send(&pid, "panic".to_owned()).await });
        }),
    ];
    for (way, end) in ways {
        let computation = |mut process: Process| async move {
            let text: String = process.expect().await;
            panic!("{text}");
        };
        let pid = soon(one.register_candidate("boss", computation)).await.unwrap();
        for node in [&two, &three] {
            eventually(way, async || node.whereis_global("boss").await.unwrap() == Some(pid.clone())).await;
        }
        let ended = Instant::now();
        end(&two, &pid);
        for node in [&one, &two, &three] {
            eventually(way, async || node.whereis_global("boss").await.unwrap().is_none()).await;
        }
        // It is released, and nobody waits for the end of a lease.
        assert!(ended.elapsed() < LEASE, "{way}: {:?}", ended.elapsed());
    }
}

async fn a_node_that_closes_hands_over_at_once(venue: Venue) {
    let lease = venue.lease();
    let [one, two, three] = venue.nodes().await;
    let census = Census::default();
    let leader = soon(one.register_candidate("boss", census.computation())).await.unwrap();
    soon(two.register_candidate("boss", census.computation())).await.unwrap();
    let closing = Instant::now();
    let close = tokio::spawn(one.close());
    let next = successor(&three, "boss", &leader).await;
    assert!(closing.elapsed() < lease / 2, "{:?}", closing.elapsed());
    assert_eq!(next.node(), two.id());
    assert!(answers(&three, &next).await);
    soon(close).await.unwrap();
    assert_eq!(census.running(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn what_is_said_to_a_leader_before_it_starts_waits_for_it() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    for round in 0..20 {
        let global = format!("g{round}");
        let computation = |mut process: Process| async move {
            loop {
                let (from, number): (ProcessId, u64) = process.expect().await;
                process.send(&from, number + 1).await.unwrap();
            }
        };
        // `register_candidate` tells the pid from the term record; the process may not have been polled yet.
        let pid = soon(one.register_candidate(&global, computation)).await.unwrap();
        let number = two.run(move |mut process| async move {
            process.send(&pid, (process.self_pid().clone(), round)).await.unwrap();
            process.expect::<u64>().await
        });
        assert_eq!(soon(number).await.unwrap(), round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_global_that_is_no_process_is_told_apart() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let mut candidacy = one.client().campaign("g", b"\xff not a pid".to_vec()).await.unwrap();
    let leadership = soon(candidacy.elected()).await.unwrap();
    assert!(matches!(two.client().holder("g").await.unwrap(), Holder::Held { .. }));
    assert!(matches!(two.whereis_global("g").await, Err(Error::NotAProcess { .. })));
    assert!(matches!(two.register_candidate("g", |_| pending()).await, Err(Error::NotAProcess { .. })));
    // The candidacy stays, and wins when it can.
    drop((leadership, candidacy));
    eventually(
        "a process at last",
        async || matches!(one.whereis_global("g").await, Ok(Some(pid)) if pid.node() == two.id()),
    )
    .await;
}

const MANY: usize = 1_000;
/// The default: claiming them takes a while on a busy machine.
const LONG_LEASE: Duration = Duration::from_secs(3);

fn many() -> impl Iterator<Item = String> {
    (0..MANY).map(|n| format!("g{n}"))
}

/// Stands for all of them, and waits until each has a holder.
async fn stand_for_many(node: &Node) -> Vec<ProcessId> {
    let names: Vec<_> = many().collect();
    let standing = names.iter().map(|global| node.register_candidate(global, |_| pending()));
    join_all(standing).await.into_iter().map(Result::unwrap).collect()
}

/// Not a test: where child processes begin.
#[test]
fn child_process() {
    child::play(|_, settings| async move {
        let node = node(config(settings[0].clone()).with_lease(LONG_LEASE)).await;
        let holders = stand_for_many(&node).await;
        assert!(holders.iter().all(|pid| pid.node() == node.id()));
        child::tell(&format!("leads all {}", node.id()));
        pending::<()>().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_thousand_globals_cost_one_beat_and_are_all_taken_over() {
    let zookeeper = ZooKeeper::start();
    let mut leader = Child::start("child_process", "leader", &[&zookeeper.connect_string()]);
    leader.line("leads all");
    let standby = node(config(zookeeper.connect_string()).with_lease(LONG_LEASE)).await;
    let holders = soon(stand_for_many(&standby)).await;
    assert!(holders.iter().all(|pid| pid.node() != standby.id()));
    let tree = Tree::connect(zookeeper.address(1)).await;
    sleep(LONG_LEASE).await;

    // Claims write the lease record too, but there are none any more.
    let leases = tree.leases().await;
    assert_eq!(leases.len(), 2, "one for each node, however many globals: {leases:?}");
    let (packets, measured) = (received_packets(&zookeeper), Instant::now());
    sleep(LONG_LEASE * 4).await;
    let mut lease = None;
    for former in leases {
        let now = tree.lease(&former.path).await.unwrap();
        // Who only waits does not beat.
        if now.version != former.version {
            assert!(lease.replace(former).is_none(), "the standby beats");
        }
    }
    let lease = lease.expect("the leader beats");
    let beats = tree.lease(&lease.path).await.unwrap().version - lease.version;
    let (packets, elapsed) = (received_packets(&zookeeper) - packets, measured.elapsed());
    let expected = elapsed.as_secs_f64() / (LONG_LEASE / 3).as_secs_f64();
    // One may be on either side of each end; a busy machine beats late, never more often.
    assert!(f64::from(beats) <= expected + 2.0, "{beats} beats in {elapsed:?}");
    assert!(f64::from(beats) >= expected * 0.7 - 2.0, "{beats} beats in {elapsed:?}");
    // All traffic of the cluster: the beats, a standby's read for each, some pings a second, and this test's own.
    assert!(packets < 300, "{packets} packets for {beats} beats");

    leader.kill();
    let killed = Instant::now();
    let mut led = 0;
    while led < MANY {
        assert!(killed.elapsed() < PATIENCE, "{led} of {MANY} after {:?}", killed.elapsed());
        sleep(Duration::from_millis(20)).await;
        led = 0;
        for global in many() {
            let holder = standby.whereis_global(&global).await.unwrap();
            led += usize::from(holder.is_some_and(|pid| pid.node() == standby.id()));
        }
    }
    println!(
        "{MANY} globals: {beats} beats and {packets} packets in {elapsed:?}; taken over in {:?}",
        killed.elapsed()
    );
    assert_eq!(standby.stats().processes, MANY, "one process for each");
    assert_eq!(tree.leases().await.len(), 1, "the dead leader's record is gone");
}

/// How many packets clients have sent to the server so far.
fn received_packets(zookeeper: &ZooKeeper) -> i64 {
    let text = zookeeper.word(1, "srvr").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Received: ")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn what_an_elected_process_offers_goes_with_it() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let computation = |process: Process| async move {
        let me = process.self_pid().clone();
        process.register("boss-name", &me).unwrap();
        process.register_zk("bosses", &me).await.unwrap();
        pending::<()>().await;
    };
    let boss = soon(one.register_candidate("boss", computation)).await.unwrap();
    for service in ["bosses", "boss-name"] {
        eventually(service, async || capable(&two, service).await == [boss.clone()]).await;
    }
    // Its node withdraws: the process ends, and all that it offered.
    assert!(soon(one.withdraw("boss")).await);
    for service in ["bosses", "boss-name"] {
        eventually(service, async || capable(&two, service).await.is_empty()).await;
    }
    eventually("released", async || two.whereis_global("boss").await.unwrap().is_none()).await;
    assert_eq!(one.whereis("boss-name"), None);
}

/// The session in which ZooKeeper has a node; 0 when it has not.
async fn session_of(node: &Node, tree: &Tree) -> i64 {
    let member = tree.get(&format!("/queenright/nodes/{}", node.id())).await;
    member.map_or(0, |(_, stat)| stat.ephemeral_owner)
}

async fn an_expired_session_restarts_nothing_and_loses_nothing(venue: Venue) {
    let [victim, observer] = venue.nodes().await;
    let starts = Arc::new(Mutex::new(Vec::new()));
    let mut pids = Vec::new();
    for n in 0..10 {
        let pid = idler(&victim);
        victim.register(format!("svc{n}"), &pid).unwrap();
        soon(victim.register_zk("all", &pid)).await.unwrap();
        pids.push(pid);
    }
    let noted = Arc::clone(&starts);
    let computation = move |process: Process| {
        noted.lock().unwrap().push(process.self_pid().clone());
        pending::<()>()
    };
    let boss = soon(victim.register_candidate("boss", computation)).await.unwrap();
    soon(observer.register_candidate("boss", |_| pending())).await.unwrap();
    soon(observer.register_candidate("other", |_| pending())).await.unwrap();
    soon(victim.register_candidate("other", |_| pending())).await.unwrap();
    let all = sorted(pids.clone());
    let processes = victim.stats().processes;
    let tree = Tree::connect(venue.server.address()).await;

    for expiry in 0..3 {
        let before = session_of(&victim, &tree).await;
        venue.server.expire(SessionId(before));
        eventually("another session", async || ![0, before].contains(&session_of(&victim, &tree).await))
            .await;
        let session = session_of(&victim, &tree).await;
        let owned = async |path: String| {
            tree.get(&path).await.is_some_and(|(_, stat)| stat.ephemeral_owner == session)
        };
        eventually("all that it registered is back, in the new session", async || {
            for (n, pid) in pids.iter().enumerate() {
                for service in [format!("svc{n}"), "all".to_owned()] {
                    if !owned(format!("/queenright/services/{service}/{pid}")).await {
                        return false;
                    }
                }
            }
            tree.children("/queenright/globals/other/queue").await.len() == 1
        })
        .await;
        eventually("others see it", async || capable(&observer, "all").await == all).await;
        for node in [&victim, &observer] {
            assert_eq!(node.get_peers().await.unwrap().len(), 2);
            assert_eq!(node.whereis_global("boss").await.unwrap(), Some(boss.clone()));
        }
        assert!(starts.lock().unwrap().iter().eq([&boss]), "expiry {expiry}: the leader was not restarted");
        assert_eq!(victim.stats().processes, processes);
    }
    // What ends after an expiry ends as before it.
    victim.kill(&pids[0], "");
    eventually("its death is seen", async || {
        capable(&observer, "svc0").await.is_empty() && capable(&observer, "all").await.len() == 9
    })
    .await;
    observer.kill(&boss, "");
    eventually("and its end", async || {
        let next = observer.whereis_global("boss").await.unwrap();
        next.is_some_and(|next| next.node() == observer.id())
    })
    .await;
}

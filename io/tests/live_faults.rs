//! Faults on a real ZooKeeper: leaders that are paused, killed or cut off, nodes that come back.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use queenright::adapter::OperatingSystem;
use queenright::port::Host as _;
use queenright::{Config, DiedReason, Leadership, Node, Process, ProcessId, ProcessMonitorNotification};
use tokio::time::{Instant, sleep, timeout};

use crate::support::child::{self, Child};
use crate::support::cluster::{
    LEASE, PATIENCE, SESSION, capable, collector, config, eventually, node, nodes, soon,
};
use crate::support::tree::{Tree, payload_of};
use crate::support::zookeeper::{ZooKeeper, free_address};

/// The election's clock; all processes of a machine share it.
fn now() -> queenright_core::Instant {
    OperatingSystem.now()
}

fn wall_clock_millis() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Not a test: where child processes begin.
#[test]
fn child_process() {
    child::play(|role, settings| async move {
        match role.as_str() {
            "actor" => act(&settings[0]).await,
            "leader" => lead(child_config(&settings)).await,
            "listener" => listen(&settings[0], &settings[1]).await,
            other => panic!("no role {other}"),
        }
    });
}

fn child_config(settings: &[String]) -> Config {
    let lease = Duration::from_millis(settings[1].parse().unwrap());
    config(settings[0].clone()).with_lease(lease)
}

/// Leads whenever it can, and acts: by a task that asks its leadership, and by an elected process that sends messages.
/// Each act is told with the time *before* the question whether it may: what the clock shows then is a lower bound for
/// the moment of the answer, whatever pause comes in between.
async fn act(servers: &str) {
    let node = node(config(servers)).await;
    let sink = node.spawn(|mut process| async move {
        loop {
            let at: u64 = process.expect().await;
            child::tell(&format!("process {at}"));
        }
    });
    let computation = move |process: Process| {
        let sink = sink.clone();
        async move {
            child::tell("runs");
            loop {
                let at = now().as_nanos();
                if process.try_send(&sink, at).is_ok() {
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
    };
    // The term may be another's by now; the candidacy is what counts.
    let standing = node.clone();
    tokio::spawn(async move { standing.register_candidate("process", computation).await });
    let mut candidacy = node.client().campaign("task", "child").await.unwrap();
    loop {
        let leadership = candidacy.elected().await.unwrap();
        child::tell("leads");
        loop {
            let at = now().as_nanos();
            if !leadership.is_valid() {
                break;
            }
            child::tell(&format!("task {at}"));
            sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_leader_that_was_paused_does_not_act() {
    const TRIALS: usize = 20;
    let zookeeper = ZooKeeper::start();
    let standby = node(config(zookeeper.connect_string())).await;
    let child = Child::start("child_process", "actor", &[&zookeeper.connect_string()]);
    for trial in 0..TRIALS {
        // In any order, so without skipping lines for one of the two.
        let (mut leads, mut runs) = (false, false);
        let deadline = Instant::now() + PATIENCE;
        while !(leads && runs) {
            assert!(
                Instant::now() < deadline,
                "trial {trial}: the child leads: {leads}, its process runs: {runs}"
            );
            match child.line("").as_str() {
                "leads" => leads = true,
                "runs" => runs = true,
                _ => {}
            }
        }
        let mut candidacy = standby.client().campaign("task", "parent").await.unwrap();
        let parent = tokio::spawn({
            let standby = standby.clone();
            async move { standby.register_candidate("process", |_| pending()).await }
        });
        // Let it act for a moment, at another point of its beat in each trial.
        sleep(LEASE / 3 + Duration::from_millis(17) * u32::try_from(trial).unwrap()).await;
        child.pause();
        let paused_at = now();
        let acts: Vec<_> = child.lines();
        assert!(acts.iter().any(|line| line.starts_with("task")), "{acts:?}");
        assert!(acts.iter().any(|line| line.starts_with("process")), "{acts:?}");
        sleep(LEASE * 2).await;
        let leadership = soon(candidacy.elected()).await.unwrap();
        eventually("the process has a successor", async || {
            let holder = standby.whereis_global("process").await.unwrap();
            holder.is_some_and(|pid| pid.node() == standby.id())
        })
        .await;
        assert!(leadership.is_valid());
        child.resume();
        sleep(Duration::from_millis(300)).await;
        for line in child.lines() {
            let Some((who, at)) = line.split_once(' ') else { panic!("trial {trial}: {line}") };
            let at = queenright_core::Instant::from_nanos(at.parse().unwrap());
            assert!(
                at < paused_at,
                "trial {trial}: the {who} acted {:?} after its pause began",
                at.since(paused_at)
            );
        }
        // Back to the child.
        soon(parent).await.unwrap().unwrap();
        drop(leadership);
        soon(candidacy.resign()).await.unwrap();
        soon(standby.withdraw("process")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_leader_whose_server_is_cut_off_from_its_quorum_stops_within_its_lease() {
    // The default.
    const LEASE: Duration = Duration::from_secs(3);
    let mut zookeeper = ZooKeeper::ensemble();
    let ensemble_leader = zookeeper.leader().unwrap();
    // Once with a follower that loses its leader, and once with a leader that loses its followers.
    let follower = (1..=3).find(|n| *n != ensemble_leader).unwrap();
    for alone in [follower, ensemble_leader] {
        // It knows this server only. The session's length bounds the pauses between attempts to reconnect.
        let config = config(zookeeper.address(alone).to_string())
            .with_lease(LEASE)
            .with_session_timeout(Duration::from_secs(8));
        let node = node(config).await;
        let process = soon(node.register_candidate("process", |_| pending())).await.unwrap();
        let mut candidacy = node.client().campaign("task", "me").await.unwrap();
        let leadership = soon(candidacy.elected()).await.unwrap();
        sleep(LEASE / 2).await;
        assert!(leadership.is_valid());
        let others: Vec<_> = (1..=3).filter(|n| *n != alone).collect();
        for other in &others {
            zookeeper.pause(*other);
        }
        let cut_at = now();
        let ended_at = end_of_belief(&leadership, cut_at.after(LEASE)).await;
        // The elected process was killed and joined before that.
        assert!(node.stats().processes <= 1, "one is reserved for the next term: {:?}", node.stats());
        println!("server {alone}: believed for {:?} after the cut", ended_at.since(cut_at));
        // They are restarted, not resumed: when a leader of ZooKeeper 3.8.0 goes on and its followers are back before it
        // has given them up, a proposal of before the pause can wait for their votes for ever, and all later ones with it.
        for other in &others {
            zookeeper.kill(*other);
        }
        for other in &others {
            zookeeper.restart(*other);
        }
        // Nobody else stands, so it leads again, in another term: once the ensemble has a leader again, and the client
        // has found that out.
        let again = timeout(PATIENCE * 3, candidacy.elected()).await.expect("it leads again").unwrap();
        assert!(again.token() > leadership.token());
        assert!(!leadership.is_valid());
        eventually("another process", async || {
            node.whereis_global("process").await.unwrap().is_some_and(|pid| pid != process)
        })
        .await;
        drop((leadership, again));
        soon(node.close()).await;
    }
}

/// Watches a belief until it ends, which must be at `deadline` at the latest.
async fn end_of_belief(
    leadership: &Leadership,
    deadline: queenright_core::Instant,
) -> queenright_core::Instant {
    loop {
        // The clock first: whatever delays this task, an answer is given at or after this time.
        let asked_at = now();
        if !leadership.is_valid() {
            return asked_at;
        }
        assert!(asked_at <= deadline, "believes for {:?} too long", asked_at.since(deadline));
        sleep(Duration::from_millis(1)).await;
    }
}

/// Leads `task` and `process` until it is killed.
async fn lead(config: Config) {
    let node = node(config).await;
    let mut candidacy = node.client().campaign("task", "child").await.unwrap();
    let _leadership = candidacy.elected().await.unwrap();
    let pid = node.register_candidate("process", |_| pending()).await.unwrap();
    child::tell(&format!("leads {pid}"));
    pending::<()>().await;
}

fn start_leader(zookeeper: &ZooKeeper, lease: Duration) -> (Child, ProcessId) {
    let lease = lease.as_millis().to_string();
    let child = Child::start("child_process", "leader", &[&zookeeper.connect_string(), &lease]);
    let pid = child.line("leads").parse().unwrap();
    (child, pid)
}

/// The last beat is the modification time of the lease record, which the server took from the wall clock when it decided
/// the write; the next leader's start is the same machine's wall clock when its task, and its process, begin.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn after_kill_9_the_next_leads_within_a_lease_of_the_last_beat() {
    // The default, and a session that would keep the dead leader's ephemerals for ten of them.
    const LEASE: Duration = Duration::from_secs(3);
    assert_eq!(SESSION, LEASE * 10);
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    let (mut leader, former) = start_leader(&zookeeper, LEASE);
    let [lease] = &tree.leases().await[..] else { panic!("one leads") };
    let lease = lease.path.clone();
    let standby = node(config(zookeeper.connect_string()).with_lease(LEASE)).await;
    let mut candidacy = standby.client().campaign("task", "standby").await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let computation = move |_: Process| {
        let tell = tell.clone();
        async move {
            tell.send(wall_clock_millis()).unwrap();
            pending::<()>().await;
        }
    };
    assert_eq!(soon(standby.register_candidate("process", computation)).await.unwrap(), former);
    sleep(LEASE).await;

    // On a worker of the runtime, like any program's task: the test's own thread is woken later on a busy machine.
    let task = tokio::spawn(async move {
        let leadership = candidacy.elected().await.unwrap();
        (wall_clock_millis(), leadership)
    });
    leader.kill();
    sleep(Duration::from_millis(100)).await; // What it sent has arrived.
    let last = tree.lease(&lease).await.expect("long before a takeover");
    let (task_at, leadership) = soon(task).await.unwrap();
    let process_at = soon(told.recv()).await.unwrap();
    for (what, at) in [("task", task_at), ("process", process_at)] {
        let gap = at - last.mtime;
        println!("the next {what} leads {gap} ms after the last beat");
        let (earliest, latest) = (LEASE.as_millis(), LEASE.as_millis() * 101 / 100 + 100);
        assert!(
            gap >= i64::try_from(earliest).unwrap(),
            "{what}: {gap} ms: the dead one may have believed then"
        );
        assert!(
            gap <= i64::try_from(latest).unwrap(),
            "{what}: {gap} ms after the last beat, and not {latest}"
        );
    }
    assert!(leadership.is_valid());
    assert_eq!(tree.lease(&lease).await, None, "the dead leader's record is gone");
    // Its session is not over by far.
    assert_eq!(tree.children("/queenright/nodes").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn when_the_last_candidate_is_killed_lookups_say_so() {
    let zookeeper = ZooKeeper::start();
    // These only look, and never stood.
    let [one, two] = nodes(&zookeeper).await;
    let (mut leader, pid) = start_leader(&zookeeper, LEASE);
    assert_eq!(one.whereis_global("process").await.unwrap(), Some(pid.clone()));
    assert!(payload_of(&two.client().holder("task").await.unwrap()).is_some());
    leader.kill();
    let killed_at = Instant::now();
    // W of the record is 1.01 leases.
    let limit = LEASE * 101 / 100 + Duration::from_secs(5);
    loop {
        let forgotten = one.whereis_global("process").await.unwrap().is_none()
            && payload_of(&two.client().holder("task").await.unwrap()).is_none();
        if forgotten {
            break;
        }
        assert!(killed_at.elapsed() <= limit, "somebody still knows a dead holder");
        sleep(Duration::from_millis(5)).await;
    }
    println!("forgotten after {:?}", killed_at.elapsed());
    // Also by those who ask for the first time; what they read may be an unheard-of holder, which they wait for.
    forgets("process", &node(config(zookeeper.connect_string())).await, limit).await;
    // And if nobody looked when it died, or ever saw it alive.
    drop((one, two));
    let (mut leader, _) = start_leader(&zookeeper, LEASE);
    leader.kill();
    sleep(limit).await;
    forgets("process", &node(config(zookeeper.connect_string())).await, limit).await;
}

/// Waits until `node` knows of no holder.
async fn forgets(global: &str, node: &Node, limit: Duration) {
    let asked_at = Instant::now();
    while node.whereis_global(global).await.unwrap().is_some() {
        assert!(asked_at.elapsed() <= limit, "still known after {limit:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Listens at an address, in a process that tells what it receives.
async fn listen(servers: &str, address: &str) {
    let node = node(config(servers).with_listen(address)).await;
    let pid = node.spawn(|mut process| async move {
        loop {
            let (from, text): (ProcessId, String) = process.expect().await;
            child::tell(&format!("got {text}"));
            process.send(&from, text).await.unwrap();
        }
    });
    node.register("inbox", &pid).unwrap();
    child::tell(&format!("listens {pid}"));
    pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_node_that_was_restarted_is_not_taken_for_its_predecessor() {
    let zookeeper = ZooKeeper::start();
    let address = free_address();
    let observer = node(config(zookeeper.connect_string())).await;
    let (servers, listen) = (zookeeper.connect_string(), address.to_string());
    let start = || {
        let child = Child::start("child_process", "listener", &[&servers, &listen]);
        let pid: ProcessId = child.line("listens").parse().unwrap();
        (child, pid)
    };
    let (mut first, old) = start();
    let (deaths, died) = collector::<ProcessMonitorNotification>(&observer);
    converse(&observer, &old, "hello").await;
    assert_eq!(first.line("got"), "hello");
    // One monitor is set up while it lives, and one is set up when another lives at its address.
    let (notify, watched) = (deaths.clone(), old.clone());
    observer.spawn(|mut process| async move {
        process.monitor(&watched);
        let death: ProcessMonitorNotification = process.expect().await;
        process.send(&notify, death).await.unwrap();
    });
    sleep(Duration::from_millis(200)).await;
    first.kill();
    let (second, new) = start();
    assert_eq!(old.node().address(), new.node().address());
    assert_eq!(old.number(), new.number(), "or a mistake would not show");
    assert_ne!(old, new);

    for n in 0..20 {
        observer.send(&old, (old.clone(), format!("for the dead {n}"))).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    let (notify, watched) = (deaths.clone(), old.clone());
    observer.spawn(|mut process| async move {
        process.monitor(&watched);
        let death: ProcessMonitorNotification = process.expect().await;
        process.send(&notify, death).await.unwrap();
    });
    eventually("both monitors fire", async || died.all().len() == 2).await;
    let reasons: Vec<_> = died.all().into_iter().map(|death| (death.pid, death.reason)).collect();
    assert!(reasons.iter().all(|(pid, _)| *pid == old), "{reasons:?}");
    assert!(
        reasons.iter().all(|(_, reason)| matches!(reason, DiedReason::NodeDown | DiedReason::Disconnected)),
        "{reasons:?}"
    );
    // An exit for the predecessor's process does not hit the successor's, which has the same number.
    observer.exit(&old, "you are dead");
    observer.kill(&old, "you are dead");
    converse(&observer, &new, "welcome").await;
    assert_eq!(second.line("got"), "welcome", "and nothing came before");
    assert!(capable(&observer, "inbox").await.contains(&new));
}

/// Sends a text and waits for its echo.
async fn converse(node: &Node, with: &ProcessId, text: &str) {
    let (to, text) = (with.clone(), text.to_owned());
    let echo = node.run(|mut process| async move {
        process.send(&to, (process.self_pid().clone(), text.clone())).await.unwrap();
        process.expect_timeout::<String>(PATIENCE).await == Some(text)
    });
    assert!(soon(echo).await.unwrap(), "no answer");
}

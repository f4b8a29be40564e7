//! What others put where this library keeps its own: foreign children, garbage payloads, and hands that delete.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::future::pending;
use std::time::Duration;

use queenright::{CandidacyEvent, Error, Freshness, ProcessId, StopReason};
use tokio::time::sleep;

use crate::support::cluster::{LEASE, capable, config, eventually, idler, node, nodes, soon, sorted};
use crate::support::log::Log;
use crate::support::tree::Tree;
use crate::support::zookeeper::ZooKeeper;

/// Names that no node of ours would give to a znode, in whatever directory; the last is a valid instance, and no process.
fn foreign_names() -> Vec<String> {
    let long = "x".repeat(600);
    [
        "+",
        "README",
        "lock-0000000001",
        "x.1-0000000000",
        "a b c",
        "127.0.0.1:1@zz.1",
        "\u{e4}\u{f6}\u{fc}",
        &long,
        "i+",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn noise(len: u32) -> Vec<u8> {
    (1..=len).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

const DIRECTORIES: [&str; 6] =
    ["nodes", "services/svc", "leases", "globals/boss", "globals/boss/queue", "rubbish"];

async fn litter(tree: &Tree) {
    for directory in DIRECTORIES {
        for name in foreign_names() {
            tree.create(&format!("/queenright/{directory}/{name}"), &noise(10_000)).await;
        }
        tree.create(&format!("/queenright/{directory}/deep/deeper"), b"").await;
    }
    tree.create("/queenright/services/empty of instances", b"not a directory").await;
    tree.create("/queenright/globals/without a term", &noise(100)).await;
}

// One thread, so that the log is this test's own.
#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn foreign_children_are_ignored() {
    let log = Log::start();
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    litter(&tree).await;
    let [one, two, three] = nodes(&zookeeper).await;
    let all = [&one, &two, &three];
    let ids = sorted(all.map(|node| node.id().clone()));
    let pids = sorted([idler(&one), idler(&two)]);
    for pid in &pids {
        let owner = all.into_iter().find(|node| node.id() == pid.node()).unwrap();
        soon(owner.register_zk("svc", pid)).await.unwrap();
    }
    let race = all.map(|node| node.register_candidate("boss", |_| pending()));
    let bosses = soon(futures_util::future::join_all(race)).await;
    let boss = bosses[0].as_ref().unwrap().clone();
    assert!(bosses.iter().all(|told| told.as_ref().unwrap() == &boss), "{bosses:?}");
    for node in all {
        eventually("peers", async || sorted(node.get_peers().await.unwrap().to_vec()) == ids).await;
        eventually("processes", async || capable(node, "svc").await == pids).await;
        assert_eq!(node.nsend_capable("svc", 1_u8).await.unwrap(), 2);
        assert!(capable(node, "empty of instances").await.is_empty());
        assert_eq!(node.whereis_global("without a term").await.unwrap(), None);
    }
    assert!(log.warned_of(&["/queenright/nodes", "no instances"]), "{:?}", log.warnings());
    assert!(log.warned_of(&["/queenright/services/svc", "no instances"]), "{:?}", log.warnings());
    assert!(log.warned_of(&["no processes", "127.0.0.1:1@zz.1"]), "{:?}", log.warnings());
    assert!(log.warned_of(&["/queenright/globals/boss/queue", "no candidates"]), "{:?}", log.warnings());

    // More of it comes, changes and goes while they watch.
    for round in 0..5 {
        for directory in DIRECTORIES {
            let path = format!("/queenright/{directory}/new {round}+");
            tree.create(&path, &noise(10)).await;
            tree.set(&path, &noise(20_000)).await;
            tree.set(&format!("/queenright/{directory}/README"), &noise(round)).await;
            if round % 2 == 0 {
                tree.delete(&path).await;
            }
        }
    }
    let witness = all.into_iter().find(|node| node.id() != boss.node()).unwrap();
    witness.exit(&boss, "the next, please");
    eventually("a successor", async || {
        witness.whereis_global("boss").await.unwrap().is_some_and(|next| next.node() != boss.node())
    })
    .await;
    let late = idler(&three);
    soon(three.register_zk("svc", &late)).await.unwrap();
    let pids = sorted(pids.into_iter().chain([late]));
    for node in all {
        eventually("the new one, and no other", async || capable(node, "svc").await == pids).await;
        assert_eq!(node.get_capable("svc").await.unwrap().freshness(), Freshness::Fresh);
        assert_eq!(sorted(node.get_peers().await.unwrap().to_vec()), ids);
    }
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_garbage_term_record_spoils_its_own_global_only() {
    let log = Log::start();
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    // A valid record begins with 1; the vacant one is nothing else, and has an even version.
    let noise = noise(50_000);
    let garbage: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("noise", &noise),
        ("future", b"\x02what only a later version understands"),
        ("cut", b"\x01\x00\x64short"),
        ("path", b"\x01\x00\x05../..payload"),
        ("held", b"\x01\x00\x04junkpayload"), // by a version that means "vacant"
    ];
    for (global, data) in garbage {
        tree.create(&format!("/queenright/globals/{global}/term"), data).await;
    }
    let impatient = config(zookeeper.connect_string()).with_request_timeout(Duration::from_secs(1));
    let (one, two) = (node(impatient.clone()).await, node(impatient).await);
    let boss = soon(one.register_candidate("good", |_| pending())).await.unwrap();
    for (global, _) in garbage {
        for error in [
            two.whereis_global(global).await.unwrap_err(),
            one.register_candidate(global, |_| pending()).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(&format!("/globals/{global}/term")), "it says where: {text}");
        }
        assert!(log.warned_of(&[&format!("/globals/{global}/term"), "at version 0"]), "{:?}", log.warnings());
        assert_eq!(two.whereis_global("good").await.unwrap(), Some(boss.clone()));
    }
    // Who repairs a record (two writes, for the version must be even) needs to restart nobody.
    for (global, _) in garbage {
        let path = format!("/queenright/globals/{global}/term");
        tree.set(&path, b"\x01").await;
        tree.set(&path, b"\x01").await;
        eventually(global, async || {
            two.whereis_global(global).await.is_ok_and(|pid| pid.is_some_and(|pid| pid.node() == one.id()))
        })
        .await;
    }
    assert_eq!(one.whereis_global("good").await.unwrap(), Some(boss));
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_garbage_lease_is_not_taken_for_a_dead_one() {
    let log = Log::start();
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    let impatient = config(zookeeper.connect_string()).with_request_timeout(Duration::from_secs(1));
    let node = node(impatient).await;
    for (global, lease) in [("illegible", &b"\x07a later version"[..]), ("empty", b"")] {
        // Held, by a record that this version does not understand.
        tree.create(&format!("/queenright/leases/{global}"), lease).await;
        let mut held = vec![1, 0, u8::try_from(global.len()).unwrap()];
        held.extend(global.as_bytes());
        held.extend(b"127.0.0.1:1@00000000000000000000000000000001.1");
        let path = format!("/queenright/globals/{global}/term");
        tree.create(&path, b"\x01").await;
        tree.set(&path, &held).await;
        let holder: ProcessId = "127.0.0.1:1@00000000000000000000000000000001.1".parse().unwrap();
        assert_eq!(node.register_candidate(global, |_| pending()).await.unwrap(), holder);
        sleep(LEASE * 3).await;
        assert_eq!(node.whereis_global(global).await.unwrap(), Some(holder), "it may well live");
        assert!(log.warned_of(&[&format!("/leases/{global}"), "refused"]), "{:?}", log.warnings());
        // Whoever knows better deletes the record.
        tree.delete(&format!("/queenright/leases/{global}")).await;
        eventually("taken over", async || {
            node.whereis_global(global).await.unwrap().is_some_and(|pid| pid.node() == node.id())
        })
        .await;
    }
    // One that names a record that does not exist is dead at once.
    tree.create("/queenright/globals/orphan/term", b"\x01").await;
    tree.set("/queenright/globals/orphan/term", b"\x01\x00\x04gonepayload").await;
    let pid = soon(async {
        loop {
            if let Ok(pid) = node.register_candidate("orphan", |_| pending()).await {
                return pid;
            }
        }
    });
    assert_eq!(pid.await.node(), node.id());
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn what_is_deleted_by_hand_comes_back_or_is_given_up() {
    let log = Log::start();
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    let [one, two] = nodes(&zookeeper).await;
    let pid = idler(&one);
    soon(one.register_zk("svc", &pid)).await.unwrap();
    let mut candidacy = one.client().campaign("task", "one").await.unwrap();
    let first = soon(candidacy.elected()).await.unwrap();
    let mut waiting = two.client().campaign("task", "two").await.unwrap();
    eventually("queued", async || tree.children("/queenright/globals/task/queue").await.len() == 1).await;

    // What is registered, a membership and a candidate, is wanted: it comes back.
    tree.delete(&format!("/queenright/services/svc/{pid}")).await;
    tree.delete(&format!("/queenright/nodes/{}", one.id())).await;
    let queue = "/queenright/globals/task/queue";
    for candidate in tree.children(queue).await {
        // It keeps its turn all the same: the queue only says who tries next.
        tree.delete(&format!("{queue}/{candidate}")).await;
    }
    for node in [&one, &two] {
        eventually("the process", async || capable(node, "svc").await == [pid.clone()]).await;
        eventually("the node", async || node.get_peers().await.unwrap().len() == 2).await;
    }
    assert!(first.is_valid(), "none of this concerns a leader");

    // Its lease record: it is dead for all others, and learns it from its next beat, or from its successor.
    for lease in tree.leases().await {
        tree.delete(&lease.path).await;
    }
    soon(first.stopping().cancelled()).await;
    let reason = first.stop_reason();
    assert!(matches!(reason, Some(StopReason::LeaseLost | StopReason::Deposed)), "{reason:?}");
    drop(first);
    assert!(matches!(soon(candidacy.next()).await, Some(CandidacyEvent::Revoked { .. })));
    let either = soon(async {
        tokio::select! {
            led = candidacy.elected() => led.unwrap(),
            led = waiting.elected() => led.unwrap(),
        }
    });
    let second = either.await;

    // Its term record, overwritten: it is deposed, and the global is nobody's until that is repaired.
    let term = "/queenright/globals/task/term";
    tree.set(term, b"mine now").await;
    soon(second.stopping().cancelled()).await;
    assert_eq!(second.stop_reason(), Some(StopReason::Deposed));
    drop(second);
    assert!(log.warned_of(&[term, "term record", "refused"]), "{:?}", log.warnings());

    // Deleted: tokens start anew, and the log says so.
    tree.delete(term).await;
    let third = soon(async {
        tokio::select! {
            led = candidacy.elected() => led.unwrap(),
            led = waiting.elected() => led.unwrap(),
        }
    })
    .await;
    assert!(log.warned_of(&[term, "deleted"]), "{:?}", log.warnings());
    tree.delete(term).await;
    soon(third.stopping().cancelled()).await;
    drop(third);
    let _fourth = soon(async {
        tokio::select! {
            led = candidacy.elected() => led.unwrap(),
            led = waiting.elected() => led.unwrap(),
        }
    })
    .await;
    assert_eq!(capable(&two, "svc").await, [pid]);
}

//! Nodes of one cluster: processes, their names, and messages to them.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::future::pending;
use std::time::Duration;

use queenright::{
    Acl, Config, DiedReason, EncodeError, Error, Freshness, Match, Node, ProcessId,
    ProcessMonitorNotification, SendError, bootstrap,
};
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::sleep;

use crate::support::cluster::{capable, collector, config, eventually, idler, node, nodes, soon, sorted};
use crate::support::relay::Relay;
use crate::support::tree::Tree;
use crate::support::venue::{Venue, everywhere};
use crate::support::zookeeper::{ZooKeeper, free_address};

everywhere! {
    processes_find_each_other_and_talk,
    local_names_are_published_and_withdrawn,
}

/// Runs a process on a node, and gives what it returns.
macro_rules! run {
    ($node:expr, $body:expr) => {
        soon($node.run($body)).await.unwrap()
    };
}

async fn processes_find_each_other_and_talk(venue: Venue) {
    let [one, two] = venue.nodes().await;
    let doubler = two.spawn(|mut process| async move {
        loop {
            let (from, number): (ProcessId, u32) = process.expect().await;
            process.send(&from, number * 2).await.unwrap();
        }
    });
    two.register("doubler", &doubler).unwrap();
    eventually("the name is published", async || capable(&one, "doubler").await == [doubler.clone()]).await;
    run!(one, |mut process| async move {
        let found = process.get_capable("doubler").await.unwrap();
        for number in 0..100 {
            process.send(&found[0], (process.self_pid().clone(), number)).await.unwrap();
            assert_eq!(process.expect::<u32>().await, number * 2, "in the order in which they were sent");
        }
    });
    one.close().await;
    two.close().await;
}

async fn local_names_are_published_and_withdrawn(venue: Venue) {
    let [one, two] = venue.nodes().await;
    assert!(capable(&two, "svc").await.is_empty());
    let (first, second) = (idler(&one), idler(&one));
    one.register("svc", &first).unwrap();
    eventually("published", async || capable(&two, "svc").await == [first.clone()]).await;

    assert_eq!(one.unregister("svc"), Some(first.clone()));
    eventually("withdrawn", async || capable(&two, "svc").await.is_empty()).await;

    // One after the other, faster than ZooKeeper: what is published in the end is what holds in the end.
    for _ in 0..20 {
        one.register("svc", &first).unwrap();
        one.unregister("svc");
        one.register("svc", &second).unwrap();
        one.unregister("svc");
    }
    one.register("svc", &second).unwrap();
    let other = idler(&two);
    two.register("svc", &other).unwrap();
    let both = sorted([second, other]);
    eventually("the last of them", async || capable(&two, "svc").await == both).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(capable(&two, "svc").await, both);

    // A node that closes withdraws what it published.
    two.close().await;
    eventually("its names go with a node", async || {
        capable(&one, "svc").await == [both[0].clone()] || capable(&one, "svc").await == [both[1].clone()]
    })
    .await;
    assert!(one.get_peers().await.unwrap().iter().eq([one.id()]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn only_names_with_the_prefix_are_published() {
    let zookeeper = ZooKeeper::start();
    let one = node(config(zookeeper.connect_string()).with_register_prefix("zk-")).await;
    let two = node(config(zookeeper.connect_string())).await;
    let (public, private) = (idler(&one), idler(&one));
    one.register("private", &private).unwrap();
    one.register("zk-public", &public).unwrap();
    eventually("published", async || capable(&two, "zk-public").await == [public.clone()]).await;
    assert!(capable(&two, "private").await.is_empty());
    assert!(capable(&two, "public").await.is_empty(), "the prefix is part of the name");
    assert_eq!(one.whereis("private"), Some(private.clone()), "it is a name of its node all the same");

    // By hand any name can be published, and is there when the call returns.
    soon(one.register_zk("private", &private)).await.unwrap();
    let tree = Tree::connect(zookeeper.address(1)).await;
    assert_eq!(tree.children("/queenright/services/private").await, [private.to_string()]);
    assert!(one.unregister_zk("private", &private));
    assert!(!one.unregister_zk("private", &private));
    eventually("withdrawn", async || tree.children("/queenright/services/private").await.is_empty()).await;
    // Again and again, without a look whether it is gone.
    for _ in 0..20 {
        soon(one.register_zk("private", &private)).await.unwrap();
        assert!(one.unregister_zk("private", &private));
    }
    soon(one.register_zk("private", &private)).await.unwrap();
    assert_eq!(tree.children("/queenright/services/private").await, [private.to_string()]);
    one.kill(&private, "");
    eventually("its death", async || tree.children("/queenright/services/private").await.is_empty()).await;
    assert!(matches!(two.register_zk("x", &public).await, Err(Error::Register(_))), "not its own process");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_broadcast_reaches_each_process_of_a_service_once() {
    let zookeeper = ZooKeeper::start();
    let [one, two, three] = nodes(&zookeeper).await;
    let mut all = Vec::new();
    for node in [&one, &two, &two] {
        let (pid, received) = collector::<String>(node);
        // A node's own names are unique; its offers of a service need not be.
        soon(node.register_zk("audience", &pid)).await.unwrap();
        all.push((pid, received));
    }
    let (stranger, overheard) = collector::<String>(&two);
    two.register("stranger", &stranger).unwrap();
    let pids = sorted(all.iter().map(|(pid, _)| pid.clone()));
    for node in [&one, &two, &three] {
        eventually("all are found", async || capable(node, "audience").await == pids).await;
    }
    assert_eq!(one.nsend_capable("audience", "from a node".to_owned()).await.unwrap(), 3);
    let count = run!(three, |process| async move {
        process.nsend_capable("audience", "from a process".to_owned()).await.unwrap()
    });
    assert_eq!(count, 3);
    for (_, received) in &all {
        eventually("both arrived", async || received.all().len() == 2).await;
    }
    sleep(Duration::from_millis(200)).await;
    for (_, received) in &all {
        assert_eq!(sorted(received.all()), ["from a node", "from a process"]);
    }
    assert!(overheard.all().is_empty());
    assert_eq!(one.nsend_capable("nobody", 1_u8).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_broadcast_reaches_all_nodes() {
    let zookeeper = ZooKeeper::start();
    let nodes = nodes::<4>(&zookeeper).await;
    let ids = sorted(nodes.iter().map(|node| node.id().clone()));
    for node in &nodes {
        eventually("each sees all of them, itself included", async || {
            let peers = node.get_peers().await.unwrap();
            peers.freshness() == Freshness::Fresh && sorted(peers.to_vec()) == ids
        })
        .await;
    }
    let received: Vec<_> = nodes[..3]
        .iter()
        .map(|node| {
            let (pid, received) = collector::<u32>(node);
            node.register("inbox", &pid).unwrap();
            received
        })
        .collect();
    // One node has nobody of that name: it is told, and does not mind.
    assert_eq!(nodes[0].nsend_peers("inbox", 7_u32).await.unwrap(), 4);
    for received in &received {
        eventually("it arrived", async || received.all() == [7]).await;
    }
    let [a, b, c, d] = nodes;
    d.close().await;
    eventually("who left is no peer", async || a.get_peers().await.unwrap().len() == 3).await;
    assert_eq!(b.nsend_peers("inbox", 8_u32).await.unwrap(), 3);
    for received in &received {
        eventually("it arrived", async || received.all() == [7, 8]).await;
    }
    drop(c);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn the_cache_forgets_whoever_died_in_whatever_way() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let names = ["exited", "killed", "returned", "panicked", "linked"];
    let mut pids = Vec::new();
    for name in names {
        let pid = two.spawn(move |mut process| async move {
            match process.expect::<String>().await.as_str() {
                "return" => {}
                "panic" => panic!("as asked"),
                text => process.die(text).await,
            }
        });
        two.register(name, &pid).unwrap();
        eventually(name, async || capable(&one, name).await == [pid.clone()]).await;
        pids.push(pid);
    }
    let companion = idler(&one);
    let (linked, to) = (two.clone(), companion.clone());
    let bound = two.spawn(|process| async move {
        process.link(&to);
        pending().await
    });
    linked.unregister("linked");
    linked.register("linked", &bound).unwrap();
    eventually("linked", async || capable(&one, "linked").await == [bound.clone()]).await;

    one.exit(&pids[0], "from another node");
    one.kill(&pids[1], "from another node");
    one.send(&pids[2], "return".to_owned()).await.unwrap();
    one.send(&pids[3], "panic".to_owned()).await.unwrap();
    one.exit(&companion, "and takes the other along");
    for name in names {
        eventually(name, async || capable(&one, name).await.is_empty()).await;
        assert_eq!(one.get_capable(name).await.unwrap().freshness(), Freshness::Fresh, "and knows it");
    }
    // The node has not noticed: it does all it did.
    let late = idler(&two);
    two.register("late", &late).unwrap();
    eventually("late", async || capable(&one, "late").await == [late.clone()]).await;
}

/// Refuses, or fails, to be encoded.
#[derive(Clone, Deserialize)]
enum Unsendable {
    Refuses,
    Panics,
}

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Refuses => Err(serde::ser::Error::custom("it does not want to")),
            Self::Panics => panic!("it fails"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn what_cannot_be_encoded_hits_the_caller_and_not_the_node() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let (pid, received) = collector::<u32>(&two);
    two.register("svc", &pid).unwrap();
    eventually("published", async || capable(&one, "svc").await == [pid.clone()]).await;

    let refused = one.nsend_capable("svc", Unsendable::Refuses).await.unwrap_err();
    assert!(matches!(&refused, Error::Send(SendError::Encode(EncodeError::Refused { .. }))), "{refused}");
    assert!(refused.to_string().contains("it does not want to"), "{refused}");
    let refused = one.nsend_peers("svc", Unsendable::Refuses).await.unwrap_err();
    assert!(matches!(&refused, Error::Send(SendError::Encode(_))), "{refused}");
    let large = one.nsend_capable("svc", vec![0_u8; 32 << 20]).await.unwrap_err();
    assert!(matches!(&large, Error::Send(SendError::Encode(EncodeError::TooLarge { .. }))), "{large}");

    // A panic is the caller's: a task that sends, and a process.
    let (sender, to) = (one.clone(), pid.clone());
    let task = tokio::spawn(async move { sender.send(&to, Unsendable::Panics).await });
    assert!(task.await.unwrap_err().is_panic());
    let to = pid.clone();
    let died =
        one.run(|process| async move { process.send(&to, Unsendable::Panics).await }).await.unwrap_err();
    assert!(matches!(died, Error::Died { .. }) && died.to_string().contains("it fails"), "{died}");

    // And both nodes do all that they did, in order, on the same link.
    for number in 0..10_u32 {
        one.send(&pid, number).await.unwrap();
    }
    eventually("the rest arrived", async || received.all() == (0..10).collect::<Vec<_>>()).await;
    assert_eq!(one.nsend_capable("svc", 10_u32).await.unwrap(), 1);
    assert_eq!((one.stats().links_outbound, two.stats().links_inbound), (1, 1));
    assert!(one.get_peers().await.unwrap().len() == 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn what_the_creator_owns_is_for_those_with_his_credentials() {
    let zookeeper = ZooKeeper::start();
    let guarded = |user: &str, password: &str| {
        config(zookeeper.connect_string()).with_credentials(user, password).with_acl(Acl::CreatorAll)
    };
    let one = node(guarded("alice", "secret")).await;
    let two = node(guarded("alice", "secret")).await;
    let pid = idler(&one);
    one.register("svc", &pid).unwrap();
    eventually("friends find it", async || capable(&two, "svc").await == [pid.clone()]).await;
    let boss = soon(one.register_candidate("boss", |_| pending())).await.unwrap();
    assert_eq!(two.whereis_global("boss").await.unwrap(), Some(boss.clone()));

    let short = Duration::from_secs(3);
    let strangers = [
        guarded("alice", "guess"),
        guarded("mallory", "secret"),
        config(zookeeper.connect_string()), // no credentials at all
    ];
    for stranger in strangers {
        let refused =
            bootstrap(stranger.clone().with_request_timeout(short), |_| pending::<()>()).await.unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, Error::Refused { .. }), "{text}");
        assert!(text.contains("NoAuth") && text.contains("Config::with_credentials"), "{text}");
        // Who does not wait to be a member learns it from each verb.
        let mallory = Node::start(stranger.with_request_timeout(short)).await.unwrap();
        for refused in [
            mallory.get_capable("svc").await.unwrap_err(),
            mallory.get_peers().await.unwrap_err(),
            mallory.whereis_global("boss").await.unwrap_err(),
            mallory.register_zk("svc", &idler(&mallory)).await.unwrap_err(),
            mallory.register_candidate("boss", |_| pending()).await.unwrap_err(),
        ] {
            assert!(refused.to_string().contains("credentials"), "{refused}");
        }
        mallory.close().await;
    }
    assert_eq!(capable(&two, "svc").await, [pid], "and nobody else is disturbed");
    assert_eq!(two.whereis_global("boss").await.unwrap(), Some(boss));
    let tree = Tree::connect(zookeeper.address(1)).await;
    assert!(tree.is_refused("/queenright/services/svc").await, "the server itself keeps strangers out");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_node_without_an_interest_connects_to_nobody() {
    let zookeeper = ZooKeeper::start();
    // Each node is advertised under the address of a relay, which counts who comes.
    let mut members = Vec::new();
    for _ in 0..4 {
        let listen = free_address();
        let relay = Relay::to(listen);
        let config = config(zookeeper.connect_string())
            .with_listen(listen.to_string())
            .with_advertise(relay.address().to_string());
        members.push((node(config).await, relay));
    }
    let (one, two) = (&members[0].0, &members[1].0);
    let (pid, received) = collector::<u8>(one);
    one.register("svc", &pid).unwrap();
    for (node, _) in &members {
        // All of them look, stand, and follow, which is ZooKeeper's business alone.
        eventually("found", async || capable(node, "svc").await == [pid.clone()]).await;
        eventually("peers", async || node.get_peers().await.unwrap().len() == 4).await;
        soon(node.register_candidate("boss", |_| pending())).await.unwrap();
        assert!(node.whereis_global("boss").await.unwrap().is_some());
    }
    two.send(&pid, 1_u8).await.unwrap();
    eventually("one link is for a message", async || received.all() == [1]).await;
    sleep(Duration::from_secs(1)).await;
    let counts: Vec<_> = members.iter().map(|(_, relay)| relay.connection_count()).collect();
    assert_eq!(counts, [1, 0, 0, 0], "and there is no other");
    for (node, _) in &members[2..] {
        let stats = node.stats();
        assert_eq!((stats.links_outbound, stats.links_inbound), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn bootstrap_leaves_nothing_behind() {
    let zookeeper = ZooKeeper::start();
    let tree = Tree::connect(zookeeper.address(1)).await;
    let config = || config(zookeeper.connect_string()).with_namespace("/queenright");
    let answer = bootstrap(config(), |process| async move {
        let worker = process.spawn_local(|_| pending());
        process.register("svc", &worker).unwrap();
        process.register_candidate("boss", |_| pending()).await.unwrap();
        while process.get_capable("svc").await.unwrap().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        process.get_peers().await.unwrap().len()
    });
    assert_eq!(soon(answer).await.unwrap(), 1);
    for path in ["nodes", "services/svc", "globals/boss/queue", "leases"] {
        let path = format!("/queenright/{path}");
        assert_eq!(tree.children(&path).await, Vec::<String>::new(), "{path}");
    }
    assert_eq!(zookeeper.sessions(1).len(), 1, "the test's own");
    // Also when it fails.
    let died = soon(bootstrap(config(), |_| async { panic!("as asked") })).await;
    let Err::<(), _>(died @ Error::Died { .. }) = died else { panic!("{died:?}") };
    assert!(died.to_string().contains("as asked"), "{died}");
    assert!(tree.children("/queenright/nodes").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn links_and_monitors_work_across_nodes() {
    let zookeeper = ZooKeeper::start();
    let [one, two] = nodes(&zookeeper).await;
    let target = idler(&two);
    two.register("target", &target).unwrap();
    eventually("published", async || capable(&one, "target").await == [target.clone()]).await;
    let (closing, watched) = (two.clone(), target.clone());
    let reasons = run!(one, |mut process| async move {
        let found = process.get_capable("target").await.unwrap()[0].clone();
        let (first, second) = (process.monitor(&found), process.monitor(&watched));
        assert_ne!(first, second);
        let goner = closing.spawn(|_| pending());
        process.monitor(&goner);
        process.exit(&goner, "no longer needed");
        let mut reasons = vec![process.expect::<ProcessMonitorNotification>().await.reason];
        closing.close().await;
        for _ in 0..2 {
            reasons.push(
                process.receive_wait([Match::on(|died: ProcessMonitorNotification| died.reason)]).await,
            );
        }
        reasons
    });
    assert_eq!(reasons[0], DiedReason::Exited("no longer needed".into()));
    assert!(
        reasons[1..].iter().all(|reason| matches!(reason, DiedReason::Killed(_) | DiedReason::NodeDown)),
        "{reasons:?}"
    );
    eventually("gone", async || capable(&one, "target").await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn clusters_in_one_zookeeper_do_not_mix() {
    let zookeeper = ZooKeeper::start();
    let servers = zookeeper.connect_string();
    let setups: [Config; 3] = [
        config(servers.clone()),
        config(servers.clone()).with_namespace("/another/one"),
        config(format!("{servers}/chroot/deep")), // created when missing
    ];
    let mut nodes = Vec::new();
    for setup in setups {
        let node = node(setup).await;
        let pid = idler(&node);
        node.register("svc", &pid).unwrap();
        let boss = soon(node.register_candidate("boss", |_| pending())).await.unwrap();
        assert_eq!(boss.node(), node.id(), "each has its own");
        nodes.push((node, pid));
    }
    for (node, pid) in &nodes {
        eventually("its own", async || capable(node, "svc").await == [pid.clone()]).await;
        assert_eq!(node.get_peers().await.unwrap().to_vec(), [node.id().clone()]);
    }
    let tree = Tree::connect(zookeeper.address(1)).await;
    assert_eq!(tree.children("/chroot/deep/queenright/nodes").await.len(), 1);
    assert_eq!(tree.children("/another/one/nodes").await.len(), 1);
}

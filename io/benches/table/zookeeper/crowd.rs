//! Many at once, in one OS process.

use std::time::{Duration, Instant};

use futures_util::future;
use queenright::{Client, Config, Node};

use super::counted::Relay;
use super::namespace;
use super::server::Server;
use crate::measure::{Row, Target};

const NODES: usize = 100;
const SERVICES: usize = 1_000;
const PROCESSES: usize = 10_000;
const GLOBALS: usize = 1_000;

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let crowd = format!("{PROCESSES} processes, {SERVICES} services, {NODES} nodes in one OS process");
    if wanted(&crowd) {
        let mut time = Row::new(format!("{crowd}: start"), "s", Target::AtMost(10.0));
        let mut memory = Row::new(format!("{crowd}: allocated"), "MiB", Target::AtMost(1024.0));
        let before = crate::allocated();
        let begun = Instant::now();
        let nodes = crowd_of(server.address()).await;
        time.ours.push(begun.elapsed().as_secs_f64());
        memory.ours.push((crate::allocated() - before) as f64 / f64::from(1 << 20));
        rows.extend([time, memory]);
        future::join_all(nodes.into_iter().map(Node::close)).await;
    }
    let idle = format!("{GLOBALS} globals led by one node, idle for 10 s: requests, beside one global");
    let take_over = format!("{GLOBALS} globals whose leader is gone, until all are led, beside one");
    if wanted(&idle) || wanted(&take_over) {
        let (mut requests, mut time) =
            (Row::new(idle, "", Target::AtMost(1.0)), Row::new(take_over, "s", Target::AtMost(2.0)));
        for _ in 0..3 {
            let (many, one) = (globals(server.address(), GLOBALS).await, globals(server.address(), 1).await);
            requests.ours.push(many.0);
            requests.limit.push(one.0);
            time.ours.push(many.1);
            time.limit.push(one.1);
        }
        rows.extend([requests, time]);
    }
    rows
}

/// Started, and each process registered.
async fn crowd_of(address: &str) -> Vec<Node> {
    let namespace = namespace();
    let config = || Config::new(address).with_namespace(&namespace).with_listen("127.0.0.1:0");
    let nodes: Vec<_> = future::try_join_all((0..NODES).map(|_| Node::start(config()))).await.expect("nodes");
    let registrations = (0..PROCESSES).map(|number| {
        let node = &nodes[number % NODES];
        let pid = node.spawn(|mut process| async move {
            process.expect::<()>().await;
        });
        // Each service is on several nodes.
        let service = format!("service-{}", number * SERVICES / PROCESSES);
        async move { node.register_zk(&service, &pid).await }
    });
    future::try_join_all(registrations).await.expect("all are registered");
    nodes
}

/// Requests of an idle leader of `count` globals in ten seconds, and how long it takes until the next node leads all of them
/// when it is gone: the seconds after the lease was over.
async fn globals(address: &str, count: usize) -> (f64, f64) {
    let namespace = namespace();
    let lease = Duration::from_secs(1);
    let relay = Relay::to(address).await;
    let stand = async |client: &Client| {
        let candidacies = (0..count).map(|number| async move {
            client.campaign(&format!("global-{number}"), "bench").await.expect("free to stand")
        });
        future::join_all(candidacies).await
    };
    let connect = async |address: &str| {
        let config = Config::new(address).with_namespace(&namespace).with_lease(lease);
        Client::connect(config).await.expect("the server answers")
    };
    let leader = connect(&relay.address).await;
    let mut candidacies = stand(&leader).await;
    let leaderships =
        future::try_join_all(candidacies.iter_mut().map(|one| one.elected())).await.expect("alone");
    // Beside the janitor's office, which is stood for after a while.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _ = relay.take_now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = relay.take_now().requests() as f64;

    let follower = connect(address).await;
    let mut followers = stand(&follower).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Its host is cut off: nothing that it says arrives.
    let _ = relay.cut();
    let begun = Instant::now();
    future::try_join_all(followers.iter_mut().map(|one| one.elected())).await.expect("the next one");
    let took = begun.elapsed().as_secs_f64();
    drop((leaderships, candidacies, followers));
    drop(leader);
    follower.close().await;
    (requests, took)
}

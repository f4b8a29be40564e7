//! How cost grows with instances, services, nodes and globals: three sizes of each, nothing to compare with.

use std::hint::black_box;
use std::time::{Duration, Instant};

use futures_util::future;
use queenright::{Client, Config, Node};

use super::counted::Relay;
use super::server::Server;
use super::{client, namespace};
use crate::measure::{Row, Target};

const LOOKUPS: u32 = 200_000;
/// How long an idle cluster is watched.
const IDLE: Duration = Duration::from_secs(10);

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for size in [100, 1_000, 10_000] {
        let what = format!("growth, {size} instances");
        if wanted(&what) {
            rows.extend(instances(server.address(), size, &what).await);
        }
    }
    for size in [10, 100, 1_000] {
        let what = format!("growth, {size} services");
        if wanted(&what) {
            rows.extend(services(server.address(), size, &what).await);
        }
    }
    for size in [10, 30, 100] {
        let what = format!("growth, {size} nodes");
        if wanted(&what) {
            rows.extend(nodes(server.address(), size, &what).await);
        }
    }
    for size in [10, 100, 1_000] {
        let what = format!("growth, {size} globals");
        if wanted(&what) {
            rows.extend(globals(server.address(), size, &what).await);
        }
    }
    rows
}

/// One service, as its watcher sees it.
async fn instances(address: &str, size: usize, what: &str) -> Vec<Row> {
    let namespace = namespace();
    let others = future::join_all((0..size.div_ceil(1_000)).map(|_| client(address, &namespace))).await;
    let registered =
        (0..size).map(|number| others[number % others.len()].register("web", None, vec![b'x'; 230]));
    let registered = future::try_join_all(registered).await.expect("they are registered");
    let watcher = client(address, &namespace).await;
    let len = async || watcher.get_capable("web").await.expect("the server answers").instances().len();

    let mut load = Row::new(format!("{what}: first load"), "ms", Target::None);
    let begun = Instant::now();
    while len().await < size {
        tokio::task::yield_now().await;
    }
    load.ours.push(begun.elapsed().as_secs_f64() * 1e3);

    let mut lookup = Row::new(format!("{what}: a lookup"), "ns", Target::None);
    let begun = Instant::now();
    for _ in 0..LOOKUPS {
        black_box(len().await);
    }
    lookup.ours.push(begun.elapsed().as_nanos() as f64 / f64::from(LOOKUPS));

    let mut added = Row::new(format!("{what}: one more is registered and seen"), "us", Target::None);
    for _ in 0..30 {
        let begun = Instant::now();
        let one = others[0].register("web", None, vec![b'x'; 230]).await.expect("it is registered");
        while len().await == size {
            tokio::task::yield_now().await;
        }
        added.ours.push(begun.elapsed().as_secs_f64() * 1e6);
        one.unregister().await.expect("it is withdrawn");
        while len().await > size {
            tokio::task::yield_now().await;
        }
    }
    drop(registered);
    watcher.close().await;
    future::join_all(others.into_iter().map(Client::close)).await;
    vec![load, lookup, added]
}

/// One client that looks up so many services of one instance each.
async fn services(address: &str, size: usize, what: &str) -> Vec<Row> {
    let namespace = namespace();
    let name = |number: usize| format!("service-{number}");
    let others = client(address, &namespace).await;
    let registered = (0..size).map(|number| {
        let others = &others;
        async move { others.register(&name(number), None, vec![b'x'; 230]).await }
    });
    let registered = future::try_join_all(registered).await.expect("they are registered");
    let relay = Relay::to(address).await;
    let before = crate::allocated();
    let watcher = client(&relay.address, &namespace).await;
    let _ = relay.take().await;
    for number in 0..size {
        black_box(watcher.get_capable(&name(number)).await.expect("the server answers"));
    }
    let mut requests = Row::new(format!("{what} looked up: requests for each"), "", Target::None);
    requests.ours.push(relay.take().await.requests() as f64 / size as f64);
    let mut memory = Row::new(format!("{what} looked up: allocated for each"), "B", Target::None);
    memory.ours.push((crate::allocated() - before) as f64 / size as f64);
    let mut idle = Row::new(format!("{what} looked up: requests while idle for {IDLE:?}"), "", Target::None);
    tokio::time::sleep(IDLE).await;
    idle.ours.push(relay.take_now().requests() as f64);
    let mut lookup = Row::new(format!("{what} looked up: a lookup"), "ns", Target::None);
    let begun = Instant::now();
    for _ in 0..LOOKUPS {
        black_box(watcher.get_capable(black_box("service-7")).await.expect("it is known"));
    }
    lookup.ours.push(begun.elapsed().as_nanos() as f64 / f64::from(LOOKUPS));
    drop(registered);
    watcher.close().await;
    others.close().await;
    vec![requests, memory, idle, lookup]
}

/// Nodes that know each other and have nothing to do.
async fn nodes(address: &str, size: usize, what: &str) -> Vec<Row> {
    let namespace = namespace();
    let relay = Relay::to(address).await;
    let config = || Config::new(&relay.address).with_namespace(&namespace).with_listen("127.0.0.1:0");
    let before = crate::allocated();
    let mut start = Row::new(format!("{what} start and see each other"), "ms", Target::None);
    let begun = Instant::now();
    let nodes = future::try_join_all((0..size).map(|_| Node::start(config()))).await.expect("nodes");
    for node in &nodes {
        while node.get_peers().await.expect("the server answers").len() < size {
            tokio::task::yield_now().await;
        }
    }
    start.ours.push(begun.elapsed().as_secs_f64() * 1e3);
    let mut requests = Row::new(format!("{what} start: requests for each"), "", Target::None);
    requests.ours.push(relay.take().await.requests() as f64 / size as f64);
    let mut memory = Row::new(format!("{what}: allocated for each"), "KiB", Target::None);
    memory.ours.push((crate::allocated() - before) as f64 / 1024.0 / size as f64);
    let mut idle = Row::new(format!("{what}: requests of all while idle for {IDLE:?}"), "", Target::None);
    tokio::time::sleep(IDLE).await;
    idle.ours.push(relay.take_now().requests() as f64);
    future::join_all(nodes.into_iter().map(Node::close)).await;
    vec![start, requests, memory, idle]
}

/// So many globals for which one client stands alone.
async fn globals(address: &str, size: usize, what: &str) -> Vec<Row> {
    let namespace = namespace();
    let relay = Relay::to(address).await;
    let leader = client(&relay.address, &namespace).await;
    let _ = relay.take().await;
    let before = crate::allocated();
    let mut won = Row::new(format!("{what} until all are led"), "ms", Target::None);
    let begun = Instant::now();
    let candidacies = (0..size).map(|number| {
        let leader = &leader;
        async move { leader.campaign(&format!("global-{number}"), "bench").await }
    });
    let mut candidacies = future::try_join_all(candidacies).await.expect("free to stand");
    let leaderships =
        future::try_join_all(candidacies.iter_mut().map(|one| one.elected())).await.expect("alone");
    won.ours.push(begun.elapsed().as_secs_f64() * 1e3);
    // Beside the janitor's office, which is stood for after a while.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut requests = Row::new(format!("{what} until all are led: requests for each"), "", Target::None);
    requests.ours.push(relay.take_now().requests() as f64 / size as f64);
    let mut memory = Row::new(format!("{what} led: allocated for each"), "B", Target::None);
    memory.ours.push((crate::allocated() - before) as f64 / size as f64);
    let mut idle = Row::new(format!("{what} led: requests while idle for {IDLE:?}"), "", Target::None);
    tokio::time::sleep(IDLE).await;
    idle.ours.push(relay.take_now().requests() as f64);
    drop((leaderships, candidacies));
    leader.close().await;
    vec![won, requests, memory, idle]
}

//! What instances cost: to register them, to load them, and to hear of one more.

use std::pin::pin;
use std::time::Instant;

use futures_util::{StreamExt, future};
use queenright::{Client, Registration};
use zookeeper_client as zk;

use super::counted::Relay;
use super::server::Server;
use super::{OPEN, client, namespace, plain};
use crate::measure::{Row, Target};

const REGISTRATIONS: usize = 1_000;
const SLICES: usize = 9;

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (payload, requests_max, bytes_max) in [(0, 0.0, 150.0), (230, 1.0, 500.0)] {
        let kind = if payload == 0 { "names only" } else { "with payload" };
        for instances in [100, 10_000] {
            let added = format!("one added to {instances}, at a watcher, {kind}");
            let load = format!("first load of {instances}, {kind}: requests");
            if !wanted(&added) && !wanted(&load) {
                continue;
            }
            let watched = Watched::new(server.address(), instances, payload).await;
            // A list and a watch; a read for each payload. The session's own first requests are not counted.
            let load_max = if payload == 0 { 2.0 } else { instances as f64 + 2.0 };
            let mut row = Row::new(load, "", Target::AtMost(load_max));
            row.ours.push(watched.load_requests as f64);
            rows.push(row);
            let mut requests = Row::new(format!("{added}: requests"), "", Target::AtMost(requests_max));
            let mut bytes = Row::new(format!("{added}: bytes both ways"), "B", Target::AtMost(bytes_max));
            for _ in 0..SLICES {
                let counts = watched.add_one().await;
                requests.ours.push(counts.requests() as f64);
                bytes.ours.push(counts.bytes as f64);
            }
            rows.extend([requests, bytes]);
            watched.watcher.close().await;
            watched.others.close().await;
        }
    }
    let register =
        format!("{REGISTRATIONS} registrations, pipelined, beside {REGISTRATIONS} creates by hand");
    if wanted(&register) {
        rows.push(registrations(server, register).await);
    }
    rows
}

/// A service with instances, and a client that follows it through a relay.
struct Watched {
    others: Client,
    _registered: Vec<Registration>,
    relay: Relay,
    watcher: Client,
    payload: usize,
    instances: usize,
    load_requests: usize,
}

impl Watched {
    async fn new(address: &str, instances: usize, payload: usize) -> Self {
        let namespace = namespace();
        // A node holds 5,000 registrations at most: there are as many clients as it takes.
        let others = client(address, &namespace).await;
        let mut registered = Vec::new();
        while registered.len() < instances {
            let more = client(address, &namespace).await;
            let count = (instances - registered.len()).min(REGISTRATIONS);
            registered.extend(register(&more, count, payload).await);
        }
        let relay = Relay::to(address).await;
        let watcher = client(&relay.address, &namespace).await;
        // What a session asks for anyway.
        let _ = relay.take().await;
        while watcher.get_capable("web").await.expect("the server answers").instances().len() < instances {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let load_requests = relay.take().await.requests();
        Self { others, _registered: registered, relay, watcher, payload, instances, load_requests }
    }

    async fn add_one(&self) -> super::counted::Counts {
        let mut changes = pin!(self.watcher.follow("web").await.expect("it runs").into_stream());
        let first = changes.next().await.expect("the level");
        assert_eq!(first.changes.len(), self.instances, "the watcher knows all");
        let _ = self.relay.take().await;
        let one =
            self.others.register("web", None, vec![b'x'; self.payload]).await.expect("it is registered");
        let change = changes.next().await.expect("a change");
        assert_eq!(change.changes.len(), 1, "one came");
        let counts = self.relay.take().await;
        one.unregister().await.expect("it is withdrawn");
        changes.next().await.expect("another change");
        counts
    }
}

async fn register(client: &Client, count: usize, payload: usize) -> Vec<Registration> {
    future::try_join_all((0..count).map(|_| client.register("web", None, vec![b'x'; payload])))
        .await
        .expect("they are registered")
}

async fn registrations(server: &Server, what: String) -> Row {
    let mut row = Row::new(what, "ms", Target::AtMost(1.2));
    for slice in 0..=SLICES {
        let namespace = namespace();
        let ours = client(server.address(), &namespace).await;
        // The directories are there.
        let first = ours.register("web", None, vec![b'x'; 230]).await.expect("it is registered");
        let begun = Instant::now();
        let registered = register(&ours, REGISTRATIONS, 230).await;
        let took = begun.elapsed();
        drop((first, registered));
        ours.close().await;

        let by_hand = plain(server.address()).await;
        let options = zk::CreateMode::Ephemeral.with_acls(OPEN);
        let begun = Instant::now();
        let paths: Vec<_> = (0..REGISTRATIONS)
            .map(|number| format!("{namespace}/services/web/by-hand-{number:025}+"))
            .collect();
        future::try_join_all(paths.iter().map(|path| by_hand.create(path, &[b'x'; 230], &options)))
            .await
            .expect("they are created");
        let limit = begun.elapsed();
        drop(by_hand);
        if slice > 0 {
            row.ours.push(took.as_secs_f64() * 1e3);
            row.limit.push(limit.as_secs_f64() * 1e3);
        }
    }
    row
}

//! What a change of leader costs.

use std::time::{Duration, Instant};

use futures_util::future;
use queenright::{Candidacy, Client, Config};
use zookeeper_client as zk;

use super::counted::Relay;
use super::server::Server;
use super::{OPEN, client, namespace, plain};
use crate::measure::{Row, Target};

const CANDIDATES: usize = 5;
const FAILURES: u32 = 9;
const LEASE: Duration = Duration::from_secs(1);
const ROUNDS: usize = 40;
/// Before each round: whoever is idle has to be woken, here as there.
const IDLE: Duration = Duration::from_millis(30);

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let hand_over = format!("hand-over among {CANDIDATES}, beside write, notification, write");
    if wanted(&hand_over) {
        let mut row = Row::new(hand_over, "ms", Target::AtMost(1.15));
        let mut office = Office::new(server.address(), CANDIDATES, None).await;
        let mut limit = Limit::new(server.address()).await;
        for round in 0..ROUNDS + 10 {
            let (ours, theirs) = (office.hand_over().await, limit.round().await);
            if round >= 10 {
                row.ours.push(ours.as_secs_f64() * 1e3);
                row.limit.push(theirs.as_secs_f64() * 1e3);
            }
        }
        rows.push(row);
    }
    // What L bounds, and the clocks' difference of 1 %, and 100 ms for the rest.
    let most = LEASE.as_secs_f64() * 1010.0 + 100.0;
    let fail_over = format!("fail-over of a leader that is gone, lease of {LEASE:?}, from its last beat");
    if wanted(&fail_over) {
        let mut row = Row::new(fail_over, "ms", Target::AtMost(most));
        for round in 0..FAILURES {
            row.ours.push(failure(server.address(), round).await.as_secs_f64() * 1e3);
        }
        rows.push(row);
    }
    let crowd = "one change of leader among 100";
    if wanted(crowd) {
        let mut requests = Row::new(format!("{crowd}: requests of all"), "", Target::AtMost(10.0));
        let mut listings = Row::new(format!("{crowd}: listings"), "", Target::AtMost(2.0));
        let relay = Relay::to(server.address()).await;
        let mut office = Office::new(server.address(), 100, Some(&relay)).await;
        for _ in 0..9 {
            let _ = relay.take().await;
            office.step_down().await;
            let counts = relay.take().await;
            requests.ours.push(counts.requests() as f64);
            listings.ours.push(counts.listings() as f64);
        }
        rows.extend([requests, listings]);
    }
    rows
}

/// The leader's connection ends and nobody hears of it again; from its last beat to the election of the next one. Each
/// round has another phase between two beats.
async fn failure(address: &str, round: u32) -> Duration {
    let namespace = namespace();
    let relay = Relay::to(address).await;
    let connect = async |address: &str| {
        let config = Config::new(address).with_namespace(&namespace).with_lease(LEASE);
        Client::connect(config).await.expect("the server answers")
    };
    let (leader, follower) = (connect(&relay.address).await, connect(address).await);
    let mut first = leader.campaign("office", "first").await.expect("free to stand");
    let leadership = first.elected().await.expect("alone");
    let mut second = follower.campaign("office", "second").await.expect("free to stand");
    tokio::time::sleep(LEASE * 2 + LEASE * round / FAILURES).await;
    let last_beat = relay.cut();
    let next = second.elected().await.expect("the next one");
    let took = last_beat.elapsed();
    drop((next, leadership, first, second, leader));
    follower.close().await;
    took
}

/// A global, and those who stand for it: the leader first, then in the order in which they follow.
struct Office {
    clients: Vec<Client>,
    candidacies: Vec<Candidacy>,
    leadership: Option<queenright::Leadership>,
}

impl Office {
    async fn new(address: &str, candidates: usize, relay: Option<&Relay>) -> Self {
        let namespace = namespace();
        let address = relay.map_or(address, |relay| &relay.address);
        let clients = future::join_all((0..candidates).map(|_| client(address, &namespace))).await;
        let mut candidacies = Vec::new();
        let mut leadership = None;
        for client in &clients {
            let mut candidacy = client.campaign("office", "bench").await.expect("it is free to stand");
            if leadership.is_none() {
                leadership = Some(candidacy.elected().await.expect("it is the only one"));
            }
            candidacies.push(candidacy);
            // In the queue, in this order.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        Self { clients, candidacies, leadership }
    }

    /// The leader resigns and stands again behind all others; from its resignation to the next one's election.
    async fn hand_over(&mut self) -> Duration {
        tokio::time::sleep(IDLE).await;
        let took = self.step_down().await;
        let client = self.clients[0].clone();
        self.clients.rotate_left(1);
        self.candidacies.push(client.campaign("office", "bench").await.expect("it may stand again"));
        tokio::time::sleep(IDLE).await;
        took
    }

    async fn step_down(&mut self) -> Duration {
        let candidacy = self.candidacies.remove(0);
        let begun = Instant::now();
        // Its application has stopped.
        drop(self.leadership.take());
        let (resigned, elected) = future::join(candidacy.resign(), async {
            let leadership = self.candidacies[0].elected().await.expect("it is the next one");
            (leadership, begun.elapsed())
        })
        .await;
        resigned.expect("the server answers");
        let (leadership, took) = elected;
        self.leadership = Some(leadership);
        took
    }
}

/// What no election can do without: the old one's word, its arrival at the new one, and the new one's word.
struct Limit {
    old: zk::Client,
    new: zk::Client,
    path: String,
}

impl Limit {
    async fn new(address: &str) -> Self {
        let (old, new) = future::join(plain(address), plain(address)).await;
        let path = namespace();
        old.create(&path, b"", &zk::CreateMode::Persistent.with_acls(OPEN)).await.expect("a znode");
        Self { old, new, path }
    }

    async fn round(&mut self) -> Duration {
        let (_, watcher) = self.new.check_and_watch_stat(&self.path).await.expect("a watch");
        tokio::time::sleep(IDLE).await;
        let begun = Instant::now();
        let (written, took) = future::join(self.old.set_data(&self.path, b"gone", None), async {
            watcher.changed().await;
            self.new.set_data(&self.path, b"mine", None).await.map(|_| begun.elapsed())
        })
        .await;
        written.expect("a write");
        took.expect("another")
    }
}

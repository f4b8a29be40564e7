//! Discovery and election end to end.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::time::Duration;

use futures_util::StreamExt as _;
use queenright::{
    Acl, CandidacyEvent, Client, Config, CreateMode, Error, Freshness, GuardError, Holder, InstanceChange,
    Leadership, Path, RegistrationStatus, SessionStatus, StopReason, Token, Version, Write, WriteReply,
};
use queenright_core::SessionEpoch;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};

use crate::support::relay::Relay;
use crate::support::tree::Tree;
use crate::support::venue::{Venue, everywhere};
use crate::support::zookeeper::ZooKeeper;

everywhere! {
    instances_come_change_and_go,
    one_of_three_leads_and_another_one_after_its_death,
    a_leader_hands_over_when_it_resigns_and_not_before_it_stopped,
    belief_ends_within_the_lease_when_the_connection_does,
    an_expired_session_costs_neither_registrations_nor_leadership,
    candidates_whose_sessions_expired_succeed_each_other_all_the_same,
}

const LEASE: Duration = Duration::from_millis(900);
/// The request timeout of the clients under test.
const LIMIT: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(20);

fn config(servers: impl Into<String>) -> Config {
    Config::new(servers)
        .with_lease(LEASE)
        .with_session_timeout(Duration::from_secs(30))
        .with_request_timeout(LIMIT)
        .with_connect_timeout(LIMIT)
}

async fn connect(zookeeper: &ZooKeeper) -> Client {
    Client::connect(config(zookeeper.connect_string())).await.unwrap()
}

fn config_at(venue: &Venue) -> Config {
    venue.adapt(config(venue.server.connect_string()))
}

async fn connect_at(venue: &Venue) -> Client {
    Client::connect(config_at(venue)).await.unwrap()
}

/// Ends a client's session, and waits until it has another one.
async fn expire(venue: &Venue, client: &Client) {
    let Some(SessionStatus::Connected { session, session_epoch }) = client.session() else { panic!() };
    venue.server.expire(session);
    within(PATIENCE, newer_session(client, session_epoch)).await;
}

async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    timeout(limit, what).await.expect("too late")
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came to hold");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn newer_session(client: &Client, than: SessionEpoch) {
    let mut sessions = client.session_changes();
    let is_newer = |status: &Option<SessionStatus>| matches!(status, Some(SessionStatus::Connected { session_epoch, .. }) if *session_epoch > than);
    sessions.wait_for(is_newer).await.unwrap();
}

async fn names(client: &Client, service: &str) -> Vec<String> {
    let snapshot = client.get_capable(service).await.unwrap();
    snapshot.instances().iter().map(|instance| instance.name.to_string()).collect()
}

async fn instances_come_change_and_go(venue: Venue) {
    let (provider, consumer) = (connect_at(&venue).await, connect_at(&venue).await);

    let empty = consumer.get_capable("web").await.unwrap();
    assert_eq!((empty.instances(), empty.freshness()), (&[][..], Freshness::Fresh), "authoritatively empty");
    let mut follow = consumer.follow("web").await.unwrap();
    let first = within(PATIENCE, follow.next()).await.unwrap();
    assert_eq!((first.changes.len(), first.freshness), (0, Freshness::Fresh));

    let mut one = provider.register("web", Some("one"), b"10.0.0.1".to_vec()).await.unwrap();
    assert!(matches!(one.status(), RegistrationStatus::Registered { .. }));
    let two = provider.register("web", None, Vec::new()).await.unwrap();
    assert!(two.instance().starts_with(provider.name()), "{}", two.instance());

    let mut seen = Vec::new();
    while seen.len() < 2 {
        for change in within(PATIENCE, follow.next()).await.unwrap().changes {
            match change {
                InstanceChange::Added(instance) => seen.push((instance.name.to_string(), instance.payload)),
                other => panic!("{other:?}"),
            }
        }
    }
    seen.sort();
    assert_eq!(seen.iter().find(|(name, _)| name == "one").unwrap().1.as_ref(), b"10.0.0.1");
    let snapshot = consumer.get_capable("web").await.unwrap();
    assert_eq!(snapshot.instances().len(), 2);
    assert_eq!(snapshot.instance("one").unwrap().payload.as_ref(), b"10.0.0.1");
    assert!(snapshot.instance("none").is_none());

    within(PATIENCE, one.update(b"10.0.0.2".to_vec())).await.unwrap();
    // Who asks for the first time afterwards sees it: it was in ZooKeeper when `update` returned.
    let late = connect_at(&venue).await;
    let snapshot = late.get_capable("web").await.unwrap();
    assert_eq!(snapshot.instance("one").unwrap().payload.as_ref(), b"10.0.0.2");
    let changes = within(PATIENCE, follow.next()).await.unwrap().changes;
    assert!(matches!(&changes[..], [InstanceChange::Updated(instance)] if instance.name.as_str() == "one"));

    within(PATIENCE, one.unregister()).await.unwrap();
    let changes = within(PATIENCE, follow.next()).await.unwrap().changes;
    assert!(matches!(&changes[..], [InstanceChange::Removed(name)] if name.as_str() == "one"), "{changes:?}");
    drop(two);
    eventually(async || names(&consumer, "web").await.is_empty()).await;

    within(PATIENCE, consumer.close()).await;
    while within(PATIENCE, follow.next()).await.is_some() {}
    assert!(matches!(late.register("a/b", None, Vec::new()).await, Err(Error::Name(_))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn names_are_taken_once() {
    let zookeeper = ZooKeeper::start();
    let impatient = config(zookeeper.connect_string()).with_request_timeout(Duration::from_millis(700));
    let first = connect(&zookeeper).await;
    let second = Client::connect(impatient).await.unwrap();
    let held = first.register("db", Some("primary"), Vec::new()).await.unwrap();
    assert!(matches!(first.register("db", Some("primary"), Vec::new()).await, Err(Error::Misuse(_))));
    let error = second.register("db", Some("primary"), Vec::new()).await.unwrap_err();
    assert!(matches!(&error, Error::Occupied { owner: Some(_), .. }), "{error}");
    // Once it is free it can be had, and the attempt that failed left nothing behind.
    held.unregister().await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert!(names(&first, "db").await.is_empty());
    let _held = within(PATIENCE, second.register("db", Some("primary"), Vec::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn lookups_are_answered_from_memory_also_without_a_server() {
    let zookeeper = ZooKeeper::start();
    let client = connect(&zookeeper).await;
    let _registration = client.register("s", Some("x"), b"data".to_vec()).await.unwrap();
    client.get_capable("s").await.unwrap();
    zookeeper.pause(1);
    let started = Instant::now();
    for _ in 0..10_000 {
        client.get_capable("s").await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(2));
    eventually(async || {
        matches!(client.get_capable("s").await.unwrap().freshness(), Freshness::Stale { .. })
    })
    .await;
    let stale = client.get_capable("s").await.unwrap();
    assert_eq!(stale.instances().len(), 1, "failure never empties a cache");
    assert!(stale.stale_for().unwrap() > Duration::ZERO);
    // What was never asked before cannot be answered, and is not answered with nothing.
    let impatient = timeout(Duration::from_millis(500), client.get_capable("other")).await;
    assert!(impatient.is_err());
    zookeeper.resume(1);
    eventually(async || client.get_capable("s").await.unwrap().freshness() == Freshness::Fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn unused_caches_are_dropped_and_come_back() {
    let zookeeper = ZooKeeper::start();
    let config = config(zookeeper.connect_string()).with_cache_idle(Duration::from_millis(400));
    let client = Client::connect(config).await.unwrap();
    let watched = |what: &str| zookeeper.word(1, "wchp").unwrap().contains(what);
    client.get_capable("idle").await.unwrap();
    client.holder("nobody").await.unwrap();
    let _follow = client.follow("followed").await.unwrap();
    eventually(async || {
        watched("/services/idle") && watched("/services/followed") && watched("/globals/nobody")
    })
    .await;
    // Use keeps it.
    for _ in 0..20 {
        sleep(Duration::from_millis(50)).await;
        client.get_capable("idle").await.unwrap();
        client.holder("nobody").await.unwrap();
    }
    assert!(watched("/services/idle") && watched("/globals/nobody"));
    eventually(async || !watched("/services/idle") && !watched("/globals/nobody")).await;
    assert!(watched("/services/followed"), "a follower is use");
    let _registration = client.register("idle", Some("x"), Vec::new()).await.unwrap();
    assert_eq!(names(&client, "idle").await, ["x"]);
}

/// A client on a runtime of its own, which can be killed.
struct Victim {
    runtime: Option<Runtime>,
    client: Client,
}

impl Victim {
    fn connect(config: Config) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = std::thread::scope(|scope| {
            let connect = || runtime.block_on(Client::connect(config)).unwrap();
            scope.spawn(connect).join().unwrap()
        });
        Self { runtime: Some(runtime), client }
    }

    /// As a crash: nobody says good-bye.
    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn payload_of(holder: &Holder) -> Option<(Token, Vec<u8>)> {
    match holder {
        Holder::Held { token, payload, .. } => Some((*token, payload.to_vec())),
        Holder::Unknown | Holder::Vacant => None,
    }
}

async fn one_of_three_leads_and_another_one_after_its_death(venue: Venue) {
    let lease = venue.lease();
    let mut victims: Vec<Victim> = Vec::new();
    let mut candidacies = Vec::new();
    for name in ["a", "b", "c"] {
        let victim = Victim::connect(config_at(&venue).with_name(name));
        candidacies.push(victim.client.campaign("boss", name).await.unwrap());
        victims.push(victim);
    }
    let observer = connect_at(&venue).await;
    let first: Leadership = {
        let [a, b, c] = &mut candidacies[..] else { panic!() };
        within(PATIENCE, async {
            tokio::select! {
                leadership = a.elected() => leadership,
                leadership = b.elected() => leadership,
                leadership = c.elected() => leadership,
            }
        })
        .await
        .unwrap()
    };
    assert!(first.is_valid());
    let (token, leader) = payload_of(&observer.holder("boss").await.unwrap()).unwrap();
    assert_eq!((token, leader.as_slice()), (first.token(), first.payload()));
    sleep(2 * lease).await;
    assert!(first.is_valid(), "it goes on as long as it is healthy");
    let index = ["a", "b", "c"].iter().position(|name| name.as_bytes() == leader).unwrap();
    for (_, candidacy) in candidacies.iter_mut().enumerate().filter(|(at, _)| *at != index) {
        let second = timeout(Duration::from_millis(100), candidacy.elected()).await;
        assert!(second.is_err(), "a second leader: {second:?}");
    }

    victims[index].kill();
    let killed_at = Instant::now();
    let mut rest: Vec<_> = candidacies
        .iter_mut()
        .enumerate()
        .filter(|(at, _)| *at != index)
        .map(|(_, candidacy)| candidacy)
        .collect();
    let [x, y] = &mut rest[..] else { panic!() };
    let second = within(PATIENCE, async {
        tokio::select! {
            leadership = x.elected() => leadership,
            leadership = y.elected() => leadership,
        }
    })
    .await
    .unwrap();
    let gap = killed_at.elapsed();
    assert!(!first.is_valid(), "the dead one does not believe any more");
    assert!(first.stopping().is_cancelled());
    assert!(second.token() > first.token());
    // W − B to W after the death, whatever the session timeout of 30 s; the rest is for a busy machine.
    assert!(gap > lease / 2 && gap < lease * 2, "{gap:?}");
    eventually(async || {
        payload_of(&observer.holder("boss").await.unwrap()).is_some_and(|(token, _)| token == second.token())
    })
    .await;
}

async fn a_leader_hands_over_when_it_resigns_and_not_before_it_stopped(venue: Venue) {
    let (one, two) = (connect_at(&venue).await, connect_at(&venue).await);
    let mut first = one.campaign("g", "one").await.unwrap();
    let leadership = within(PATIENCE, first.elected()).await.unwrap();
    assert!(matches!(one.campaign("g", "again").await, Err(Error::AlreadyCandidate { .. })));
    let mut second = two.campaign("g", "two").await.unwrap();
    // Until it stands in the queue.
    sleep(Duration::from_millis(300)).await;

    let resigned = tokio::spawn(first.resign());
    within(PATIENCE, leadership.stopping().cancelled()).await;
    assert_eq!(leadership.stop_reason(), Some(StopReason::Resigned));
    assert!(leadership.is_valid(), "it may still finish what it does");
    assert_eq!(leadership.run(std::future::pending::<()>()).await, Err(queenright::Deposed));
    let token = leadership.token();
    drop(leadership);
    let next = within(venue.lease() / 2, second.elected()).await.unwrap();
    assert!(next.token() > token);
    within(PATIENCE, resigned).await.unwrap().unwrap();

    // Giving up a term without resigning: the candidacy goes on, and the term after it is another one.
    let token = next.token();
    drop(next);
    let again = within(PATIENCE, second.elected()).await.unwrap();
    assert!(again.token() > token);

    // A candidacy that is dropped leaves nothing behind, and the same client can stand again.
    drop(again);
    drop(second);
    let mut third = within(PATIENCE, two.campaign("g", "three")).await.unwrap();
    let leadership = within(PATIENCE, third.elected()).await.unwrap();
    assert_eq!(leadership.payload(), b"three");
    // Closing revokes as well, and promptly.
    let closing = Instant::now();
    let close = tokio::spawn(two.close());
    within(PATIENCE, leadership.stopping().cancelled()).await;
    drop(leadership);
    within(PATIENCE, close).await.unwrap();
    assert!(closing.elapsed() < Duration::from_secs(2), "{:?}", closing.elapsed());
    assert!(matches!(third.next().await, Some(CandidacyEvent::Revoked { .. })));
    assert!(third.next().await.is_none());
    eventually(async || one.holder("g").await.unwrap() == Holder::Vacant).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn a_leader_that_does_not_stop_loses_its_term_all_the_same() {
    let zookeeper = ZooKeeper::start();
    let (one, two) = (connect(&zookeeper).await, connect(&zookeeper).await);
    let mut first = one.campaign("g", "one").await.unwrap();
    let leadership = within(PATIENCE, first.elected()).await.unwrap();
    let mut second = two.campaign("g", "two").await.unwrap();
    drop(first);
    let next = within(2 * LEASE, second.elected()).await.unwrap();
    assert!(!leadership.is_valid());
    assert!(next.is_valid());
}

async fn belief_ends_within_the_lease_when_the_connection_does(venue: Venue) {
    let lease = venue.lease();
    for stalls in [false, true] {
        let relay = Relay::to(venue.server.address());
        let leader = Client::connect(venue.adapt(config(relay.address().to_string()))).await.unwrap();
        let standby = connect_at(&venue).await;
        let mut first = leader.campaign("g", "first").await.unwrap();
        let leadership = within(PATIENCE, first.elected()).await.unwrap();
        let mut second = standby.campaign("g", "second").await.unwrap();
        if stalls {
            relay.stall()
        } else {
            relay.cut()
        }
        let cut_at = Instant::now();
        within(lease, leadership.stopping().cancelled()).await;
        while leadership.is_valid() {
            assert!(cut_at.elapsed() <= lease, "still believes after {:?}", cut_at.elapsed());
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(leadership.stop_reason(), Some(StopReason::LeaseRanOut));
        let next = within(PATIENCE, second.elected()).await.unwrap();
        assert!(next.token() > leadership.token());
        relay.heal();
        sleep(lease).await;
        assert!(!leadership.is_valid() && next.is_valid(), "once false, it stays false");
        // Before the relay goes, or their candidates would stand in the queue until their sessions end.
        drop((leadership, next));
        within(PATIENCE, leader.close()).await;
        within(PATIENCE, standby.close()).await;
    }
}

async fn an_expired_session_costs_neither_registrations_nor_leadership(venue: Venue) {
    let lease = venue.lease();
    let victim = connect_at(&venue).await;
    let mut registrations = Vec::new();
    for n in 0..20 {
        let (name, metadata) = (format!("i{n:02}"), if n % 2 == 0 { vec![] } else { vec![n] });
        registrations.push(victim.register("many", Some(&name), metadata).await.unwrap());
    }
    let mut candidacy = victim.campaign("g", "victim").await.unwrap();
    let leadership = within(PATIENCE, candidacy.elected()).await.unwrap();
    expire(&venue, &victim).await;
    let observer = connect_at(&venue).await;
    eventually(async || names(&observer, "many").await.len() == 20).await;
    for (n, registration) in registrations.iter().enumerate() {
        let snapshot = observer.get_capable("many").await.unwrap();
        let expected = if n % 2 == 0 { vec![] } else { vec![u8::try_from(n).unwrap()] };
        assert_eq!(snapshot.instance(registration.instance()).unwrap().payload.as_ref(), expected);
    }
    sleep(lease).await;
    assert!(leadership.is_valid(), "leadership does not depend on the session");
    // What was dropped is not resurrected by the next expiry.
    registrations.truncate(10);
    eventually(async || names(&observer, "many").await.len() == 10).await;
    expire(&venue, &victim).await;
    for registration in &registrations {
        let mut changes = std::pin::pin!(registration.status_changes());
        let registered =
            async { while !matches!(changes.next().await, Some(RegistrationStatus::Registered { .. })) {} };
        within(PATIENCE, registered).await;
    }
    eventually(async || names(&observer, "many").await.len() == 10).await;
}

async fn candidates_whose_sessions_expired_succeed_each_other_all_the_same(venue: Venue) {
    let lease = venue.lease();
    let mut leader = Victim::connect(config_at(&venue));
    let mut first = leader.client.campaign("g", "first").await.unwrap();
    let leadership = within(PATIENCE, first.elected()).await.unwrap();
    let standby = connect_at(&venue).await;
    let mut second = standby.campaign("g", "second").await.unwrap();
    let tree = Tree::connect(venue.server.address()).await;
    let queue = async || tree.children("/queenright/globals/g/queue").await;
    eventually(async || queue().await.len() == 1).await;
    let before = queue().await;
    expire(&venue, &leader.client).await;
    expire(&venue, &standby).await;
    eventually(async || queue().await.len() == 1 && queue().await != before).await;
    let early = timeout(lease, second.elected()).await;
    assert!(early.is_err() && leadership.is_valid(), "nothing has happened to the leader: {early:?}");

    leader.kill();
    let killed_at = Instant::now();
    let next = within(PATIENCE, second.elected()).await.unwrap();
    let gap = killed_at.elapsed();
    assert!(!leadership.is_valid() && next.token() > leadership.token());
    assert!(gap > lease / 2 && gap < lease * 2, "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn guarded_writes_stop_with_the_term() {
    let zookeeper = ZooKeeper::start();
    let (one, two) = (connect(&zookeeper).await, connect(&zookeeper).await);
    let mut first = one.campaign("g", "one").await.unwrap();
    let leadership = within(PATIENCE, first.elected()).await.unwrap();
    let at = |path: &str| Path::new(path).unwrap();
    let make = |path: &str| Write::Create { path: at(path), data: vec![], mode: CreateMode::Persistent };
    let set = |path: &str| Write::SetData { path: at(path), data: b"x".to_vec(), version: Version::Any };
    let replies = leadership.guard(vec![make("/state"), set("/state")]).await.unwrap();
    assert!(matches!(replies[..], [WriteReply::Created, WriteReply::Set { .. }]), "{replies:?}");
    assert_eq!(
        leadership.guard(vec![set("/state"), set("/missing")]).await,
        Err(GuardError::Refused { index: 1, code: queenright::ErrorCode::NoNode })
    );
    let big = Write::SetData { path: at("/state"), data: vec![0; 2_000_000], version: Version::Any };
    assert_eq!(
        leadership.guard(vec![big]).await,
        Err(GuardError::RefusedWhole { code: queenright::ErrorCode::TooLarge })
    );
    assert!(leadership.is_valid(), "a write that is refused harms nothing else");

    // Another hand writes the term record: ZooKeeper knows, this node does not, and its writes are refused.
    let mut other = two.campaign("h", "two").await.unwrap();
    let sabotage = within(PATIENCE, other.elected()).await.unwrap();
    sabotage.guard(vec![set("/queenright/globals/g/term")]).await.unwrap();
    let refused = leadership.guard(vec![set("/state")]).await;
    // By ZooKeeper, or by this node, when the event on the record was quicker than this call.
    assert!(matches!(refused, Err(GuardError::Fenced | GuardError::NotLeading)), "{refused:?}");
    assert!(!leadership.is_valid() && leadership.stopping().is_cancelled());
    assert_eq!(leadership.guard(vec![set("/state")]).await, Err(GuardError::NotLeading));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn what_keeps_a_client_out_is_named() {
    let zookeeper = ZooKeeper::start();
    let short = Duration::from_millis(1500);
    // A port that nobody listens on, and a name that nobody has.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for (servers, part) in [
        (closed.to_string(), "connection refused"),
        ("zookeeper.invalid:2181".to_owned(), "no address for this name"),
    ] {
        let error = Client::connect(Config::new(&servers).with_connect_timeout(short)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&servers) && text.contains(part) && text.contains("1.5s"), "{text}");
    }

    let guarded = config(zookeeper.connect_string())
        .with_namespace("/guarded")
        .with_credentials("alice", "secret")
        .with_acl(Acl::CreatorAll);
    let alice = Client::connect(guarded.clone()).await.unwrap();
    let _registration = alice.register("s", Some("x"), b"1".to_vec()).await.unwrap();
    let mut candidacy = alice.campaign("g", "alice").await.unwrap();
    let _leadership = within(PATIENCE, candidacy.elected()).await.unwrap();
    let friend = Client::connect(guarded.clone()).await.unwrap();
    assert_eq!(names(&friend, "s").await, ["x"]);
    assert!(payload_of(&friend.holder("g").await.unwrap()).is_some());

    let wrong = guarded.with_credentials("alice", "guess").with_request_timeout(Duration::from_secs(3));
    let mallory = Client::connect(wrong).await.unwrap();
    let error = mallory.register("s", Some("y"), Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
    let error = mallory.get_capable("s").await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
    let error = mallory.holder("g").await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
    assert_eq!(names(&alice, "s").await, ["x"], "and nobody else is disturbed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn dropping_everything_closes_the_session() {
    let zookeeper = ZooKeeper::start();
    let observer = connect(&zookeeper).await;
    let client = connect(&zookeeper).await;
    let registration = client.register("s", Some("x"), Vec::new()).await.unwrap();
    assert_eq!(zookeeper.sessions(1).len(), 2);
    drop(client);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(names(&observer, "s").await, ["x"], "a registration keeps it alive");
    drop(registration);
    eventually(async || zookeeper.sessions(1).len() == 1).await;
    assert!(names(&observer, "s").await.is_empty());
}

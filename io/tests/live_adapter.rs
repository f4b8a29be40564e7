//! The zookeeper-client adapter against real servers: what it must add to the crate.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use queenright::adapter::ZooKeeperClient;
use queenright::port::ZooKeeper as _;
use queenright::{Acl, Config};
use queenright_core::op::{
    Change, CreateMode, ErrorCode, OpError, Outcome, Reply, Version, WatchEvent, WatchKind, Write, WriteReply,
};
use queenright_core::{Input, Op, Path, Request, RequestId, SessionEpoch, SessionEvent, SessionId};
use tokio::time::{Instant, timeout};

use crate::support::relay::Relay;
use crate::support::zookeeper::ZooKeeper;

const PATIENCE: Duration = Duration::from_secs(20);

/// The port with its session, as a core would hold it.
struct Port {
    port: ZooKeeperClient,
    epoch: SessionEpoch,
    session: SessionId,
    next_request: u64,
    /// What came in while something else was waited for.
    aside: VecDeque<Input>,
}

impl Port {
    async fn connect(config: &Config) -> Self {
        let mut port = Self {
            port: ZooKeeperClient::new(config).unwrap(),
            epoch: SessionEpoch(0),
            session: SessionId(0),
            next_request: 0,
            aside: VecDeque::new(),
        };
        port.connected().await;
        port
    }

    async fn connected(&mut self) {
        match self.session_event().await {
            SessionEvent::Connected { session_epoch, session } => {
                assert!(session_epoch > self.epoch);
                (self.epoch, self.session) = (session_epoch, session);
            }
            other => panic!("{other:?} instead of a session"),
        }
    }

    async fn input(&mut self) -> Input {
        timeout(PATIENCE, poll_fn(|cx| self.port.poll_input(cx))).await.expect("no input in time")
    }

    async fn session_event(&mut self) -> SessionEvent {
        self.find(|input| match input {
            Input::Session(event) => Some(*event),
            _ => None,
        })
        .await
    }

    async fn watch_event(&mut self) -> WatchEvent {
        self.find(|input| match input {
            Input::Watch { event, .. } => Some(event.clone()),
            _ => None,
        })
        .await
    }

    async fn response(&mut self, id: RequestId) -> Outcome {
        self.find(|input| match input {
            Input::Response { request, outcome, .. } if *request == id => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    async fn find<T>(&mut self, wanted: impl Fn(&Input) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.aside.iter().enumerate().find_map(|(at, input)| Some((at, wanted(input)?)))
        {
            self.aside.remove(at);
            return found;
        }
        loop {
            let input = self.input().await;
            match wanted(&input) {
                Some(found) => return found,
                None => self.aside.push_back(input),
            }
        }
    }

    /// Nothing of the kind comes for a while.
    async fn silence(&mut self) {
        let input = timeout(Duration::from_millis(300), poll_fn(|cx| self.port.poll_input(cx))).await;
        assert!(input.is_err(), "{input:?}");
    }

    /// Waits for events that are on their way, and forgets all that have come.
    async fn forget_events(&mut self) {
        let late = timeout(Duration::from_millis(300), async {
            loop {
                let input = self.input().await;
                self.aside.push_back(input);
            }
        });
        let _: Result<(), _> = late.await;
        self.aside.retain(|input| !matches!(input, Input::Watch { .. }));
    }

    fn submit(&mut self, op: Op) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.port.submit(Request { id, session_epoch: self.epoch, op });
        id
    }

    async fn call(&mut self, op: Op) -> Outcome {
        let id = self.submit(op);
        self.response(id).await
    }

    async fn close(mut self) {
        timeout(PATIENCE, poll_fn(|cx| self.port.poll_close(cx))).await.expect("no close in time");
    }
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn create(at: &str, mode: CreateMode) -> Op {
    Op::Create { path: path(at), data: b"data".to_vec(), mode }
}

fn set(at: &str, data: &[u8]) -> Op {
    Op::SetData { path: path(at), data: data.to_vec(), version: Version::Any }
}

fn config(zookeeper: &ZooKeeper) -> Config {
    Config::new(zookeeper.connect_string()).with_session_timeout(Duration::from_secs(4))
}

fn relayed(relay: &Relay) -> Config {
    Config::new(relay.address().to_string()).with_session_timeout(Duration::from_secs(6))
}

const NO_NODE: Outcome = Err(OpError::Refused(ErrorCode::NoNode));

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn every_operation_gets_its_answer() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;

    let Ok(Reply::Created { stat, .. }) = port.call(create("/a", CreateMode::Persistent)).await else {
        panic!()
    };
    assert_eq!(stat.owner(), None);
    let Ok(Reply::Created { path: at, stat }) = port.call(create("/a/e", CreateMode::Ephemeral)).await else {
        panic!()
    };
    assert_eq!((at, stat.owner()), (path("/a/e"), Some(port.session)));
    assert_eq!(stat.czxid, stat.mzxid);
    let Ok(Reply::Created { path: at, .. }) =
        port.call(create("/a/s-", CreateMode::EphemeralSequential)).await
    else {
        panic!()
    };
    assert_eq!(at, path("/a/s-0000000001"), "the full path, with the server's number");
    assert!(matches!(port.call(create("/a/c", CreateMode::Container)).await, Ok(Reply::Created { .. })));
    assert_eq!(
        port.call(create("/a", CreateMode::Persistent)).await,
        Err(OpError::Refused(ErrorCode::NodeExists))
    );
    assert_eq!(
        port.call(create("/a/e/x", CreateMode::Persistent)).await,
        Err(OpError::Refused(ErrorCode::NoChildrenForEphemerals))
    );

    let Ok(Reply::Children { mut names, stat }) =
        port.call(Op::GetChildren { path: path("/a"), watch: false }).await
    else {
        panic!()
    };
    names.sort();
    assert_eq!(names, ["c", "e", "s-0000000001"]);
    assert_eq!(stat.num_children, 3);

    let Ok(Reply::Set { stat }) = port.call(set("/a", b"new")).await else { panic!() };
    assert_eq!(stat.version, 1);
    let stale = Op::SetData { path: path("/a"), data: vec![], version: Version::Exactly(0) };
    assert_eq!(port.call(stale).await, Err(OpError::Refused(ErrorCode::BadVersion)));
    let Ok(Reply::Data { data, stat: read }) =
        port.call(Op::GetData { path: path("/a"), watch: false }).await
    else {
        panic!()
    };
    assert_eq!((data.as_slice(), read.mzxid), (b"new".as_slice(), stat.mzxid));
    assert_eq!(port.call(Op::GetData { path: path("/none"), watch: false }).await, NO_NODE);
    assert_eq!(port.call(Op::Exists { path: path("/none"), watch: false }).await, NO_NODE);
    assert!(matches!(
        port.call(Op::Exists { path: path("/a"), watch: false }).await,
        Ok(Reply::Exists { stat }) if stat.version == 1
    ));
    assert_eq!(port.call(Op::Sync { path: path("/a") }).await, Ok(Reply::Synced));
    let delete = |at: &str| Op::Delete { path: path(at), version: Version::Any };
    assert_eq!(port.call(delete("/a")).await, Err(OpError::Refused(ErrorCode::NotEmpty)));
    assert_eq!(port.call(delete("/a/e")).await, Ok(Reply::Deleted));
    assert_eq!(port.call(delete("/a/e")).await, NO_NODE);
    port.close().await;
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_transaction_tells_every_stat_or_the_part_that_failed() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    for at in ["/t", "/r"] {
        port.call(create(at, CreateMode::Persistent)).await.unwrap();
    }
    let put = |at: &str, version| Write::SetData { path: path(at), data: vec![1], version };
    let check = |version| Write::Check { path: path("/r"), version };
    let make = Write::Create { path: path("/new"), data: vec![], mode: CreateMode::Persistent };
    let writes = vec![
        check(Version::Exactly(0)),
        put("/t", Version::Exactly(0)),
        put("/t", Version::Exactly(1)),
        make,
        Write::Delete { path: path("/new"), version: Version::Any },
        check(Version::Any),
    ];
    let Ok(Reply::Multi(replies)) = port.call(Op::Multi(writes)).await else { panic!() };
    let [
        WriteReply::Checked,
        WriteReply::Set { stat: first },
        WriteReply::Set { stat: last },
        WriteReply::Created,
        WriteReply::Deleted,
        WriteReply::Checked,
    ] = replies[..]
    else {
        panic!("{replies:?}")
    };
    assert_eq!((first.version, last.version, first.mzxid), (1, 2, last.mzxid));

    let failing = vec![put("/t", Version::Any), check(Version::Exactly(7))];
    assert_eq!(
        port.call(Op::Multi(failing)).await,
        Err(OpError::RefusedAt { index: 1, code: ErrorCode::BadVersion })
    );
    let failing = vec![put("/none", Version::Any), put("/t", Version::Any)];
    assert_eq!(
        port.call(Op::Multi(failing)).await,
        Err(OpError::RefusedAt { index: 0, code: ErrorCode::NoNode })
    );
    port.close().await;
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn watches_fire_once_for_each_path_and_kind() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    let mut other = Port::connect(&config(&zookeeper)).await;
    assert_eq!(port.call(Op::Exists { path: path("/w"), watch: true }).await, NO_NODE);
    other.call(create("/w", CreateMode::Persistent)).await.unwrap();
    let event = |change, at: &str| WatchEvent { change, path: path(at), zxid: None };
    assert_eq!(port.watch_event().await, event(Change::Created, "/w"));

    // Twice armed, one event (item 26).
    for _ in 0..2 {
        port.call(Op::GetData { path: path("/w"), watch: true }).await.unwrap();
    }
    port.call(Op::GetChildren { path: path("/w"), watch: true }).await.unwrap();
    other.call(set("/w", b"1")).await.unwrap();
    assert_eq!(port.watch_event().await, event(Change::DataChanged, "/w"));
    port.silence().await;
    other.call(create("/w/x", CreateMode::Persistent)).await.unwrap();
    assert_eq!(port.watch_event().await, event(Change::ChildrenChanged, "/w"));

    // A recursive one tells of everything below, also below what does not exist yet.
    port.call(Op::AddWatch { path: path("/w/x/deep") }).await.unwrap();
    other.call(create("/w/x/deep", CreateMode::Persistent)).await.unwrap();
    other.call(create("/w/x/deep/er", CreateMode::Persistent)).await.unwrap();
    assert_eq!(port.watch_event().await, event(Change::Created, "/w/x/deep"));
    assert_eq!(port.watch_event().await, event(Change::Created, "/w/x/deep/er"));

    // Given up: no more events; and armed again in the same breath, they come.
    let remove = || Op::RemoveWatch { path: path("/w/x/deep"), kind: WatchKind::Recursive };
    assert_eq!(port.call(remove()).await, Ok(Reply::WatchRemoved));
    other.call(set("/w/x/deep", b"1")).await.unwrap();
    port.silence().await;
    port.call(Op::AddWatch { path: path("/w/x/deep") }).await.unwrap();
    let (removed, added) = (port.submit(remove()), port.submit(Op::AddWatch { path: path("/w/x/deep") }));
    port.response(removed).await.unwrap();
    port.response(added).await.unwrap();
    other.call(set("/w/x/deep", b"2")).await.unwrap();
    assert_eq!(port.watch_event().await, event(Change::DataChanged, "/w/x/deep"));
    port.silence().await;
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_broken_connection_is_told_and_watches_go_on() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut port = Port::connect(&relayed(&relay)).await;
    let mut other = Port::connect(&config(&zookeeper)).await;
    let session = port.session;
    port.call(create("/b", CreateMode::Persistent)).await.unwrap();
    port.call(Op::AddWatch { path: path("/b/recursive") }).await.unwrap();
    port.call(Op::GetData { path: path("/b"), watch: true }).await.unwrap();

    relay.stall();
    let before = relay.bytes_from_clients();
    let lost = port.submit(set("/b", b"lost?"));
    // What zookeeper-client has not sent by then, it would keep for the next connection (item 9).
    let deadline = Instant::now() + PATIENCE;
    while relay.bytes_from_clients() == before {
        assert!(Instant::now() < deadline, "the request does not leave");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.cut();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.response(lost).await, Err(OpError::Unknown));
    other.call(set("/b", b"missed")).await.unwrap();
    relay.heal();
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    // What a one-shot watch missed is told after the gap, or goes with it: the core reads again in any case.
    let Ok(Reply::Data { data, .. }) = port.call(Op::GetData { path: path("/b"), watch: true }).await else {
        panic!()
    };
    assert_eq!(data, b"missed");
    port.forget_events().await;
    other.call(set("/b", b"seen")).await.unwrap();
    assert_eq!(port.watch_event().await.change, Change::DataChanged);
    // A recursive one has to be armed again (item 1), and then the old stream delivers each event once.
    port.call(Op::AddWatch { path: path("/b/recursive") }).await.unwrap();
    other.call(create("/b/recursive", CreateMode::Persistent)).await.unwrap();
    let created = WatchEvent { change: Change::Created, path: path("/b/recursive"), zxid: None };
    assert_eq!(port.watch_event().await, created);
    port.silence().await;
    let Ok(Reply::Created { stat, .. }) = port.call(create("/b/e", CreateMode::Ephemeral)).await else {
        panic!()
    };
    assert_eq!(stat.owner(), Some(session), "still the same session");
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_gap_that_nobody_polled_through_is_told_as_a_gap() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut port = Port::connect(&relayed(&relay)).await;
    let before = relay.connection_count();
    relay.cut();
    tokio::time::sleep(Duration::from_millis(200)).await;
    relay.heal();
    let deadline = Instant::now() + PATIENCE;
    while zookeeper.sessions(1).is_empty() || relay.connection_count() == before {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    port.silence().await;
}

/// An instance comes before a gap and goes in it, while the process is paused: told after the gap, the first would
/// never be taken back.
#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn an_event_from_before_a_gap_is_not_told_after_it() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut other = Port::connect(&config(&zookeeper)).await;
    other.call(create("/s", CreateMode::Persistent)).await.unwrap();
    let mut port = Port::connect(&relayed(&relay)).await;
    port.call(Op::AddWatch { path: path("/s") }).await.unwrap();
    let before = relay.connection_count();
    other.call(create("/s/ghost", CreateMode::Persistent)).await.unwrap();
    // Nobody polls the port: the event waits in the client.
    tokio::time::sleep(Duration::from_millis(200)).await;
    relay.cut();
    other.call(Op::Delete { path: path("/s/ghost"), version: Version::Any }).await.unwrap();
    relay.heal();
    let deadline = Instant::now() + PATIENCE;
    while relay.connection_count() == before {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    port.silence().await;
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn an_expired_session_is_followed_by_another() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    port.call(create("/x", CreateMode::Ephemeral)).await.unwrap();
    port.call(Op::AddWatch { path: path("/x") }).await.unwrap();
    port.call(Op::Exists { path: path("/x/never"), watch: true }).await.unwrap_err();
    let (old_epoch, old_session) = (port.epoch, port.session);
    zookeeper.expire(1, old_session.0);
    let mut events = Vec::new();
    while events.last() != Some(&SessionEvent::Lost) {
        events.push(port.session_event().await);
    }
    port.connected().await;
    assert_ne!(port.session, old_session);
    assert_eq!(port.call(Op::Exists { path: path("/x"), watch: false }).await, NO_NODE);
    // What belongs to the old session is not sent, and answered all the same.
    let new_epoch = std::mem::replace(&mut port.epoch, old_epoch);
    assert_eq!(port.call(create("/x", CreateMode::Ephemeral)).await, Err(OpError::Unknown));
    port.epoch = new_epoch;
    assert_eq!(port.call(Op::Exists { path: path("/x"), watch: false }).await, NO_NODE);
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn a_silent_server_is_noticed_within_a_fifth_of_the_lease() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    zookeeper.pause(1);
    let paused_at = Instant::now();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    let noticed = paused_at.elapsed();
    assert!(noticed < Duration::from_millis(900), "{noticed:?}");
    zookeeper.resume(1);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn what_does_not_fit_into_a_frame_is_not_sent() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    port.call(create("/big", CreateMode::Persistent)).await.unwrap();
    let (first, big, last) = (
        port.submit(set("/big", b"1")),
        port.submit(set("/big", &vec![0; 1_000_000])),
        port.submit(set("/big", &vec![0; 990_000])),
    );
    // In the order of submission.
    for (id, code) in [(first, None), (big, Some(ErrorCode::TooLarge)), (last, None)] {
        match port.input().await {
            Input::Response { request, outcome, .. } => {
                assert_eq!(request, id);
                assert_eq!(outcome.err().and_then(OpError::code), code);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn watches_beyond_what_a_reconnect_can_carry_are_refused() {
    let zookeeper = ZooKeeper::start();
    let relay = Relay::to(zookeeper.address(1));
    let mut port = Port::connect(&relayed(&relay)).await;
    let long = |n: usize| path(&format!("/{}{n:05}", "x".repeat(400)));
    let mut armed = 0;
    let refused = loop {
        match port.call(Op::Exists { path: long(armed), watch: true }).await {
            Err(OpError::Refused(ErrorCode::NoNode)) => armed += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Err(OpError::Refused(ErrorCode::TooLarge)));
    assert!(armed > 200, "{armed}");
    // With the most that it takes, a reconnect works, and it still has room for none more.
    relay.cut();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    relay.heal();
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    let again = port.call(Op::Exists { path: long(0), watch: true }).await;
    assert_eq!(again, NO_NODE, "the session lives, and a watch that is armed can be armed again");
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn the_chroot_is_made_and_guarded_like_everything_else() {
    let zookeeper = ZooKeeper::start();
    let servers = format!("{}/deep/chroot", zookeeper.connect_string());
    let config = Config::new(servers).with_credentials("alice", "secret").with_acl(Acl::CreatorAll);
    let mut port = Port::connect(&config).await;
    port.call(create("/a", CreateMode::Persistent)).await.unwrap();
    port.call(Op::GetData { path: path("/a"), watch: true }).await.unwrap();
    let put = Write::SetData { path: path("/a"), data: vec![1], version: Version::Exactly(0) };
    port.call(Op::Multi(vec![put])).await.unwrap();
    assert_eq!(port.watch_event().await.path, path("/a"), "paths come back without the chroot");

    // Again: it is there now, also for somebody who may not create in it.
    let stranger = config.clone().with_credentials("mallory", "guess");
    let mut stranger = Port::connect(&stranger).await;
    let refused = Err(OpError::Refused(ErrorCode::NoAuth));
    assert_eq!(stranger.call(Op::GetData { path: path("/a"), watch: false }).await, refused);
    assert_eq!(stranger.call(create("/b", CreateMode::Ephemeral)).await, refused);
    let mut friend = Port::connect(&config).await;
    assert!(friend.call(Op::GetData { path: path("/a"), watch: false }).await.is_ok());
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn closing_carries_out_what_was_submitted_and_ends_the_session() {
    let zookeeper = ZooKeeper::start();
    let mut port = Port::connect(&config(&zookeeper)).await;
    port.call(create("/gone", CreateMode::Ephemeral)).await.unwrap();
    port.call(Op::AddWatch { path: path("/gone") }).await.unwrap();
    for n in 0..20 {
        port.submit(create(&format!("/last{n}"), CreateMode::Persistent));
    }
    port.submit(Op::GetChildren { path: path("/"), watch: true });
    port.close().await;
    // The server answers first, and then drops the connection.
    let deadline = Instant::now() + PATIENCE;
    while !zookeeper.sessions(1).is_empty() {
        assert!(Instant::now() < deadline, "the session goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut other = Port::connect(&config(&zookeeper)).await;
    assert_eq!(other.call(Op::Exists { path: path("/gone"), watch: false }).await, NO_NODE);
    for n in 0..20 {
        assert!(
            other.call(Op::Exists { path: path(&format!("/last{n}")), watch: false }).await.is_ok(),
            "/last{n}"
        );
    }
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn it_connects_when_the_server_comes_at_last() {
    let mut zookeeper = ZooKeeper::start();
    zookeeper.stop(1);
    let mut port = ZooKeeperClient::new(&config(&zookeeper)).unwrap();
    let nothing = timeout(Duration::from_millis(700), poll_fn(|cx| port.poll_input(cx))).await;
    assert!(nothing.is_err(), "{nothing:?}");
    zookeeper.restart(1);
    let input = timeout(PATIENCE, poll_fn(|cx| port.poll_input(cx))).await.expect("no session in time");
    assert!(matches!(input, Input::Session(SessionEvent::Connected { .. })), "{input:?}");
}

#[tokio::test]
#[ignore = "needs ZooKeeper: make live"]
async fn an_ensemble_survives_its_leader() {
    let mut zookeeper = ZooKeeper::ensemble();
    let mut port = Port::connect(&config(&zookeeper)).await;
    port.call(create("/kept", CreateMode::Ephemeral)).await.unwrap();
    let leader = zookeeper.leader().expect("an ensemble has a leader");
    zookeeper.kill(leader);
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    let found = port.call(Op::Exists { path: path("/kept"), watch: false }).await;
    assert!(matches!(found, Ok(Reply::Exists { stat }) if stat.owner() == Some(port.session)), "{found:?}");
    zookeeper.restart(leader);
    assert_eq!(zookeeper.len(), 3);
}

//! What the port promises.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright::{Acl, Config};
use queenright_core::op::{
    Change, CreateMode, ErrorCode, OpError, Outcome, Reply, Version, WatchKind, Write, WriteReply,
};
use queenright_core::{Input, Op, Path, RequestId, SessionEvent};
use tokio::time::{Instant, sleep};

use crate::holder::{Holder, PATIENCE};
use crate::stage::Stage;

const NO_NODE: Outcome = Err(OpError::Refused(ErrorCode::NoNode));

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn create(at: &str, mode: CreateMode) -> Op {
    Op::Create { path: path(at), data: b"data".to_vec(), mode }
}

fn set(at: &str, data: &[u8]) -> Op {
    Op::SetData { path: path(at), data: data.to_vec(), version: Version::Any }
}

fn delete(at: &str) -> Op {
    Op::Delete { path: path(at), version: Version::Any }
}

fn read(at: &str, watch: bool) -> Op {
    Op::GetData { path: path(at), watch }
}

fn exists(at: &str, watch: bool) -> Op {
    Op::Exists { path: path(at), watch }
}

async fn make(holder: &mut Holder, at: &str) {
    holder.call(create(at, CreateMode::Persistent)).await.unwrap();
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn every_operation_gets_its_answer(stage: Stage) {
    let mut port = stage.client().await;
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
    let refused = |code| Err(OpError::Refused(code));
    assert_eq!(port.call(create("/a", CreateMode::Persistent)).await, refused(ErrorCode::NodeExists));
    assert_eq!(
        port.call(create("/a/e/x", CreateMode::Persistent)).await,
        refused(ErrorCode::NoChildrenForEphemerals)
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
    assert_eq!(port.call(stale).await, refused(ErrorCode::BadVersion));
    let Ok(Reply::Data { data, stat: read_stat }) = port.call(read("/a", false)).await else { panic!() };
    assert_eq!((data.as_slice(), read_stat.mzxid), (b"new".as_slice(), stat.mzxid));
    assert_eq!(port.call(read("/none", false)).await, NO_NODE);
    assert_eq!(port.call(exists("/none", false)).await, NO_NODE);
    assert!(matches!(
        port.call(exists("/a", false)).await,
        Ok(Reply::Exists { stat }) if stat.version == 1
    ));
    assert_eq!(port.call(Op::Sync { path: path("/a") }).await, Ok(Reply::Synced));
    assert_eq!(port.call(delete("/a")).await, refused(ErrorCode::NotEmpty));
    assert_eq!(port.call(delete("/a/e")).await, Ok(Reply::Deleted));
    assert_eq!(port.call(delete("/a/e")).await, NO_NODE);
    port.silence().await;
    port.close().await;
}

pub(crate) async fn a_transaction_tells_every_stat_or_the_part_that_failed(stage: Stage) {
    let mut port = stage.client().await;
    make(&mut port, "/t").await;
    make(&mut port, "/r").await;
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

    let failed = |index, code| Err(OpError::RefusedAt { index, code });
    let failing = vec![put("/t", Version::Any), check(Version::Exactly(7))];
    assert_eq!(port.call(Op::Multi(failing)).await, failed(1, ErrorCode::BadVersion));
    let failing = vec![put("/none", Version::Any), put("/t", Version::Any)];
    assert_eq!(port.call(Op::Multi(failing)).await, failed(0, ErrorCode::NoNode));
    let Ok(Reply::Exists { stat }) = port.call(exists("/t", false)).await else { panic!() };
    assert_eq!(stat.version, 2, "nothing of what failed was done");
    port.close().await;
}

pub(crate) async fn each_request_is_answered_once_and_in_the_order_of_submission(stage: Stage) {
    let mut port = stage.client().await;
    make(&mut port, "/o").await;
    let submitted: Vec<RequestId> = (0..300)
        .map(|n| {
            port.submit(match n % 5 {
                0 => set("/o", &[0; 1_000]),
                1 => read("/o", false),
                2 => delete("/none"),
                3 => Op::Sync { path: path("/o") },
                _ => set("/o", &vec![0; 1_000_000]),
            })
        })
        .collect();
    for (n, id) in submitted.into_iter().enumerate() {
        match port.input().await {
            Input::Response { session_epoch, request, outcome, .. } => {
                assert_eq!((session_epoch, request), (port.epoch, id));
                let code = outcome.err().and_then(OpError::code);
                let expected = match n % 5 {
                    2 => Some(ErrorCode::NoNode),
                    4 => Some(ErrorCode::TooLarge),
                    _ => None,
                };
                assert_eq!(code, expected, "{n}");
            }
            other => panic!("{other:?}"),
        }
    }
    port.silence().await;
}

pub(crate) async fn watches_fire_once_for_each_path_and_kind(stage: Stage) {
    let mut port = stage.client().await;
    let mut other = stage.other().await;
    assert_eq!(port.call(exists("/w", true)).await, NO_NODE);
    make(&mut other, "/w").await;
    assert_eq!(port.watch_event().await, (Change::Created, path("/w")));

    // Twice armed, one event.
    for _ in 0..2 {
        port.call(read("/w", true)).await.unwrap();
    }
    port.call(Op::GetChildren { path: path("/w"), watch: true }).await.unwrap();
    other.call(set("/w", b"1")).await.unwrap();
    assert_eq!(port.watch_event().await, (Change::DataChanged, path("/w")));
    port.silence().await;
    make(&mut other, "/w/x").await;
    assert_eq!(port.watch_event().await, (Change::ChildrenChanged, path("/w")));
    other.call(set("/w", b"2")).await.unwrap();
    port.silence().await;

    // A recursive one tells of everything below, also below what does not exist yet.
    let deep = "/w/x/deep";
    port.call(Op::AddWatch { path: path(deep) }).await.unwrap();
    make(&mut other, deep).await;
    make(&mut other, "/w/x/deep/er").await;
    assert_eq!(port.watch_event().await, (Change::Created, path(deep)));
    assert_eq!(port.watch_event().await, (Change::Created, path("/w/x/deep/er")));

    // Given up: no more events; and armed again in the same breath, they come.
    let remove = || Op::RemoveWatch { path: path(deep), kind: WatchKind::Recursive };
    assert_eq!(port.call(remove()).await, Ok(Reply::WatchRemoved));
    other.call(set(deep, b"1")).await.unwrap();
    port.silence().await;
    port.call(Op::AddWatch { path: path(deep) }).await.unwrap();
    let (removed, added) = (port.submit(remove()), port.submit(Op::AddWatch { path: path(deep) }));
    port.response(removed).await.unwrap();
    port.response(added).await.unwrap();
    other.call(set(deep, b"2")).await.unwrap();
    assert_eq!(port.watch_event().await, (Change::DataChanged, path(deep)));
    port.silence().await;
}

/// A reply that shows version v was on the wire before the event of version v + 1: of those, none may come later than
/// the event.
pub(crate) async fn an_event_is_never_told_before_a_reply_that_preceded_it(stage: Stage) {
    const WRITES: i32 = 200;
    let mut port = stage.client().await;
    let mut other = stage.other().await;
    make(&mut other, "/v").await;
    make(&mut other, "/v/x").await;
    port.call(Op::AddWatch { path: path("/v") }).await.unwrap();
    let writing = async {
        for _ in 0..WRITES {
            other.call(set("/v/x", b"")).await.unwrap();
        }
    };
    let reading = async {
        let (mut told, mut replies) = (0, 0);
        for _ in 0..4 {
            port.submit(read("/v/x", false));
        }
        while told < WRITES {
            match port.input().await {
                Input::Watch { event, .. } => {
                    assert_eq!(event.change, Change::DataChanged);
                    told += 1;
                }
                Input::Response { outcome: Ok(Reply::Data { stat, .. }), .. } => {
                    assert!(stat.version >= told, "a reply from before event {told}: {stat:?}");
                    replies += 1;
                    port.submit(read("/v/x", false));
                }
                other => panic!("{other:?}"),
            }
        }
        replies
    };
    let (replies, ()) = tokio::join!(reading, writing);
    assert!(replies > 4, "{replies} replies among the events");
}

pub(crate) async fn a_broken_connection_is_told_and_watches_go_on(stage: Stage) {
    let mut port = stage.client().await;
    let mut other = stage.other().await;
    let session = port.session;
    make(&mut port, "/b").await;
    port.call(Op::AddWatch { path: path("/b/tree") }).await.unwrap();
    port.call(read("/b", true)).await.unwrap();

    stage.stall();
    let before = stage.bytes_from_clients();
    let lost = port.submit(set("/b", b"lost?"));
    // What has not left by then, zookeeper-client would keep for the next connection. The native one has to be polled.
    let deadline = Instant::now() + PATIENCE;
    while stage.bytes_from_clients() == before {
        assert!(Instant::now() < deadline, "the request does not leave");
        let _ = tokio::time::timeout(Duration::from_millis(5), port.peek()).await;
    }
    stage.cut();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    assert_eq!(port.response(lost).await, Err(OpError::Unknown));
    other.call(set("/b", b"missed")).await.unwrap();
    stage.heal();
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
    // What a one-shot watch missed is told after the gap, or goes with it: the core reads again in any case.
    let Ok(Reply::Data { data, .. }) = port.call(read("/b", true)).await else { panic!() };
    assert_eq!(data, b"missed");
    port.rest().await;
    other.call(set("/b", b"seen")).await.unwrap();
    assert_eq!(port.watch_event().await, (Change::DataChanged, path("/b")));
    // A recursive one may have to be armed again, and then it delivers each event once.
    port.call(Op::AddWatch { path: path("/b/tree") }).await.unwrap();
    make(&mut other, "/b/tree").await;
    assert_eq!(port.watch_event().await, (Change::Created, path("/b/tree")));
    port.silence().await;
    let Ok(Reply::Created { stat, .. }) = port.call(create("/b/e", CreateMode::Ephemeral)).await else {
        panic!()
    };
    assert_eq!(stat.owner(), Some(session), "still the same session");
}

/// Told after the gap, the creation of what is gone would never be taken back.
pub(crate) async fn nothing_from_before_a_gap_is_told_after_it(stage: Stage) {
    let mut port = stage.client().await;
    let mut other = stage.other().await;
    make(&mut other, "/s").await;
    for round in 0..5 {
        let ghost = format!("/s/ghost{round}");
        port.call(Op::AddWatch { path: path("/s") }).await.unwrap();
        make(&mut other, &ghost).await;
        // Nobody polls the port: the event waits somewhere.
        sleep(Duration::from_millis(50)).await;
        stage.cut();
        other.call(delete(&ghost)).await.unwrap();
        stage.heal();
        let mut is_back = false;
        while !is_back {
            is_back = port.input().await == Input::Session(SessionEvent::Reconnected);
        }
        let rest = port.rest().await;
        assert!(!rest.iter().any(|input| matches!(input, Input::Watch { .. })), "{rest:?}");
    }
}

pub(crate) async fn what_is_submitted_without_a_connection_is_answered_once(stage: Stage) {
    let mut port = stage.client().await;
    make(&mut port, "/q").await;
    stage.cut();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    let submitted: Vec<RequestId> = (0..10).map(|_| port.submit(set("/q", b""))).collect();
    let early = port.rest().await;
    stage.heal();
    let mut all = early;
    while !all.contains(&Input::Session(SessionEvent::Reconnected)) {
        all.push(port.input().await);
    }
    all.extend(port.rest().await);
    let answers: Vec<(RequestId, bool)> = all
        .iter()
        .filter_map(|input| match input {
            Input::Response { request, outcome: Ok(_), .. } => Some((*request, true)),
            Input::Response { request, outcome: Err(OpError::Unknown), .. } => Some((*request, false)),
            Input::Response { outcome, .. } => panic!("{outcome:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), submitted, "each once, in order");
    let done = answers.iter().filter(|(_, done)| *done).count();
    let Ok(Reply::Exists { stat }) = port.call(exists("/q", false)).await else { panic!() };
    assert!(usize::try_from(stat.version).unwrap() >= done, "what was answered as done was done");
    assert!(usize::try_from(stat.version).unwrap() <= 10, "nothing was done twice");
}

pub(crate) async fn an_expired_session_is_followed_by_another(stage: Stage) {
    let mut port = stage.client().await;
    port.call(create("/x", CreateMode::Ephemeral)).await.unwrap();
    port.call(Op::AddWatch { path: path("/x") }).await.unwrap();
    port.call(exists("/y", true)).await.unwrap_err();
    let (old_epoch, old_session) = (port.epoch, port.session);
    stage.expire(old_session);
    let mut events = Vec::new();
    while events.last() != Some(&SessionEvent::Lost) {
        events.push(port.session_event().await);
    }
    port.connected().await;
    assert_ne!(port.session, old_session);
    assert_eq!(port.call(exists("/x", false)).await, NO_NODE);
    // What belongs to the old session is not sent, and answered all the same.
    let new_epoch = std::mem::replace(&mut port.epoch, old_epoch);
    assert_eq!(port.call(create("/x", CreateMode::Ephemeral)).await, Err(OpError::Unknown));
    port.epoch = new_epoch;
    assert_eq!(port.call(exists("/x", false)).await, NO_NODE);
    // Its watches are gone with it.
    port.rest().await;
    let mut other = stage.other().await;
    make(&mut other, "/x").await;
    make(&mut other, "/y").await;
    port.silence().await;
}

pub(crate) async fn a_session_that_expires_during_a_gap_is_lost_with_all_that_was_in_flight(stage: Stage) {
    let mut port = stage.client().await;
    port.call(create("/x", CreateMode::Ephemeral)).await.unwrap();
    let (old_epoch, old_session) = (port.epoch, port.session);
    stage.stall();
    let submitted: Vec<RequestId> = (0..10).map(|n| port.submit(set("/x", &[n]))).collect();
    let mut inputs = vec![port.input().await];
    stage.cut();
    stage.expire(old_session);
    stage.heal();
    while !matches!(inputs.last(), Some(Input::Session(SessionEvent::Connected { .. }))) {
        inputs.push(port.input().await);
    }
    let mut answers = BTreeMap::new();
    let mut is_lost = false;
    for input in &inputs {
        match input {
            Input::Response { session_epoch, request, outcome, .. } => {
                assert_eq!((*session_epoch, outcome), (old_epoch, &Err(OpError::Unknown)));
                *answers.entry(*request).or_insert(0) += 1;
            }
            Input::Session(SessionEvent::Lost) => is_lost = true,
            Input::Session(SessionEvent::Connected { session, .. }) => assert_ne!(*session, old_session),
            Input::Session(SessionEvent::Suspended) => {}
            input => panic!("{input:?} among {inputs:?}"),
        }
    }
    assert!(is_lost, "{inputs:?}");
    let expected: BTreeMap<RequestId, i32> = submitted.into_iter().map(|id| (id, 1)).collect();
    assert_eq!(answers, expected, "all of the old session is answered before the next one");
}

pub(crate) async fn a_silent_server_is_noticed_within_a_fifth_of_the_lease(stage: Stage) {
    let mut port = stage.client().await;
    stage.stall();
    let stalled_at = Instant::now();
    assert_eq!(port.session_event().await, SessionEvent::Suspended);
    let noticed = stalled_at.elapsed();
    assert!(noticed < Duration::from_millis(900), "{noticed:?}");
    stage.heal();
    assert_eq!(port.session_event().await, SessionEvent::Reconnected);
}

pub(crate) async fn what_does_not_fit_into_a_frame_is_not_sent(stage: Stage) {
    let mut port = stage.client().await;
    make(&mut port, "/big").await;
    assert!(port.call(set("/big", &vec![0; 990_000])).await.is_ok());
    let too_large = Err(OpError::Refused(ErrorCode::TooLarge));
    assert_eq!(port.call(set("/big", &vec![0; 1_000_000])).await, too_large);
    let half = || Write::SetData { path: path("/big"), data: vec![0; 500_000], version: Version::Any };
    assert_eq!(port.call(Op::Multi(vec![half(), half()])).await, too_large);
    let Ok(Reply::Data { data, .. }) = port.call(read("/big", false)).await else { panic!() };
    assert_eq!(data.len(), 990_000);
    port.silence().await;
}

pub(crate) async fn the_chroot_is_made_and_guarded_like_everything_else(stage: Stage) {
    let servers = format!("{}/deep/chroot", stage.servers());
    let config = Config::new(servers).with_credentials("alice", "secret").with_acl(Acl::CreatorAll);
    let mut port = stage.connect(&config).await;
    make(&mut port, "/a").await;
    port.call(read("/a", true)).await.unwrap();
    let put = Write::SetData { path: path("/a"), data: vec![1], version: Version::Exactly(0) };
    port.call(Op::Multi(vec![put])).await.unwrap();
    assert_eq!(port.watch_event().await.1, path("/a"), "paths come back without the chroot");

    // Again: it is there now, also for somebody who may not create in it.
    let mut stranger = stage.connect(&config.clone().with_credentials("mallory", "guess")).await;
    let refused = Err(OpError::Refused(ErrorCode::NoAuth));
    assert_eq!(stranger.call(read("/a", false)).await, refused);
    assert_eq!(stranger.call(create("/b", CreateMode::Ephemeral)).await, refused);
    let mut friend = stage.connect(&config).await;
    assert!(friend.call(read("/a", false)).await.is_ok());
    let mut above = stage.other().await;
    assert!(above.call(exists("/deep", false)).await != NO_NODE, "the server knows the whole path");
    assert_eq!(above.call(exists("/a", false)).await, NO_NODE);
}

pub(crate) async fn closing_carries_out_what_was_submitted_and_ends_the_session(stage: Stage) {
    let mut port = stage.client().await;
    port.call(create("/gone", CreateMode::Ephemeral)).await.unwrap();
    port.call(Op::AddWatch { path: path("/gone") }).await.unwrap();
    for n in 0..20 {
        port.submit(create(&format!("/last{n}"), CreateMode::Persistent));
    }
    port.submit(Op::GetChildren { path: path("/"), watch: true });
    port.close().await;
    // The server answers first, and then drops the connection.
    until("the session is over", || stage.session_count() == 0).await;
    let mut other = stage.other().await;
    assert_eq!(other.call(exists("/gone", false)).await, NO_NODE);
    for n in 0..20 {
        assert!(other.call(exists(&format!("/last{n}"), false)).await.is_ok(), "/last{n}");
    }
}

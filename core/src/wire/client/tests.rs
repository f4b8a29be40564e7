//! What the machine does, as text: `>` is for the server or the network, `=` for the core.

mod deadlines;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::config::REQUEST_LEN_MAX;
use super::*;
use crate::ids::RequestId;
use crate::op::{Change, Reply, Stat, Version, Write};
use crate::path::Path;
use crate::wire::MultiResult;

const MILLIS: Duration = Duration::from_millis(1);

/// A client, a clock, and a server played by the test.
struct Stage {
    client: Client,
    now: Instant,
    request_count: u64,
}

impl Stage {
    fn new(config: Config) -> Self {
        let now = Instant::from_millis(1_000);
        Self { client: Client::new(now, config), now, request_count: 0 }
    }

    /// One that has a session.
    fn up() -> Self {
        Self::up_with(Config::new(1))
    }

    fn up_with(config: Config) -> Self {
        let mut stage = Self::new(config);
        stage.wake();
        stage.client.handle_connected(stage.now, accepted(7));
        stage.drain();
        stage
    }

    /// Jumps to the next deadline.
    fn wake(&mut self) -> Vec<String> {
        if let Some(at) = self.client.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.client.handle_timeout(self.now);
        self.drain()
    }

    fn submit(&mut self, op: Op) -> Vec<String> {
        self.request_count += 1;
        let request =
            Request { id: RequestId(self.request_count), session_epoch: self.client.session_epoch(), op };
        self.client.submit(self.now, request);
        self.drain()
    }

    fn connected(&mut self, response: ConnectResponse) -> Vec<String> {
        self.client.handle_connected(self.now, response);
        self.drain()
    }

    fn reply(&mut self, xid: i32, zxid: i64, result: Result<Response, ErrorCode>) -> Vec<String> {
        self.client.handle_reply(self.now, xid, Zxid(zxid), result);
        self.drain()
    }

    fn event(&mut self, change: Change, path: &str) -> Vec<String> {
        let event = WatchedEvent { change, path: path.into(), zxid: Zxid(-1) };
        self.client.handle_event(self.now, event);
        self.drain()
    }

    fn broken(&mut self) -> Vec<String> {
        self.client.handle_break(self.now, Break::Transport);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        self.client.check_invariants();
        core::iter::from_fn(|| self.client.poll_output()).map(|output| show(&output)).collect()
    }
}

fn show(output: &Output) -> String {
    match output {
        Output::Connect { server, request } => format!(
            "> connect {server}: session {}, zxid {}, {} ms",
            request.session.0, request.last_zxid_seen.0, request.timeout_ms
        ),
        Output::Send { xid, request } => format!("> {xid} {request:?}"),
        Output::Disconnect { reason } => format!("> leave: {reason}"),
        Output::Input(Input::Response { session_epoch, request, zxid, outcome }) => {
            let zxid = zxid.map_or("?".into(), |zxid| zxid.0.to_string());
            let outcome = match outcome {
                Ok(_) => "ok".into(),
                Err(error) => error.to_string(),
            };
            format!("= {request} of {session_epoch} at {zxid}: {outcome}")
        }
        Output::Input(Input::Watch { event, .. }) => format!("= {:?} {}", event.change, event.path),
        Output::Input(Input::Session(event)) => format!("= {event:?}"),
        Output::Input(Input::Host(event)) => panic!("not from a client: {event:?}"),
        Output::Closed => "> closed".into(),
    }
}

pub(super) fn accepted(session: i64) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6_000,
        session: SessionId(session),
        password: vec![session as u8; 16],
        read_only: Some(false),
    }
}

pub(super) fn refused() -> ConnectResponse {
    ConnectResponse { timeout_ms: 0, session: SessionId(0), password: vec![0; 16], ..accepted(0) }
}

pub(super) fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

pub(super) fn delete(at: &str) -> Op {
    Op::Delete { path: path(at), version: Version::Any }
}

pub(super) fn stat() -> Stat {
    Stat::default()
}

#[test]
fn a_session_begins_is_lost_with_its_connection_and_found_again() {
    let mut stage = Stage::new(Config::new(1));
    assert_eq!(stage.wake(), ["> connect 0: session 0, zxid 0, 8000 ms"]);
    assert_eq!(
        stage.connected(accepted(7)),
        ["= Connected { session_epoch: SessionEpoch(1), session: SessionId(7) }"]
    );
    assert_eq!(stage.submit(delete("/a")), ["> 1 Delete(Delete { path: \"/a\", version: -1 })"]);
    assert_eq!(stage.reply(1, 12, Ok(Response::Delete)), ["= #1 of 1 at 12: ok"]);
    stage.submit(delete("/b"));
    stage.submit(delete("/c"));
    assert_eq!(
        stage.broken(),
        [
            "> leave: the connection broke",
            "= Suspended",
            "= #2 of 1 at ?: Unknown",
            "= #3 of 1 at ?: Unknown",
        ]
    );
    assert_eq!(stage.submit(delete("/d")), ["= #4 of 1 at ?: Unknown"]);
    assert_eq!(stage.wake(), ["> connect 0: session 7, zxid 12, 8000 ms"]);
    assert_eq!(stage.connected(accepted(7)), ["= Reconnected"]);
    assert_eq!(stage.submit(delete("/e")), ["> 4 Delete(Delete { path: \"/e\", version: -1 })"]);
}

#[test]
fn a_refused_session_is_lost_and_the_next_one_knows_nothing_of_it() {
    let mut stage = Stage::up();
    stage.submit(Op::AddWatch { path: path("/w") });
    stage.reply(1, 40, Ok(Response::AddWatch));
    stage.broken();
    stage.wake();
    let refused_at = stage.now;
    assert_eq!(stage.connected(refused()), ["> leave: the session is over", "= Lost"]);
    assert_eq!(stage.submit(delete("/a")), ["= #2 of 1 at ?: Unknown"]);
    assert_eq!(stage.wake(), ["> connect 0: session 0, zxid 0, 8000 ms"]);
    assert_eq!(stage.now, refused_at, "the server is well: there is nothing to wait for");
    let connected = ["= Connected { session_epoch: SessionEpoch(2), session: SessionId(8) }"];
    assert_eq!(stage.connected(accepted(8)), connected, "nothing is armed again");
    let old = Request { id: RequestId(9), session_epoch: SessionEpoch(1), op: delete("/a") };
    stage.client.submit(stage.now, old);
    assert_eq!(stage.drain(), ["= #9 of 1 at ?: Unknown"], "it belongs to the old session");
}

/// A server whose data is gone or older closes the connection without a word, each time.
#[test]
fn a_session_that_no_server_will_speak_of_is_given_up() {
    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    stage.reply(1, 40, Err(ErrorCode::NO_NODE));
    stage.broken();
    let left_at = stage.now;
    let next = loop {
        let connect = stage.wake();
        if connect.len() > 1 {
            break connect;
        }
        assert_eq!(connect, ["> connect 0: session 7, zxid 40, 8000 ms"]);
        assert_eq!(stage.broken(), ["> leave: the connection broke"]);
    };
    assert_eq!(next, ["= Lost", "> connect 0: session 0, zxid 0, 8000 ms"]);
    let after = stage.now.since(left_at);
    // The server granted 6 s; the pauses end at 2 s.
    assert!(after >= 12_000 * MILLIS && after <= 14_000 * MILLIS, "two session timeouts, not {after:?}");
}

/// The server that answered is asked, not the next one, which may not be there.
#[test]
fn sessions_that_expire_in_a_row_cost_one_pause_each() {
    let mut stage = Stage::up_with(Config::new(2));
    let began_at = stage.now;
    for expiry in 1..=3 {
        stage.broken();
        let connect = stage.wake();
        assert!(
            connect[0].starts_with(&format!("> connect {}: session {}", expiry % 2, 6 + expiry)),
            "{connect:?}"
        );
        stage.connected(refused());
        assert_eq!(stage.wake(), [format!("> connect {}: session 0, zxid 0, 8000 ms", expiry % 2)]);
        stage.connected(accepted(7 + expiry));
    }
    // 20 ms in the first round over both servers, and 40 ms in the second.
    assert!(stage.now.since(began_at) <= 80 * MILLIS, "{:?}", stage.now.since(began_at));
}

#[test]
fn another_session_than_the_one_asked_for_is_an_expiry() {
    let mut stage = Stage::up();
    stage.broken();
    stage.wake();
    assert_eq!(
        stage.connected(accepted(8)),
        ["= Lost", "= Connected { session_epoch: SessionEpoch(2), session: SessionId(8) }"]
    );
}

#[test]
fn servers_are_tried_in_turn_with_pauses_that_grow_by_the_round_to_a_cap() {
    let config = Config { server_count: 3, ..Config::new(3) };
    let (min, max) = (config.retry_min, config.retry_max);
    let mut stage = Stage::new(config);
    stage.wake();
    for failure in 0..60_u32 {
        stage.broken();
        let until = stage.client.poll_timeout().unwrap();
        let full = min.saturating_mul(1_u32.checked_shl(failure / 3).unwrap_or(u32::MAX)).min(max);
        let pause = until.since(stage.now);
        assert!(pause >= full / 2 && pause <= full, "{failure}: {pause:?} of {full:?}");
        let server = (failure + 1) % 3;
        assert_eq!(stage.wake(), [format!("> connect {server}: session 0, zxid 0, 8000 ms")]);
    }
    // A connection that held starts anew; one that did not is one more failure.
    stage.connected(accepted(7));
    stage.broken();
    assert!(stage.client.poll_timeout().unwrap().since(stage.now) >= max / 2);
    stage.wake();
    stage.connected(accepted(7));
    stage.now = stage.now.after(max);
    stage.broken();
    assert!(stage.client.poll_timeout().unwrap().since(stage.now) <= min);
}

#[test]
fn clients_with_other_seeds_pause_differently() {
    let pause = |seed| {
        let mut stage = Stage::up_with(Config { seed, ..Config::new(1) });
        stage.broken();
        stage.client.poll_timeout().unwrap().since(stage.now)
    };
    assert_eq!(pause(1), pause(1));
    assert_ne!(pause(1), pause(2));
}

#[test]
fn a_server_that_gives_no_session_in_time_is_left() {
    let mut stage = Stage::new(Config::new(2));
    stage.wake();
    assert_eq!(stage.wake(), ["> leave: the server gave no session in time"]);
    assert_eq!(stage.wake(), ["> connect 1: session 0, zxid 0, 8000 ms"]);
    assert_eq!(stage.connected(refused()), ["> leave: the server gives no new session"]);
    stage.wake();
    let read_only = ConnectResponse { read_only: Some(true), ..accepted(7) };
    assert_eq!(stage.connected(read_only), ["> leave: the server is read-only"]);
}

#[test]
fn silence_is_pinged_and_then_the_server_is_left() {
    let mut stage = Stage::up();
    let start = stage.now;
    assert_eq!(stage.wake(), ["> -2 Ping"]);
    assert_eq!(stage.now.since(start), 200 * MILLIS);
    assert_eq!(stage.client.awaited(xid::PING), Some(OpCode::Ping));
    assert_eq!(stage.reply(xid::PING, 30, Ok(Response::Ping)), Vec::<String>::new());
    assert_eq!(stage.wake(), ["> -2 Ping"]);
    assert_eq!(stage.wake(), ["> -2 Ping"]);
    assert_eq!(stage.wake(), ["> leave: the server was silent for too long", "= Suspended"]);
    assert_eq!(stage.now.since(start), 800 * MILLIS);
    assert_eq!(stage.wake(), ["> connect 0: session 7, zxid 30, 8000 ms"]);
}

#[test]
fn a_client_that_was_held_up_asks_before_it_despairs() {
    let mut stage = Stage::up();
    stage.now = stage.now.after(5_000 * MILLIS);
    assert_eq!(stage.wake(), ["> -2 Ping"]);
    assert_eq!(stage.reply(xid::PING, 30, Ok(Response::Ping)), Vec::<String>::new());
    stage.now = stage.now.after(5_000 * MILLIS);
    let asked_at = stage.now;
    while stage.client.is_up() {
        stage.wake();
    }
    assert_eq!(stage.now.since(asked_at), 400 * MILLIS);
}

#[test]
fn requests_without_answers_do_not_hide_the_silence() {
    let mut stage = Stage::up();
    let start = stage.now;
    while stage.client.is_up() {
        stage.submit(Op::Sync { path: Path::root() });
        stage.now = stage.now.after(50 * MILLIS);
        stage.client.handle_timeout(stage.now);
        stage.drain();
    }
    assert_eq!(stage.now.since(start), 600 * MILLIS);
}

#[test]
fn a_short_session_shortens_the_silence() {
    let mut stage = Stage::new(Config::new(1));
    stage.wake();
    stage.connected(ConnectResponse { timeout_ms: 300, ..accepted(7) });
    let start = stage.now;
    while stage.client.is_up() {
        stage.wake();
    }
    assert_eq!(stage.now.since(start), 200 * MILLIS);
}

#[test]
fn credentials_come_first_and_the_session_is_told_of_when_they_are_accepted() {
    let credentials = vec![Credentials { scheme: "digest".into(), auth: b"a:b".to_vec() }];
    let mut stage = Stage::new(Config { credentials, rearms: true, ..Config::new(1) });
    stage.wake();
    let auth = "> -4 Auth { scheme: \"digest\", auth: Some([97, 58, 98]) }";
    assert_eq!(stage.connected(accepted(7)), [auth]);
    assert_eq!(stage.submit(delete("/a")), ["= #1 of 0 at ?: Unknown"]);
    let connected = "= Connected { session_epoch: SessionEpoch(1), session: SessionId(7) }";
    assert_eq!(stage.reply(xid::AUTH, 0, Ok(Response::Auth)), [connected]);
    stage.submit(Op::AddWatch { path: path("/w") });
    stage.reply(1, 5, Ok(Response::AddWatch));
    stage.broken();
    stage.wake();
    let watches = "> -8 SetWatches2 { relative_zxid: Zxid(5), data: [], exist: [], child: [], persistent: [], \
                   recursive: [\"/w\"] }";
    assert_eq!(stage.connected(accepted(7)), ["= Reconnected", auth, watches]);
    let refused = "> leave: the server did not accept the credentials: AUTH_FAILED (-115)";
    assert_eq!(stage.reply(xid::AUTH, 0, Err(ErrorCode::AUTH_FAILED)), [refused, "= Suspended"]);
}

#[test]
fn a_missing_chroot_is_created_from_above_before_the_session_is_told_of() {
    let mut stage = Stage::new(Config { chroot: Some(path("/a/b")), rearms: true, ..Config::new(1) });
    stage.wake();
    assert_eq!(stage.connected(accepted(7)), ["> 1 Exists(Read { path: \"/a/b\", watch: false })"]);
    let sent = stage.reply(1, 3, Err(ErrorCode::NO_NODE));
    assert!(sent[0].contains("\"/a\"") && sent[1].contains("\"/a/b\""), "{sent:?}");
    assert_eq!(stage.client.awaited(2), Some(OpCode::Create2));
    assert!(stage.reply(2, 4, Err(ErrorCode::NODE_EXISTS)).is_empty());
    let made = Response::Create2 { path: "/a/b".into(), stat: stat() };
    let connected = "= Connected { session_epoch: SessionEpoch(1), session: SessionId(7) }";
    assert_eq!(stage.reply(3, 5, Ok(made)), [connected]);

    let create = Op::Create { path: path("/x"), data: vec![], mode: op::CreateMode::Ephemeral };
    assert!(stage.submit(create)[0].contains("\"/a/b/x\""));
    let created = Response::Create2 { path: "/a/b/x".into(), stat: stat() };
    stage.client.handle_reply(stage.now, 4, Zxid(6), Ok(created));
    let Some(Output::Input(Input::Response { outcome: Ok(Reply::Created { path, .. }), .. })) =
        stage.client.poll_output()
    else {
        panic!("not created");
    };
    assert_eq!(path.as_str(), "/x");
    stage.submit(Op::AddWatch { path: Path::root() });
    stage.reply(5, 7, Ok(Response::AddWatch));
    assert_eq!(stage.event(Change::Created, "/a/b/y"), ["= Created /y"]);
    assert_eq!(stage.event(Change::Created, "/c"), Vec::<String>::new(), "outside of it");
    stage.broken();
    stage.wake();
    assert!(stage.connected(accepted(7))[1].contains("recursive: [\"/a/b\"]"));
}

#[test]
fn a_chroot_that_cannot_be_created_ends_the_attempt() {
    let mut stage = Stage::new(Config { chroot: Some(path("/a")), ..Config::new(1) });
    stage.wake();
    stage.connected(accepted(7));
    stage.reply(1, 3, Err(ErrorCode::NO_NODE));
    assert_eq!(
        stage.reply(2, 4, Err(ErrorCode::NO_AUTH)),
        ["> leave: the chroot is missing and cannot be created: NO_AUTH (-102)"]
    );
    assert_eq!(stage.wake(), ["> connect 0: session 0, zxid 0, 8000 ms"], "that session was nobody's");
}

/// The core gives up its watches without a word while there is no connection, and arms what it still wants on the next one.
#[test]
fn nobody_arms_again_what_the_core_does_not_ask_for_again() {
    let mut stage = Stage::up();
    stage.submit(Op::AddWatch { path: path("/wanted") });
    stage.reply(1, 10, Ok(Response::AddWatch));
    stage.submit(Op::AddWatch { path: path("/unwanted") });
    stage.reply(2, 10, Ok(Response::AddWatch));
    stage.broken();
    stage.wake();
    assert_eq!(stage.connected(accepted(7)), ["= Reconnected"]);
    stage.submit(Op::AddWatch { path: path("/wanted") });
    stage.reply(3, 11, Ok(Response::AddWatch));
    assert!(stage.client.watches().is_recursive(&path("/wanted")));
    assert_eq!(stage.client.watches().len(), 1);
    let read = stage.submit(Op::GetData { path: path("/unwanted"), watch: true });
    assert!(read[0].starts_with("> 4 GetData"), "no recursive watch would be silenced: {read:?}");
}

#[test]
fn watches_are_armed_again_from_where_their_events_were_told() {
    let mut stage = Stage::up_with(Config { rearms: true, ..Config::new(1) });
    for i in 0..3_000 {
        stage.submit(Op::Exists { path: path(&format!("/{i:0100}")), watch: true });
        stage.reply(i + 1, 10, Err(ErrorCode::NO_NODE));
    }
    stage.broken();
    stage.wake();
    let batches = stage.connected(accepted(7));
    assert_eq!(batches.len(), 4, "Reconnected and three batches");
    // The first two are answered by a server that has come further; then the connection breaks.
    stage.reply(xid::SET_WATCHES, 20, Ok(Response::SetWatches));
    stage.reply(xid::SET_WATCHES, 20, Ok(Response::SetWatches));
    stage.broken();
    assert_eq!(stage.wake(), ["> connect 0: session 7, zxid 20, 8000 ms"]);
    let batches = stage.connected(accepted(7));
    assert!(batches[1].contains("relative_zxid: Zxid(10)"), "the third batch has not told yet");
    for _ in 0..3 {
        stage.reply(xid::SET_WATCHES, 21, Ok(Response::SetWatches));
    }
    stage.broken();
    stage.wake();
    assert!(stage.connected(accepted(7))[1].contains("relative_zxid: Zxid(21)"));
    let refused = stage.reply(xid::SET_WATCHES, 21, Err(ErrorCode::MARSHALLING_ERROR));
    assert_eq!(refused[0], "> leave: the server did not take the watches back: MARSHALLING_ERROR (-5)");
}

#[test]
fn replies_and_events_keep_the_order_of_the_wire() {
    let mut stage = Stage::up();
    stage.submit(Op::GetData { path: path("/a"), watch: true });
    stage.submit(Op::GetData { path: path("/a"), watch: true });
    let data = || Ok(Response::GetData { data: None, stat: stat() });
    stage.client.handle_reply(stage.now, 1, Zxid(5), data());
    let event = WatchedEvent { change: Change::DataChanged, path: "/a".into(), zxid: Zxid(6) };
    stage.client.handle_event(stage.now, event);
    stage.client.handle_reply(stage.now, 2, Zxid(6), data());
    assert_eq!(stage.drain(), ["= #1 of 1 at 5: ok", "= DataChanged /a", "= #2 of 1 at 6: ok"]);
    assert_eq!(stage.client.watches().len(), 1, "armed again by the second read");
}

#[test]
fn what_makes_no_sense_costs_the_connection() {
    let suspended = |reason: &str| vec![format!("> leave: {reason}"), "= Suspended".into()];
    let with_lost = |reason: &str| {
        let mut lines = suspended(reason);
        lines.push("= #1 of 1 at ?: Unknown".into());
        lines
    };
    let mut stage = Stage::up();
    assert_eq!(
        stage.reply(3, 1, Ok(Response::Delete)),
        suspended("the server answered request 3, which nobody sent")
    );
    let mut stage = Stage::up();
    assert_eq!(
        stage.reply(xid::PING, 1, Ok(Response::Ping)),
        suspended("the server answered request -2, which nobody sent")
    );
    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    assert_eq!(
        stage.reply(2, 1, Ok(Response::Delete)),
        with_lost("the server answered request 2, and 1 was next")
    );
    let mut stage = Stage::up();
    assert_eq!(stage.connected(accepted(7)), suspended("the server spoke out of turn"));
    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    assert_eq!(
        stage.reply(1, 9, Ok(Response::Ping)),
        ["= #1 of 1 at 9: Unknown", "> leave: the server's answer to request 1 is none", "= Suspended",]
    );
    let mut stage = Stage::new(Config::new(1));
    stage.wake();
    assert_eq!(stage.event(Change::Created, "/a"), ["> leave: the server spoke out of turn"]);
    stage.wake();
    assert_eq!(stage.reply(1, 1, Ok(Response::Delete)), ["> leave: the server spoke out of turn"]);
}

#[test]
fn a_transaction_that_failed_in_an_open_way_is_unknown_and_no_nonsense() {
    let mut stage = Stage::up();
    stage.submit(Op::Multi(vec![Write::Delete { path: path("/a"), version: Version::Any }]));
    let failed = Response::Multi(vec![MultiResult::Error(ErrorCode::SYSTEM_ERROR)]);
    assert_eq!(stage.reply(1, 9, Ok(failed)), ["= #1 of 1 at 9: Unknown"]);
    assert!(stage.client.is_up());
}

#[test]
fn what_is_too_large_or_would_silence_a_watch_is_refused_in_its_turn() {
    let mut stage = Stage::up();
    let large = || Op::SetData { path: path("/a"), data: vec![0; REQUEST_LEN_MAX], version: Version::Any };
    assert_eq!(stage.submit(large()), ["= #1 of 1 at ?: TooLarge"]);
    stage.submit(Op::AddWatch { path: path("/w") });
    assert_eq!(stage.submit(large()), Vec::<String>::new(), "it waits for the answer before it");
    assert_eq!(stage.reply(1, 5, Ok(Response::AddWatch)), ["= #2 of 1 at 5: ok", "= #3 of 1 at ?: TooLarge"]);
    let read = Op::GetData { path: path("/w"), watch: true };
    assert_eq!(stage.submit(read), ["= #4 of 1 at ?: BadArguments"]);
    stage.submit(delete("/a"));
    stage.submit(large());
    let lines = stage.broken();
    assert_eq!(lines[2..], ["= #5 of 1 at ?: Unknown", "= #6 of 1 at ?: TooLarge"]);
}

#[test]
fn a_close_comes_after_what_was_submitted_and_is_bounded() {
    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    stage.client.close(stage.now);
    assert_eq!(stage.drain(), ["> 2 CloseSession"]);
    assert_eq!(stage.submit(delete("/b")), ["= #2 of 1 at ?: Unknown"]);
    assert_eq!(stage.reply(1, 9, Ok(Response::Delete)), ["= #1 of 1 at 9: ok"]);
    assert_eq!(
        stage.reply(2, 10, Ok(Response::CloseSession)),
        ["> leave: the client was closed", "> closed"]
    );
    assert_eq!(stage.client.poll_timeout(), None);

    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    stage.client.close(stage.now);
    stage.drain();
    assert_eq!(stage.broken(), ["> leave: the connection broke", "= #1 of 1 at ?: Unknown", "> closed"]);

    let mut stage = Stage::up();
    stage.client.close(stage.now);
    stage.drain();
    let start = stage.now;
    while !stage.client.is_closed() {
        stage.wake();
    }
    assert!(stage.now.since(start) <= 600 * MILLIS, "a silent server is not waited for");

    let mut stage = Stage::up();
    stage.broken();
    stage.client.close(stage.now);
    assert_eq!(stage.drain(), ["> closed"], "the session is left to expire");
}

#[test]
fn an_abandoned_session_is_followed_by_another() {
    let mut stage = Stage::up();
    stage.submit(delete("/a"));
    stage.client.abandon(stage.now);
    assert_eq!(
        stage.drain(),
        ["> leave: the session was given up", "= Suspended", "= #1 of 1 at ?: Unknown", "= Lost"]
    );
    assert_eq!(stage.wake(), ["> connect 0: session 0, zxid 0, 8000 ms"]);
}

#[test]
fn numbers_of_requests_wrap_and_stay_positive() {
    let mut stage = Stage::up();
    stage.client.xid = i32::MAX - 1;
    assert!(stage.submit(delete("/a"))[0].starts_with("> 2147483647 "));
    assert!(stage.submit(delete("/a"))[0].starts_with("> 1 "));
    stage.reply(i32::MAX, 1, Ok(Response::Delete));
    assert_eq!(stage.reply(1, 1, Ok(Response::Delete)), ["= #2 of 1 at 1: ok"]);
}

//! What holds whatever server, network and clock do.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::tests::{accepted, delete, path, refused, stat};
use super::*;
use crate::ids::RequestId;
use crate::op::{Change, Version};

/// What a hostile world may do.
#[derive(Clone, Debug)]
enum Step {
    Wake,
    Advance(u16),
    Submit(u8),
    SubmitOld,
    /// Answers what is next, well or badly.
    Reply(u8),
    Stray(i32),
    Event(u8),
    Accept,
    AcceptOther,
    Refuse,
    Break,
    Abandon,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Wake),
        2 => (0..2_000_u16).prop_map(Step::Advance),
        8 => any::<u8>().prop_map(Step::Submit),
        1 => Just(Step::SubmitOld),
        8 => any::<u8>().prop_map(Step::Reply),
        1 => (-9..4).prop_map(Step::Stray),
        3 => any::<u8>().prop_map(Step::Event),
        6 => Just(Step::Accept),
        1 => Just(Step::AcceptOther),
        1 => Just(Step::Refuse),
        2 => Just(Step::Break),
        1 => Just(Step::Abandon),
    ];
    // At most one close, at the end, or most histories would be over soon.
    (prop::collection::vec(step, 0..120), any::<bool>()).prop_map(|(mut steps, closes)| {
        if closes {
            steps.push(Step::Close);
        }
        steps
    })
}

/// What an observer on both sides of the machine expects.
#[derive(Default)]
struct Observer {
    connection: Connection,
    core: Core,
    epoch: u64,
    submitted: Vec<(u64, u64)>,
    answered: Vec<(u64, u64)>,
    /// Sent and not answered on this connection: xid and type.
    wire: VecDeque<(i32, Record)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Connection {
    #[default]
    None,
    Dialling,
    Accepted,
    Closed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Core {
    #[default]
    Without,
    Up,
    Suspended,
}

impl Observer {
    fn see(&mut self, output: Output) {
        assert_ne!(self.connection, Connection::Closed, "after the end: {output:?}");
        match output {
            Output::Connect { .. } => {
                assert_eq!(self.connection, Connection::None);
                self.connection = Connection::Dialling;
            }
            Output::Send { xid, request } => {
                assert_eq!(self.connection, Connection::Accepted, "{request:?}");
                self.wire.push_back((xid, request));
            }
            Output::Disconnect { .. } => {
                assert_ne!(self.connection, Connection::None);
                self.connection = Connection::None;
                self.wire.clear();
            }
            Output::Closed => self.connection = Connection::Closed,
            Output::Input(Input::Response { session_epoch, request, outcome, .. }) => {
                if outcome.is_ok() {
                    assert_eq!(session_epoch.0, self.epoch, "an answer of an old session");
                }
                self.answered.push((session_epoch.0, request.0));
            }
            Output::Input(Input::Watch { session_epoch, .. }) => {
                assert_eq!(session_epoch.0, self.epoch);
                assert_eq!(self.core, Core::Up, "an event without a connection");
            }
            Output::Input(Input::Session(event)) => {
                self.core = match (event, self.core) {
                    (SessionEvent::Connected { session_epoch, .. }, Core::Without) => {
                        assert_eq!(session_epoch.0, self.epoch + 1);
                        self.epoch += 1;
                        Core::Up
                    }
                    (SessionEvent::Suspended, Core::Up) => Core::Suspended,
                    (SessionEvent::Reconnected, Core::Suspended) => Core::Up,
                    (SessionEvent::Lost, Core::Suspended) => Core::Without,
                    (event, core) => panic!("{event:?} while {core:?}"),
                };
                if event == SessionEvent::Suspended {
                    return;
                }
                // What an earlier session or connection had in flight is answered by now.
                assert_eq!(self.submitted.len(), self.answered.len(), "{event:?}");
            }
            Output::Input(Input::Host(event)) => panic!("{event:?}"),
        }
    }
}

fn op(choice: u8) -> Op {
    let at = path(["/a", "/a/b", "/c"][usize::from(choice) % 3]);
    match choice / 3 % 8 {
        0 => Op::GetData { path: at, watch: true },
        1 => Op::Exists { path: at, watch: true },
        2 => Op::GetChildren { path: at, watch: true },
        3 => Op::AddWatch { path: at },
        4 => Op::RemoveWatch { path: at, kind: op::WatchKind::Recursive },
        5 => Op::SetData { path: at, data: vec![0; 2_000_000], version: Version::Any },
        6 => Op::Sync { path: at },
        _ => Op::Delete { path: at, version: Version::Any },
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn good_answer(request: &Record) -> Response {
    match request {
        Record::GetData(_) => Response::GetData { data: None, stat: stat() },
        Record::Exists(_) => Response::Exists { stat: stat() },
        Record::GetChildren2(_) => Response::GetChildren2 { children: vec![], stat: stat() },
        Record::AddWatch { .. } => Response::AddWatch,
        Record::RemoveWatches { .. } => Response::RemoveWatches,
        Record::Sync { path } => Response::Sync { path: path.clone() },
        Record::Delete(_) => Response::Delete,
        Record::Create(create) => Response::Create2 { path: create.path.clone(), stat: stat() },
        Record::Ping => Response::Ping,
        Record::Auth { .. } => Response::Auth,
        Record::SetWatches { .. } | Record::SetWatches2 { .. } => Response::SetWatches,
        Record::CloseSession => Response::CloseSession,
        request => panic!("{request:?}"),
    }
}

proptest! {
    /// Whatever the server, the network and the clock do: every request is answered once and in order, nothing is sent
    /// without a connection, the core hears a story that holds together, there is always a next deadline, and a close
    /// comes to an end.
    #[test]
    fn whatever_happens_the_contract_holds(steps in steps(), with_chroot: bool, with_auth: bool, rearms: bool) {
        let mut config = Config { rearms, ..Config::new(2) };
        config.chroot = with_chroot.then(|| path("/base"));
        if with_auth {
            config.credentials.push(Credentials { scheme: "digest".into(), auth: vec![1] });
        }
        let mut now = Instant::from_millis(5);
        let mut client = Client::new(now, config);
        let mut seen = Observer::default();
        let mut zxid = 1;
        let mut session = 1;
        let mut request_count = 0;
        for step in steps {
            zxid += 1;
            match step {
                Step::Wake => {
                    now = now.max(client.poll_timeout().unwrap());
                    client.handle_timeout(now);
                    prop_assert!(client.poll_timeout().unwrap() > now, "the deadline was not dealt with");
                }
                Step::Advance(millis) => {
                    now = now.after(Duration::from_millis(u64::from(millis)));
                    client.handle_timeout(now);
                }
                Step::Submit(_) | Step::SubmitOld => {
                    request_count += 1;
                    let (epoch, op) = if let Step::Submit(choice) = step {
                        (client.session_epoch().0, op(choice))
                    } else {
                        (client.session_epoch().0.saturating_sub(1), delete("/a"))
                    };
                    seen.submitted.push((epoch, request_count));
                    let request = Request { id: RequestId(request_count), session_epoch: SessionEpoch(epoch), op };
                    client.submit(now, request);
                }
                Step::Reply(choice) => {
                    if let Some((xid, request)) = seen.wire.pop_front() {
                        prop_assert!(client.awaited(xid).is_some(), "{xid} is awaited");
                        let result = match choice % 8 {
                            0 => Err(ErrorCode::NO_NODE),
                            1 if xid > 0 => Err(ErrorCode(-999)),
                            2 if choice > 128 => Ok(Response::WhoAmI { identities: vec![] }),
                            _ => Ok(good_answer(&request)),
                        };
                        client.handle_reply(now, xid, Zxid(zxid), result);
                    }
                }
                Step::Stray(xid) => {
                    if seen.wire.iter().all(|(sent, _)| *sent != xid) {
                        client.handle_reply(now, xid, Zxid(zxid), Ok(Response::Delete));
                    }
                }
                Step::Event(choice) => {
                    let change = [Change::Created, Change::Deleted, Change::DataChanged, Change::ChildrenChanged]
                        [usize::from(choice) % 4];
                    let at = ["/a", "/a/b", "/base/c", "not a path"][usize::from(choice / 4) % 4];
                    client.handle_event(now, WatchedEvent { change, path: at.into(), zxid: Zxid(zxid) });
                }
                Step::Accept | Step::AcceptOther | Step::Refuse => {
                    if seen.connection == Connection::Dialling {
                        seen.connection = Connection::Accepted;
                    }
                    let known = client.session().map(|session| session.0);
                    let response = match (step, known) {
                        (Step::Accept, Some(known)) => accepted(known),
                        (Step::Refuse, _) => refused(),
                        _ => {
                            session += 1;
                            accepted(session)
                        }
                    };
                    client.handle_connected(now, response);
                }
                Step::Break => client.handle_break(now, Break::Garbled),
                Step::Abandon => client.abandon(now),
                Step::Close => client.close(now),
            }
            client.check_invariants();
            while let Some(output) = client.poll_output() {
                seen.see(output);
            }
        }
        // The network falls silent.
        let deadline = now.after(Duration::from_secs(60));
        client.close(now);
        while let Some(at) = client.poll_timeout() {
            now = now.max(at);
            prop_assert!(now < deadline, "the close does not end");
            client.handle_timeout(now);
            client.check_invariants();
        }
        while let Some(output) = client.poll_output() {
            seen.see(output);
        }
        prop_assert_eq!(seen.connection, Connection::Closed);
        let mut answered = seen.answered.clone();
        answered.sort_unstable();
        let mut submitted = seen.submitted.clone();
        submitted.sort_unstable();
        prop_assert_eq!(answered, submitted, "each is answered once");
        for epoch in 0..=seen.epoch {
            let of = |list: &[(u64, u64)]| list.iter().filter(|(of, _)| *of == epoch).copied().collect::<Vec<_>>();
            let answered = of(&seen.answered);
            if epoch == seen.epoch {
                prop_assert!(answered.is_sorted(), "in order: {answered:?}");
            }
        }
    }
}

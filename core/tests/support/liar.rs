//! A world that keeps no rule: sessions contradict themselves, any answer is given to any request, once, twice or
//! never, events come from nowhere, and time jumps. What must hold all the same: no panic, the machine's own
//! invariants, a bound on what one call puts out, and terms that begin and end in turns.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use queenright_core::op::{Change, ErrorCode, OpError, Outcome, Reply, Stat, WatchEvent, WriteReply};
use queenright_core::{
    Config, Coordinator, Directory, Event, HostEvent, Input, Instant, Name, Output, Path, RegistrationId,
    RequestId, SessionEpoch, SessionEvent, SessionId, Terms, Token, Zxid,
};

use super::words::INCARNATIONS;
use super::{records, steps};

/// What one call may put out, with the few things that these histories set up.
const OUTPUTS_MAX: usize = 200;
/// How often a deadline may be due at one and the same point in time.
const ROUNDS_MAX: usize = 20;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Session(SessionEvent),
    /// An answer to any request that was ever sent, or to none.
    Answer {
        request: u64,
        session_epoch: u64,
        outcome: Outcome,
    },
    /// An answer to the latest request in the current epoch, so that some of them hit.
    AnswerLatest {
        back: u64,
        outcome: Outcome,
    },
    Event {
        change: Change,
        path: usize,
    },
    Stopped {
        token: i64,
    },
    Campaign {
        terms: Terms,
    },
    Resign,
    LookUp,
    Forget,
    Register {
        payload: Vec<u8>,
    },
    Update {
        id: u64,
        payload: Vec<u8>,
    },
    Unregister {
        id: u64,
    },
    Subscribe,
    Unsubscribe,
    Touch,
    Pass(Duration),
    Timeout,
    Close,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

/// Lives through the steps, and gives everything that the coordinator put out.
pub(crate) fn live(steps: &[Step]) -> Vec<Output> {
    let mut liar = Liar::new();
    for step in steps {
        liar.take(step);
    }
    liar.outputs
}

struct Liar {
    core: Coordinator,
    now: Instant,
    session_epoch: u64,
    latest: u64,
    outputs: Vec<Output>,
    leading: BTreeMap<Name, Token>,
    is_closed: bool,
}

impl Liar {
    fn new() -> Self {
        let config = Config { cache_idle: Duration::from_secs(5), ..steps::default_config() };
        Self {
            core: Coordinator::new(config, Instant::ORIGIN).expect("a valid configuration"),
            now: Instant::ORIGIN,
            session_epoch: 0,
            latest: 0,
            outputs: Vec::new(),
            leading: BTreeMap::new(),
            is_closed: false,
        }
    }

    fn take(&mut self, step: &Step) {
        let (now, global, directory) = (self.now, name("g"), Directory::Service(name("s")));
        match step.clone() {
            Step::Session(event) => {
                if let SessionEvent::Connected { session_epoch, .. } = event {
                    self.session_epoch = self.session_epoch.max(session_epoch.0);
                }
                self.core.handle_input(now, Input::Session(event));
            }
            Step::Answer { request, session_epoch, outcome } => self.answer(request, session_epoch, outcome),
            Step::AnswerLatest { back, outcome } => {
                self.answer(self.latest.saturating_sub(back), self.session_epoch, outcome);
            }
            Step::Event { change, path } => {
                let event = WatchEvent { change, path: paths().swap_remove(path), zxid: None };
                let session_epoch = SessionEpoch(self.session_epoch);
                self.core.handle_input(now, Input::Watch { session_epoch, event });
            }
            Step::Stopped { token } => {
                let token = self.leading.get(&global).copied().unwrap_or(Token(Zxid(token)));
                self.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
            }
            Step::Campaign { terms } => drop(self.core.campaign(now, global, b"pid".to_vec(), terms)),
            Step::Resign => drop(self.core.resign(now, &global)),
            Step::LookUp => drop(self.core.look_up(now, global)),
            Step::Forget => self.core.forget(now, &global),
            Step::Register { payload } => {
                // As long as names get: the mark of the payload still has to go behind it.
                drop(self.core.register(now, directory, name(&"i".repeat(512)), payload));
            }
            Step::Update { id, payload } => drop(self.core.update(now, RegistrationId(id), payload)),
            Step::Unregister { id } => drop(self.core.unregister(now, RegistrationId(id))),
            Step::Subscribe => drop(self.core.subscribe(now, directory)),
            Step::Unsubscribe => self.core.unsubscribe(now, &directory),
            Step::Touch => {
                self.core.touch(now, &directory);
                self.core.touch_global(now, &global);
            }
            Step::Pass(duration) => self.now = now.after(duration),
            Step::Timeout => self.meet_deadlines(),
            Step::Close => self.core.close(now),
        }
        self.drain();
    }

    fn answer(&mut self, request: u64, session_epoch: u64, outcome: Outcome) {
        let (request, session_epoch) = (RequestId(request), SessionEpoch(session_epoch));
        self.core.handle_input(self.now, Input::Response { session_epoch, request, zxid: None, outcome });
    }

    fn meet_deadlines(&mut self) {
        for _ in 0..ROUNDS_MAX {
            match self.core.poll_timeout() {
                Some((at, _)) if at <= self.now => {
                    self.core.handle_timeout(self.now);
                    self.drain();
                }
                Some((at, _)) => {
                    self.now = at;
                    self.core.handle_timeout(at);
                    return;
                }
                None => return,
            }
        }
        panic!("deadlines are due at {} again and again", self.now);
    }

    fn drain(&mut self) {
        let before = self.outputs.len();
        while let Some(output) = self.core.poll_output() {
            assert!(!self.is_closed, "after Closed: {output:?}");
            match &output {
                Output::Request(request) => {
                    assert_eq!(request.id.0, self.latest + 1, "requests are numbered in order");
                    assert!(request.session_epoch.0 <= self.session_epoch, "a session of the future");
                    self.latest = request.id.0;
                }
                Output::Event(Event::Elected { global, token, .. }) => {
                    let before = self.leading.insert(global.clone(), *token);
                    assert_eq!(before, None, "elected twice");
                }
                Output::Event(Event::Revoked { global, token }) => {
                    assert_eq!(self.leading.remove(global), Some(*token), "revoked what was not led");
                }
                Output::Event(Event::Closed) => {
                    assert!(self.leading.is_empty(), "closed with a term that was not revoked");
                    self.is_closed = true;
                }
                Output::Event(_) => {}
            }
            self.outputs.push(output);
        }
        let count = self.outputs.len() - before;
        assert!(count <= OUTPUTS_MAX, "{count} outputs of one call");
        self.core.check_invariants();
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => session_event().prop_map(Step::Session),
        4 => (0..150_u64, 0..6_u64, outcome()).prop_map(|(request, session_epoch, outcome)| Step::Answer {
            request,
            session_epoch,
            outcome
        }),
        30 => (0..6_u64, outcome()).prop_map(|(back, outcome)| Step::AnswerLatest { back, outcome }),
        8 => (change(), 0..paths().len()).prop_map(|(change, path)| Step::Event { change, path }),
        2 => (0..3_i64).prop_map(|token| Step::Stopped { token }),
        4 => prop_oneof![Just(Terms::One), Just(Terms::Many)].prop_map(|terms| Step::Campaign { terms }),
        2 => Just(Step::Resign),
        3 => Just(Step::LookUp),
        1 => Just(Step::Forget),
        3 => payload().prop_map(|payload| Step::Register { payload }),
        1 => (0..4_u64, payload()).prop_map(|(id, payload)| Step::Update { id, payload }),
        1 => (0..4_u64).prop_map(|id| Step::Unregister { id }),
        3 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        1 => Just(Step::Touch),
        6 => (0..4_000_u64).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        8 => Just(Step::Timeout),
        1 => Just(Step::Close),
    ]
}

fn session_event() -> impl Strategy<Value = SessionEvent> {
    prop_oneof![
        (0..6_u64, -1..3_i64).prop_map(|(session_epoch, session)| SessionEvent::Connected {
            session_epoch: SessionEpoch(session_epoch),
            session: SessionId(session)
        }),
        Just(SessionEvent::Suspended),
        Just(SessionEvent::Reconnected),
        Just(SessionEvent::Lost),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let code = prop_oneof![
        4 => Just(ErrorCode::NoNode),
        2 => Just(ErrorCode::BadVersion),
        2 => Just(ErrorCode::NodeExists),
        1 => Just(ErrorCode::NoAuth),
        1 => Just(ErrorCode::Unimplemented),
    ];
    prop_oneof![
        6 => reply().prop_map(Ok),
        2 => Just(Err(OpError::Unknown)),
        2 => code.clone().prop_map(|code| Err(OpError::Refused(code))),
        1 => (0..4_u32, code).prop_map(|(index, code)| Err(OpError::RefusedAt { index, code })),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let writes = prop_oneof![
        Just(WriteReply::Created),
        Just(WriteReply::Deleted),
        Just(WriteReply::Checked),
        stat().prop_map(|stat| WriteReply::Set { stat }),
    ];
    prop_oneof![
        2 => (0..paths().len(), stat()).prop_map(|(path, stat)| Reply::Created { path: paths().swap_remove(path), stat }),
        1 => Just(Reply::Deleted),
        1 => stat().prop_map(|stat| Reply::Set { stat }),
        6 => (data(), stat()).prop_map(|(data, stat)| Reply::Data { data, stat }),
        1 => stat().prop_map(|stat| Reply::Exists { stat }),
        3 => (children(), stat()).prop_map(|(names, stat)| Reply::Children { names, stat }),
        1 => Just(Reply::WatchAdded),
        1 => Just(Reply::Synced),
        4 => prop::collection::vec(writes, 0..4).prop_map(Reply::Multi),
    ]
}

fn stat() -> impl Strategy<Value = Stat> {
    let version = prop_oneof![8 => -2..4_i32, 1 => Just(i32::MAX), 1 => Just(i32::MIN)];
    (version, 0..4_i64, 0..4_i64, -1..3_i64).prop_map(|(version, czxid, mzxid, ephemeral_owner)| Stat {
        version,
        czxid: Zxid(czxid),
        mzxid: Zxid(mzxid),
        ephemeral_owner,
        ..Stat::default()
    })
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let me = INCARNATIONS[0].1;
    prop_oneof![
        Just(records::vacant()),
        (1..4_u32).prop_map(move |count| records::held(&format!("{me}.{count}"), b"pid")),
        Just(records::held("another.1", b"pid")),
        Just(records::lease(Duration::from_secs(1), "n2")),
        payload(),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn children() -> impl Strategy<Value = Vec<String>> {
    let me = INCARNATIONS[0].1;
    let candidate = (1..4_u32, prop_oneof![0..4_i32, Just(i32::MAX), Just(i32::MIN)]);
    let child = prop_oneof![
        candidate.prop_map(move |(count, sequence)| format!("{me}.{count}-{sequence:010}")),
        (0..4_i32).prop_map(|sequence| format!("{:032x}.1-{sequence:010}", 7)),
        Just("a".to_owned()),
        Just("a+".to_owned()),
        Just("+".to_owned()),
        Just(String::new()),
    ];
    prop::collection::vec(child, 0..5)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), Just(b"x".to_vec()), Just(b"y".to_vec())]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Created),
        Just(Change::Deleted),
        Just(Change::DataChanged),
        Just(Change::ChildrenChanged)
    ]
}

fn paths() -> Vec<Path> {
    let me = INCARNATIONS[0].1;
    let long = "i".repeat(512);
    [
        "/q/globals/g/term".to_owned(),
        format!("/q/globals/g/queue/{me}.1-0000000001"),
        format!("/q/globals/g/queue/{:032x}.1-0000000000", 7),
        "/q/leases/another.1".to_owned(),
        "/q/services/s".to_owned(),
        "/q/services/s/a".to_owned(),
        "/q/services/s/a+".to_owned(),
        format!("/q/services/s/{long}"),
        "/".to_owned(),
    ]
    .into_iter()
    .map(|path| Path::new(path).expect("a path"))
    .collect()
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

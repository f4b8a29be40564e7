//! The bodies of the fuzz targets: [`cache()`], [`recording()`] and [`wire()`] are one file each. This one is about `coordinator`: bytes become a history, and
//! the coordinator keeps its contract.
//!
//! The world here is not a ZooKeeper but a liar: answers fit their requests mostly, and tell whatever the bytes
//! say; sessions contradict themselves; events come that nobody asked for; answers come twice, or for nothing. So
//! nothing is checked that needs an honest server (two of them may lead), but everything that must hold all the
//! same: invariants, no panic, no endless loop, terms that begin and end in order, an end after `close`, and the
//! same outputs for the same history.

mod cache;
mod liar;
mod recording;
mod wire;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use cache::cache;
pub use recording::recording;
pub use wire::wire;

use crate::layout::{Layout, Place};
use crate::op::{Change, OpError, Outcome, WatchEvent};
use crate::outbox::LeaseName;
use crate::{
    Config, Coordinator, Directory, Event, HostEvent, Incarnation, Input, Instant, Name, Op, Output,
    RegistrationId, Request, RequestId, SessionEpoch, SessionEvent, SessionId, Terms, Token, Zxid,
};

/// How many steps a history has at most, however long the input is.
const STEPS_MAX: usize = 2_000;
/// More outputs than this of one call are an endless loop, or cost without bound.
const OUTPUTS_MAX: usize = 5_000;
/// How often deadlines may be due at one and the same point in time.
const ROUNDS_MAX: usize = 64;

/// Lives through the history that `data` stands for, twice.
///
/// # Panics
/// When the coordinator breaks its contract: a bug of this crate.
pub fn coordinator(data: &[u8]) {
    let once = World::new(data, Checks::All).live();
    let again = World::new(data, Checks::Contract).live();
    assert!(once == again, "the same history gave other outputs");
}

struct World<'a> {
    bytes: Bytes<'a>,
    checks: Checks,
    core: Coordinator,
    layout: Layout,
    now: Instant,
    session_epoch: SessionEpoch,
    in_flight: VecDeque<Request>,
    last_request: Option<RequestId>,
    registrations: Vec<RegistrationId>,
    /// The lease names and candidates that the coordinator made, which the liar then speaks of.
    lease: LeaseName,
    candidate: String,
    terms: BTreeMap<Name, (Token, Told)>,
    is_closed: bool,
    outputs: Vec<Output>,
}

/// What was told of a term that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Elected,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    All,
    /// Only of what is put out. For the second time the machines within are as they were the first time, or what they put out
    /// will tell.
    Contract,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> World<'a> {
    fn new(data: &'a [u8], checks: Checks) -> Self {
        let mut bytes = Bytes(data);
        let node = Name::new("node").expect("a name");
        let mut config = Config::new(node, Incarnation(7)).with_lease(Duration::from_secs(1));
        // Sometimes a lease is longer than closing may take.
        if bytes.up_to(4) == 0 {
            let lease = config.close_timeout * 4;
            config = config.with_lease(lease);
        }
        // A small budget, so that shared watches are reached, too.
        config.watch_bytes_max = bytes.up_to(4) * 60;
        let now = Instant::from_millis(1_000);
        Self {
            layout: Layout::new(&config.root),
            core: Coordinator::new(config, now).expect("a good configuration"),
            bytes,
            checks,
            now,
            session_epoch: SessionEpoch(0),
            in_flight: VecDeque::new(),
            last_request: None,
            registrations: Vec::new(),
            lease: Arc::from("none"),
            candidate: String::from("none"),
            terms: BTreeMap::new(),
            is_closed: false,
            outputs: Vec::new(),
        }
    }

    fn live(mut self) -> Vec<Output> {
        let mut steps = 0;
        while !self.bytes.is_empty() && steps < STEPS_MAX {
            self.step();
            self.settle();
            steps += 1;
        }
        self.end();
        self.outputs
    }

    fn step(&mut self) {
        let now = self.now;
        match self.bytes.up_to(20) {
            0 => self.now = now.after(Duration::from_millis(self.bytes.next().into())),
            1 => self.now = now.after(Duration::from_millis(u64::from(self.bytes.next()) * 50)),
            2 | 3 => {
                if let Some((at, _)) = self.core.poll_timeout() {
                    self.now = now.max(at);
                }
            }
            4..=9 => {
                if let Some(request) = self.in_flight.pop_front() {
                    let outcome = self.lie(&request.op);
                    self.answer(&request, outcome);
                }
            }
            10 => {
                // An answer that nobody awaits, or that comes a second time.
                let request = Request {
                    id: RequestId(self.bytes.next().into()),
                    session_epoch: SessionEpoch(u64::from(self.bytes.next() % 4)),
                    op: Op::Sync { path: self.layout.root.clone() },
                };
                let outcome = self.lie(&request.op);
                self.answer(&request, outcome);
            }
            11 | 12 => self.change_session(),
            13 => {
                let change = match self.bytes.up_to(4) {
                    0 => Change::Created,
                    1 => Change::Deleted,
                    2 => Change::DataChanged,
                    _ => Change::ChildrenChanged,
                };
                let event = WatchEvent { change, path: self.some_path(), zxid: None };
                let session_epoch = self.session_epoch;
                self.core.handle_input(now, Input::Watch { session_epoch, event });
            }
            14 => self.register(),
            15 => {
                let directory = self.directory();
                match self.bytes.up_to(3) {
                    0 => self.core.unsubscribe(now, &directory),
                    1 => self.core.touch(now, &directory),
                    _ => drop(self.core.subscribe(now, directory)),
                }
            }
            16 => {
                let global = self.global();
                let terms = if self.bytes.up_to(2) == 0 { Terms::One } else { Terms::Many };
                let payload = self.bytes.take(3);
                let _ = self.core.campaign(now, global, payload, terms);
            }
            17 => {
                let global = self.global();
                match self.bytes.up_to(4) {
                    0 => drop(self.core.resign(now, &global)),
                    1 => self.core.forget(now, &global),
                    2 => self.core.touch_global(now, &global),
                    _ => drop(self.core.look_up(now, global)),
                }
            }
            18 => {
                let global = self.global();
                let token = self.terms.get(&global).map_or(Token(Zxid(3)), |(token, _)| *token);
                self.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
            }
            _ => {
                if self.bytes.up_to(16) == 0 {
                    self.core.close(now);
                }
            }
        }
    }

    fn register(&mut self) {
        let now = self.now;
        let payload = self.bytes.take(2);
        let some = self.bytes.up_to(4);
        let known = self.registrations.get(some).copied().unwrap_or(RegistrationId(some as u64));
        match self.bytes.up_to(4) {
            0 => drop(self.core.unregister(now, known)),
            1 => drop(self.core.update(now, known, payload)),
            _ => {
                let (directory, instance) = (self.directory(), self.name(&["i", "j", "k"]));
                if let Ok(id) = self.core.register(now, directory, instance, payload) {
                    self.registrations.push(id);
                }
            }
        }
    }

    fn change_session(&mut self) {
        let event = match self.bytes.up_to(6) {
            0 => SessionEvent::Suspended,
            1 => SessionEvent::Reconnected,
            2 => SessionEvent::Lost,
            _ => {
                let session = SessionId(i64::from(self.bytes.next() % 4));
                // Honest ports answer everything before; this one answers what it likes.
                for request in core::mem::take(&mut self.in_flight) {
                    if self.bytes.up_to(4) > 0 {
                        self.answer(&request, Err(OpError::Unknown));
                        self.settle();
                    }
                }
                self.session_epoch.0 += 1;
                SessionEvent::Connected { session_epoch: self.session_epoch, session }
            }
        };
        self.core.handle_input(self.now, Input::Session(event));
    }

    fn answer(&mut self, request: &Request, outcome: Outcome) {
        let zxid = (self.bytes.up_to(3) == 0).then(|| Zxid(self.bytes.next().into()));
        let Request { id, session_epoch, .. } = *request;
        self.core.handle_input(self.now, Input::Response { session_epoch, request: id, zxid, outcome });
    }

    fn directory(&mut self) -> Directory {
        match self.bytes.up_to(3) {
            0 => Directory::Nodes,
            1 => Directory::Service(self.name(&["s"])),
            _ => Directory::Service(self.name(&["s", "t", "u"])),
        }
    }

    fn global(&mut self) -> Name {
        self.name(&["g", "h", "queenright:janitor"])
    }

    fn name(&mut self, names: &[&str]) -> Name {
        Name::new(names[self.bytes.up_to(names.len())]).expect("a name")
    }

    /// Drains the outputs, lets everything happen that is due, and looks whether all is well.
    fn settle(&mut self) {
        self.drain();
        let mut rounds = 0;
        while self.core.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "a deadline is due for ever: {:?}", self.core.poll_timeout());
            self.core.handle_timeout(self.now);
            self.drain();
        }
        let (before, now) = (self.outputs.len(), self.now);
        self.core.handle_timeout(now);
        self.drain();
        assert_eq!(self.outputs.len(), before, "a timeout that was early did something");
        if self.checks == Checks::All {
            self.core.check_invariants();
        }
    }

    fn drain(&mut self) {
        let before = self.outputs.len();
        while let Some(output) = self.core.poll_output() {
            assert!(!self.is_closed, "Closed, and then {output:?}");
            match &output {
                Output::Request(request) => {
                    // One of a session that is over is allowed: ports answer it and do not send it.
                    assert!(request.session_epoch <= self.session_epoch, "of no session yet: {request:?}");
                    assert!(self.last_request < Some(request.id), "out of order: {request:?}");
                    self.last_request = Some(request.id);
                    if let Op::Delete { path, .. } = &request.op {
                        let is_alive = matches!(self.layout.place(path), Place::Lease(_));
                        assert!(
                            !is_alive || self.terms.is_empty(),
                            "{path} is deleted within {:?}",
                            self.terms
                        );
                    }
                    self.in_flight.push_back(request.clone());
                }
                Output::Event(event) => self.check_event(event),
            }
            self.outputs.push(output);
            assert!(self.outputs.len() - before <= OUTPUTS_MAX, "one call leads to outputs without end");
        }
    }

    fn check_event(&mut self, event: &Event) {
        match event {
            Event::Elected { global, token, valid_until, .. } => {
                assert!(*valid_until > self.now, "{global}: elected when it was over");
                let before = self.terms.insert(global.clone(), (*token, Told::Elected));
                assert_eq!(before, None, "{global}: elected twice");
            }
            Event::Stop { global, token, .. } => {
                let before = self.terms.insert(global.clone(), (*token, Told::Stop));
                assert_eq!(before, Some((*token, Told::Elected)), "{global}: told to stop");
            }
            Event::Revoked { global, token } => {
                let before = self.terms.remove(global).map(|(token, _)| token);
                assert_eq!(before, Some(*token), "{global}: revoked");
            }
            Event::Closed => self.is_closed = true,
            Event::Session(_)
            | Event::Registration { .. }
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Extended { .. }
            | Event::Withdrawn { .. }
            | Event::Degraded { .. } => {}
        }
    }

    /// Closing comes to an end, whether or not anybody answers.
    fn end(&mut self) {
        self.core.close(self.now);
        self.settle();
        let deadline = self.now.after(self.core.config().close_timeout);
        let mut rounds = 0;
        while !self.is_closed {
            rounds += 1;
            assert!(rounds <= STEPS_MAX, "closing does not end");
            match self.core.poll_timeout() {
                Some((at, timer)) => {
                    assert!(at <= deadline, "closing waits for {timer:?} at {at}");
                    self.now = self.now.max(at);
                }
                None => panic!("closing waits for nothing"),
            }
            self.core.handle_timeout(self.now);
            self.settle();
        }
        assert!(self.terms.is_empty(), "closed, and terms are not over: {:?}", self.terms);
    }
}

impl Bytes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 when there is none.
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// A number below `end`.
    fn up_to(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    /// At most `len` bytes; how many of them is a byte's choice.
    fn take(&mut self, len: usize) -> Vec<u8> {
        let len = self.up_to(len + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::mix;

    /// What a fuzzer would begin with: histories of chance.
    #[test]
    fn histories_of_chance_break_nothing() {
        for seed in 0..2_000_u64 {
            let len = (mix(seed) % 1_500) as usize;
            let data: Vec<u8> = (0..len as u64).map(|at| mix(mix(seed) ^ at) as u8).collect();
            coordinator(&data);
        }
    }
}

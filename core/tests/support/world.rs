//! One coordinator, its driver and the small ZooKeeper, moved by hand.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use queenright_core::op::{Op, OpError, Outcome, WatchEvent};
use queenright_core::{
    Config, Coordinator, Event, Input, Instant, Output, Request, RequestId, SessionEpoch, SessionEvent,
    SessionId, Zxid,
};

use super::notation;
use super::tree::Tree;

/// More messages than any transcript needs before all is quiet: a live-lock fails instead of hanging.
const SERVED_MAX: usize = 300;
/// More deadlines than any transcript lets pass at once.
const TIMEOUTS_MAX: usize = 300;

/// The same, for times in which nothing happens.
const QUIET_TIMEOUTS_MAX: usize = 5_000;

pub(crate) struct World {
    pub(crate) core: Coordinator,
    pub(crate) now: Instant,
    pub(crate) tree: Tree,
    pub(crate) session: SessionId,
    pub(crate) session_epoch: SessionEpoch,
    /// Every event so far.
    pub(crate) events: Vec<Event>,
    link: Link,
    /// Sent, and not seen by the server.
    waiting: VecDeque<Request>,
    /// Answered or told by the server, and not delivered.
    pipe: VecDeque<Delivery>,
    /// What was written down during the step.
    log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

enum Delivery {
    Reply { request: Request, outcome: Outcome },
    Event { session_epoch: SessionEpoch, event: WatchEvent },
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::ORIGIN;
        Self {
            core: Coordinator::new(config, now).expect("a valid configuration"),
            now,
            tree: Tree::new(0xf),
            session: SessionId(0),
            session_epoch: SessionEpoch(0),
            events: Vec::new(),
            link: Link::Down,
            waiting: VecDeque::new(),
            pipe: VecDeque::new(),
            log: String::new(),
        }
    }

    pub(crate) fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn note(&mut self, line: &str) {
        writeln!(self.log, "  {line}").expect("a String takes everything");
    }

    /// Writes down all outputs of the call before, and looks at the machine from inside.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request(request) => {
                    assert!(request.session_epoch <= self.session_epoch, "sent in a session to come");
                    self.note(&format!("{} {}", request.id, notation::op(&request.op)));
                    // A deadline that passed unnoticed may send something with the news that its session is over.
                    if request.session_epoch == self.session_epoch && self.session_is_open() {
                        self.waiting.push_back(request);
                    }
                }
                Output::Event(event) => {
                    self.note(&notation::event(&event));
                    self.events.push(event);
                }
            }
        }
        self.core.check_invariants();
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.core.handle_input(self.now, input);
        self.drain();
    }

    pub(crate) fn connect(&mut self, session: SessionId, session_epoch: SessionEpoch) {
        if session_epoch > self.session_epoch {
            self.break_off();
            // Whatever was sent in the session before, the core has resolved by itself.
            self.waiting.clear();
            self.pipe.clear();
            (self.session, self.session_epoch, self.link) = (session, session_epoch, Link::Up);
        }
        self.handle(Input::Session(SessionEvent::Connected { session_epoch, session }));
    }

    pub(crate) fn suspend(&mut self) {
        self.break_off();
        self.handle(Input::Session(SessionEvent::Suspended));
    }

    pub(crate) fn reconnect(&mut self) {
        if self.link == Link::Up {
            self.break_off();
        }
        self.link = Link::Up;
        let orphans = std::mem::take(&mut self.waiting);
        // What was under way when the connection broke is answered with "nobody knows", before or after the
        // news that there is a new one: after it is the harder case.
        self.core.handle_input(self.now, Input::Session(SessionEvent::Reconnected));
        self.drain();
        for request in orphans {
            self.deliver(Delivery::Reply { request, outcome: Err(OpError::Unknown) });
        }
    }

    pub(crate) fn lose_session(&mut self) {
        self.break_off();
        self.waiting.clear();
        self.session = SessionId(0);
        self.handle(Input::Session(SessionEvent::Lost));
    }

    /// The server takes up to `count` requests, and all that it has to say is delivered, until all is quiet.
    /// Without a connection, what was sent is answered with "nobody knows".
    pub(crate) fn serve(&mut self, count: usize) {
        let mut served = 0;
        for _ in 0..SERVED_MAX {
            if let Some(delivery) = self.pipe.pop_front() {
                self.deliver(delivery);
            } else if served == count {
                return;
            } else if let Some(request) = self.waiting.pop_front() {
                served += 1;
                self.apply(request);
            } else {
                return;
            }
        }
        panic!("{SERVED_MAX} messages, and it is not quiet yet");
    }

    /// The server takes the requests up to and including the one that matches; nothing is delivered.
    pub(crate) fn apply_through(&mut self, pattern: &str) {
        let index = self.find(pattern);
        for request in self.waiting.drain(..=index).collect::<Vec<_>>() {
            self.apply(request);
        }
    }

    /// The server takes the request that matches, and its answer is lost.
    pub(crate) fn lose_answer(&mut self, pattern: &str) {
        let request = self.take(pattern);
        // It is lost because it was never read: the tree has it.
        let _ = self.tree.apply(self.session, &request.op);
        self.queue_events();
        self.deliver(Delivery::Reply { request, outcome: Err(OpError::Unknown) });
    }

    /// The server never sees the request that matches; it is answered by hand.
    pub(crate) fn answer(&mut self, pattern: &str, parse: impl FnOnce(&Op) -> (Outcome, Option<Zxid>)) {
        let request = self.take(pattern);
        let (outcome, zxid) = parse(&request.op);
        self.reply(&request, outcome, zxid);
    }

    /// The server takes everything that is under way; nothing is delivered yet.
    pub(crate) fn apply_all(&mut self) {
        for request in std::mem::take(&mut self.waiting) {
            self.apply(request);
        }
    }

    /// Of what is on its way, the first answer is delivered, ahead of the events before it: an answer may overtake
    /// events.
    pub(crate) fn overtake(&mut self) {
        let first = self.pipe.iter().position(|delivery| matches!(delivery, Delivery::Reply { .. }));
        if let Some(delivery) = first.and_then(|index| self.pipe.remove(index)) {
            self.deliver(delivery);
        }
    }

    /// Nobody learns what came of the request at `index`, if there is one; whether the server took it is the
    /// caller's choice.
    pub(crate) fn lose(&mut self, index: usize, is_applied: bool) {
        let Some(request) = self.waiting.remove(index) else { return };
        if is_applied {
            let _ = self.tree.apply(self.session, &request.op);
            self.queue_events();
        }
        self.deliver(Delivery::Reply { request, outcome: Err(OpError::Unknown) });
    }

    pub(crate) fn session_is_open(&self) -> bool {
        self.session != SessionId(0)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// An answer that nobody waits for.
    pub(crate) fn answer_again(&mut self, request: RequestId, session_epoch: SessionEpoch) {
        let outcome = Err(OpError::Unknown);
        self.handle(Input::Response { session_epoch, request, zxid: None, outcome });
    }

    /// Somebody else did something: what this client watches is on its way.
    pub(crate) fn queue_events(&mut self) {
        for event in self.tree.take_events() {
            if self.link == Link::Up {
                self.pipe.push_back(Delivery::Event { session_epoch: self.session_epoch, event });
            }
        }
    }

    /// Lets time pass up to `until`, with every deadline met on time.
    pub(crate) fn advance(&mut self, until: Instant) {
        for _ in 0..TIMEOUTS_MAX {
            match self.core.poll_timeout() {
                Some((at, _)) if at <= until => self.fire(at),
                Some(_) | None => {
                    self.now = self.now.max(until);
                    return;
                }
            }
        }
        panic!("{TIMEOUTS_MAX} deadlines before {}: it runs in circles", notation::instant(until));
    }

    /// Lets time pass as it does when all is well: every deadline is met, and every request is served at once.
    /// Nothing of it is written down.
    pub(crate) fn live_quietly(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        let before = self.log.len();
        for _ in 0..QUIET_TIMEOUTS_MAX {
            self.serve(usize::MAX);
            match self.core.poll_timeout() {
                Some((at, _)) if at <= until => self.fire(at),
                Some(_) | None => {
                    self.now = self.now.max(until);
                    self.log.truncate(before);
                    return;
                }
            }
        }
        panic!("{QUIET_TIMEOUTS_MAX} deadlines in {}: it runs in circles", notation::duration(duration));
    }

    /// Lets time pass up to the next deadline.
    pub(crate) fn wait(&mut self) {
        let (at, timer) = self.core.poll_timeout().expect("nothing to wait for");
        self.note(&format!("{timer:?} at {}", notation::instant(at)));
        self.now = self.now.max(at);
        self.core.handle_timeout(self.now);
        self.drain();
    }

    /// Lets time pass while the process does not run: no deadline is met.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.now = self.now.after(pause);
    }

    fn fire(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let before = self.log.len();
        self.core.handle_timeout(self.now);
        self.drain();
        if self.log.len() > before {
            self.log.insert_str(before, &format!("  at {}:\n", notation::instant(self.now)));
        }
    }

    fn break_off(&mut self) {
        self.link = Link::Down;
        self.tree.disconnect();
        for delivery in std::mem::take(&mut self.pipe).into_iter().rev() {
            match delivery {
                Delivery::Reply { request, .. } => self.waiting.push_front(request),
                Delivery::Event { .. } => {}
            }
        }
    }

    fn apply(&mut self, request: Request) {
        let outcome = match self.link {
            Link::Up => self.tree.apply(self.session, &request.op),
            Link::Down => Err(OpError::Unknown),
        };
        // A server tells what a write set off before it answers the write.
        self.queue_events();
        self.pipe.push_back(Delivery::Reply { request, outcome });
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Reply { request, outcome } => self.reply(&request, outcome, None),
            Delivery::Event { session_epoch, event } => {
                self.note(&format!(
                    "event {:?} {}",
                    event.change,
                    super::words::abbreviate(event.path.as_str())
                ));
                self.handle(Input::Watch { session_epoch, event });
            }
        }
    }

    fn reply(&mut self, request: &Request, outcome: Outcome, zxid: Option<Zxid>) {
        let (op, answer) = (notation::brief(&request.op), notation::outcome(&request.op, &outcome));
        self.note(&format!("{} {op} → {answer}", request.id));
        let Request { id, session_epoch, .. } = *request;
        self.handle(Input::Response { session_epoch, request: id, zxid, outcome });
    }

    fn take(&mut self, pattern: &str) -> Request {
        let index = self.find(pattern);
        self.waiting.remove(index).expect("it was found")
    }

    /// The first request under way in whose line every word of the pattern is.
    fn find(&self, pattern: &str) -> usize {
        let lines: Vec<String> = self
            .waiting
            .iter()
            .map(|request| format!("{} {} ", request.id, notation::op(&request.op)))
            .collect();
        let is_match = |line: &String| pattern.split_whitespace().all(|word| line.contains(word));
        lines.iter().position(is_match).unwrap_or_else(|| {
            panic!("no request is under way like `{pattern}`; there are:\n{}", lines.join("\n"))
        })
    }
}

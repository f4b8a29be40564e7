//! One node: the real coordinator, what waits for answers, and what its application was told.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use queenright_core::op::{OpError, Outcome, WatchEvent};
use queenright_core::output::{Instance, InstanceChange, RegistrationStatus};
use queenright_core::{
    Coordinator, Event, Freshness, HostEvent, Input, Instant, Op, Output, RegistrationId, RequestId,
    SessionEpoch, SessionEvent, Terms, Token, Zxid,
};
use serde::Serialize;

use super::space::LEASES;
use super::world::World;
use crate::checkers::{Alternation, Life, Violation};

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stimulus {
    /// The oldest unanswered request is answered.
    Answer {
        zxid: Option<Zxid>,
        outcome: Outcome,
    },
    Watch(WatchEvent),
    Session(SessionEvent),
    /// Its next deadline has come, or it looks at the clock after a pause.
    Time,
    /// The application of its term has stopped, as it was told to.
    Stopped(u8),
    /// The application of its term has come to its end by itself.
    Finish(u8),
    Campaign(u8),
    Resign(u8),
    LookUp(u8),
    Register(u8),
    Unregister(u8),
    Subscribe,
    Unsubscribe,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) life: Life,
    pub(super) core: Coordinator,
    /// Sent on the present connection, and not answered.
    pub(super) pending: VecDeque<(SessionEpoch, RequestId)>,
    pub(super) epoch: SessionEpoch,
    /// For each global.
    pub(super) terms: Vec<Application>,
    pub(super) stands: Vec<bool>,
    alternation: Alternation,
    /// For each global, a term that is over, of which a slow application has not said that it has stopped.
    unsaid: Vec<Option<Token>>,
    /// For each global, whether it is looked up.
    pub(super) looks_up: Vec<bool>,
    /// For each instance.
    pub(super) registrations: Vec<Option<RegistrationId>>,
    /// How often each was registered.
    pub(super) editions: Vec<u8>,
    pub(super) is_subscribed: bool,
    /// The number of the lease record that it has created last.
    lease: u64,
}

/// What the application for a global knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Application {
    Idle,
    /// It runs until then, by its node's clock, unless that is extended.
    Leads {
        token: Token,
        until: Instant,
    },
    /// It was told to be done by then.
    Stopping {
        token: Token,
        until: Instant,
    },
    /// It is done, and the coordinator knows.
    Stopped {
        token: Token,
        until: Instant,
    },
}

impl Application {
    /// Until when it believes to lead.
    pub(super) const fn until(self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Leads { until, .. } | Self::Stopping { until, .. } | Self::Stopped { until, .. } => {
                Some(until)
            }
        }
    }
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) machine: Machine,
    pub(super) sent: Vec<Op>,
    pub(super) events: Vec<Event>,
    pub(super) elected: Vec<(u8, Token)>,
    /// Whether the directory is told to be empty, and was not told so before.
    pub(super) is_told_empty: bool,
    pub(super) violation: Option<Violation>,
}

impl Machine {
    pub(super) fn new(world: &World, life: Life, now: Instant) -> Self {
        let config = world.config(life);
        let core = Coordinator::new(config, now).unwrap_or_else(|bad| panic!("{}: {bad}", world.name));
        Self {
            life,
            core,
            pending: VecDeque::new(),
            epoch: SessionEpoch(0),
            terms: vec![Application::Idle; world.globals.into()],
            stands: vec![false; world.globals.into()],
            alternation: Alternation::default(),
            unsaid: vec![None; world.globals.into()],
            looks_up: vec![false; world.globals.into()],
            registrations: vec![None; world.instances.into()],
            editions: vec![0; world.instances.into()],
            is_subscribed: false,
            lease: 0,
        }
    }

    /// The globals whose application may say that it has stopped.
    pub(super) fn may_stop(&self) -> impl Iterator<Item = u8> {
        let terms = (0..).zip(&self.terms).zip(&self.unsaid);
        terms.filter_map(|((global, term), unsaid)| {
            (unsaid.is_some() || matches!(term, Application::Stopping { .. })).then_some(global)
        })
    }

    /// How many answers are owed to it.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The same machine after `stimulus`. What it says is checked as far as one node can be.
    pub(super) fn step(&self, world: &World, now: Instant, stimulus: &Stimulus) -> Step {
        let mut machine = self.clone();
        let told = machine.is_subscribed.then(|| machine.core.directory(&World::directory())).flatten();
        let tried = catch_unwind(AssertUnwindSafe(|| {
            machine.take(world, now, stimulus);
            let outputs: Vec<Output> = std::iter::from_fn(|| machine.core.poll_output()).collect();
            machine.core.check_invariants();
            outputs
        }));
        let mut step = Step {
            machine,
            sent: Vec::new(),
            events: Vec::new(),
            elected: Vec::new(),
            is_told_empty: false,
            violation: None,
        };
        match tried {
            Ok(outputs) => {
                step.note(world, now, outputs);
                step.is_told_empty = told.is_some_and(|told| is_told_empty(told, &step.events));
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                step.violation = Some(Violation::new("no panic", text.unwrap_or_default()));
            }
        }
        step
    }

    fn take(&mut self, world: &World, now: Instant, stimulus: &Stimulus) {
        match stimulus {
            Stimulus::Answer { zxid, outcome } => {
                if let Some((session_epoch, request)) = self.pending.pop_front() {
                    let (zxid, outcome) = (*zxid, outcome.clone());
                    self.core.handle_input(now, Input::Response { session_epoch, request, zxid, outcome });
                }
            }
            Stimulus::Watch(event) => {
                let (session_epoch, event) = (self.epoch, event.clone());
                self.core.handle_input(now, Input::Watch { session_epoch, event });
            }
            Stimulus::Session(event) => {
                if let SessionEvent::Connected { session_epoch, .. } = event {
                    self.epoch = *session_epoch;
                }
                self.core.handle_input(now, Input::Session(*event));
            }
            Stimulus::Time => self.core.handle_timeout(now),
            Stimulus::Stopped(global) => {
                let application = &mut self.terms[usize::from(*global)];
                if let Some(token) = self.unsaid[usize::from(*global)].take() {
                    self.say_stopped(world, now, *global, token);
                } else if let Application::Stopping { token, until } = *application {
                    *application = Application::Stopped { token, until };
                    self.say_stopped(world, now, *global, token);
                }
            }
            Stimulus::Finish(global) => {
                let application = &mut self.terms[usize::from(*global)];
                if let Application::Leads { token, until } = *application {
                    *application = Application::Stopped { token, until };
                    self.say_stopped(world, now, *global, token);
                }
            }
            Stimulus::Campaign(global) => {
                self.stands[usize::from(*global)] = true;
                let payload = vec![self.life.node];
                let done = self.core.campaign(now, world.global(*global), payload, world.terms);
                assert!(done.is_ok(), "a campaign is refused: {done:?}");
            }
            Stimulus::Resign(global) => {
                self.stands[usize::from(*global)] = false;
                let done = self.core.resign(now, &world.global(*global));
                assert!(done.is_ok(), "a resignation is refused: {done:?}");
            }
            Stimulus::LookUp(global) => {
                self.looks_up[usize::from(*global)] = true;
                let done = self.core.look_up(now, world.global(*global));
                assert!(done.is_ok(), "a look-up is refused: {done:?}");
            }
            Stimulus::Register(number) => {
                let index = usize::from(*number);
                self.editions[index] += 1;
                let (directory, instance, payload) = world.instance(self.life, *number, self.editions[index]);
                match self.registrations[index] {
                    Some(id) => {
                        let done = self.core.update(now, id, payload);
                        assert!(done.is_ok(), "an update is refused: {done:?}");
                    }
                    None => {
                        let done = self.core.register(now, directory, instance, payload);
                        self.registrations[index] = done.ok();
                    }
                }
            }
            Stimulus::Unregister(number) => {
                if let Some(id) = self.registrations[usize::from(*number)].take() {
                    let done = self.core.unregister(now, id);
                    assert!(done.is_ok(), "an unregistration is refused: {done:?}");
                }
            }
            Stimulus::Subscribe => {
                self.is_subscribed = true;
                let done = self.core.subscribe(now, World::directory());
                assert!(done.is_ok(), "a subscription is refused: {done:?}");
            }
            Stimulus::Unsubscribe => {
                self.is_subscribed = false;
                self.core.unsubscribe(now, &World::directory());
            }
        }
    }

    fn say_stopped(&mut self, world: &World, now: Instant, global: u8, token: Token) {
        let global = world.global(global);
        self.alternation.stopped(self.life, &global, token);
        self.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
    }

    fn hear(&mut self, world: &World, now: Instant, event: &Event) -> Result<Option<(u8, Token)>, Violation> {
        self.alternation.event(now, self.life, event)?;
        match event {
            Event::Elected { global, token, valid_until, .. } => {
                let index = world.index(global);
                self.terms[usize::from(index)] = Application::Leads { token: *token, until: *valid_until };
                return Ok(Some((index, *token)));
            }
            Event::Extended { valid_until } => {
                for application in &mut self.terms {
                    if let Application::Leads { until, .. } = application {
                        *until = *valid_until;
                    }
                }
            }
            Event::Stop { global, token, deadline, .. } => {
                let application = Application::Stopping { token: *token, until: *deadline };
                self.terms[usize::from(world.index(global))] = application;
            }
            Event::Revoked { global, .. } => {
                let index = usize::from(world.index(global));
                if let (Application::Stopping { token, .. }, true) = (self.terms[index], world.is_slow) {
                    self.unsaid[index] = Some(token);
                }
                self.terms[index] = Application::Idle;
                if world.terms == Terms::One {
                    self.stands[index] = false;
                }
            }
            // Also a term that was over before it could be believed was the only one.
            Event::Withdrawn { global } if world.terms == Terms::One => {
                self.stands[usize::from(world.index(global))] = false;
            }
            Event::Registration { .. }
            | Event::Session(_)
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Withdrawn { .. }
            | Event::Degraded { .. }
            | Event::Closed => {}
        }
        Ok(None)
    }

    /// The creation of a lease record is sent once (rule 2): the names of one life have numbers that rise.
    fn send(&mut self, op: &Op) -> Result<(), Violation> {
        let Op::Create { path, .. } = op else { return Ok(()) };
        let Some(name) = path.as_str().strip_prefix(LEASES) else { return Ok(()) };
        let number = name.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
        if number <= self.lease {
            let detail = format!("{} sends the creation of {path} for the second time", self.life);
            return Err(Violation::new("lease names", detail));
        }
        self.lease = number;
        Ok(())
    }
}

impl Step {
    fn note(&mut self, world: &World, now: Instant, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Request(request) => {
                    self.machine.pending.push_back((self.machine.epoch, request.id));
                    let sent = self.machine.send(&request.op);
                    self.violation = self.violation.take().or(sent.err());
                    self.sent.push(request.op);
                }
                Output::Event(event) => {
                    match self.machine.hear(world, now, &event) {
                        Ok(elected) => self.elected.extend(elected),
                        Err(violation) => self.violation = self.violation.take().or(Some(violation)),
                    }
                    self.events.push(event);
                }
            }
        }
    }

    /// A registration that is told as there, by which transaction.
    pub(super) fn registered(&self) -> Option<Zxid> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Registration { status: RegistrationStatus::Registered { czxid }, .. } => Some(*czxid),
            Event::Registration { .. }
            | Event::Session(_)
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Elected { .. }
            | Event::Extended { .. }
            | Event::Stop { .. }
            | Event::Revoked { .. }
            | Event::Withdrawn { .. }
            | Event::Degraded { .. }
            | Event::Closed => None,
        })
    }
}

/// Whether one of `events` says that the directory is empty, and what was told before did not.
fn is_told_empty((freshness, instances): (Freshness, Vec<Instance>), events: &[Event]) -> bool {
    let (mut is_fresh, mut count) = (freshness == Freshness::Fresh, instances.len());
    events.iter().any(|event| {
        let Event::Directory { freshness, changes, .. } = event else { return false };
        let (was_fresh, before) = (is_fresh, count);
        is_fresh = *freshness == Freshness::Fresh;
        for change in changes {
            match change {
                InstanceChange::Added(_) => count += 1,
                InstanceChange::Removed(_) => count -= 1,
                InstanceChange::Updated(_) => {}
            }
        }
        count == 0 && (before > 0 || is_fresh && !was_fresh)
    })
}

/// What nobody can tell any more.
pub(super) fn unknown() -> Stimulus {
    Stimulus::Answer { zxid: None, outcome: Err(OpError::Unknown) }
}

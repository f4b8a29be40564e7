//! One node: the real coordinator, what waits for answers, and what its application was told.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use queenright_core::op::{OpError, Outcome, WatchEvent};
use queenright_core::output::RegistrationStatus;
use queenright_core::{
    Coordinator, Event, HostEvent, Input, Instant, Op, Output, RegistrationId, RequestId, SessionEpoch,
    SessionEvent, Terms, Token, Zxid,
};
use serde::Serialize;

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
    /// The application of its term has stopped.
    Stopped(u8),
    Campaign(u8),
    Resign(u8),
    Register,
    Unregister,
    Subscribe,
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
    pub(super) registration: Option<RegistrationId>,
    /// How often it has registered.
    pub(super) edition: u8,
    pub(super) is_subscribed: bool,
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
            registration: None,
            edition: 0,
            is_subscribed: false,
        }
    }

    /// How many answers are owed to it.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The same machine after `stimulus`. What it says is checked as far as one node can be.
    pub(super) fn step(&self, world: &World, now: Instant, stimulus: &Stimulus) -> Step {
        let mut machine = self.clone();
        let tried = catch_unwind(AssertUnwindSafe(|| {
            machine.take(world, now, stimulus);
            let outputs: Vec<Output> = std::iter::from_fn(|| machine.core.poll_output()).collect();
            machine.core.check_invariants();
            outputs
        }));
        let mut step =
            Step { machine, sent: Vec::new(), events: Vec::new(), elected: Vec::new(), violation: None };
        match tried {
            Ok(outputs) => step.note(world, now, outputs),
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
                if let Some(application) = self.terms.get_mut(usize::from(*global))
                    && let Application::Stopping { token, until } = *application
                {
                    *application = Application::Stopped { token, until };
                    let global = world.global(*global);
                    self.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
                }
            }
            Stimulus::Campaign(global) => {
                self.stands[usize::from(*global)] = true;
                let payload = vec![self.life.node];
                let done = self.core.campaign(now, world.global(*global), payload, Terms::Many);
                assert!(done.is_ok(), "a campaign is refused: {done:?}");
            }
            Stimulus::Resign(global) => {
                self.stands[usize::from(*global)] = false;
                let done = self.core.resign(now, &world.global(*global));
                assert!(done.is_ok(), "a resignation is refused: {done:?}");
            }
            Stimulus::Register => {
                self.edition += 1;
                let (directory, instance, payload) = world.instance(self.life, self.edition);
                match self.registration {
                    Some(id) => {
                        let done = self.core.update(now, id, payload);
                        assert!(done.is_ok(), "an update is refused: {done:?}");
                    }
                    None => {
                        let done = self.core.register(now, directory, instance, payload);
                        self.registration = done.ok();
                    }
                }
            }
            Stimulus::Unregister => {
                if let Some(id) = self.registration.take() {
                    let done = self.core.unregister(now, id);
                    assert!(done.is_ok(), "an unregistration is refused: {done:?}");
                }
            }
            Stimulus::Subscribe => {
                self.is_subscribed = true;
                let done = self.core.subscribe(now, World::directory());
                assert!(done.is_ok(), "a subscription is refused: {done:?}");
            }
        }
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
                self.terms[usize::from(world.index(global))] = Application::Idle;
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
}

impl Step {
    fn note(&mut self, world: &World, now: Instant, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Request(request) => {
                    self.machine.pending.push_back((self.machine.epoch, request.id));
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

/// What nobody can tell any more.
pub(super) fn unknown() -> Stimulus {
    Stimulus::Answer { zxid: None, outcome: Err(OpError::Unknown) }
}

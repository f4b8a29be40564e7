//! Driving one machine, and what its inputs and outputs mean to the checkers.

use std::time::Duration;

use queenright_core::op::Reply;
use queenright_core::output::RegistrationStatus;
use queenright_core::{Event, HostEvent, Input, Instant, Output, SessionEvent};

use super::host::{Hold, Term};
use super::machine::Machine;
use super::run::{Museum, Scheduled};
use super::{L, ROOT};
use crate::checkers::{
    Alternation, BoundedRequests, Caches, Completion, ExclusiveBelief, LeaseNames, LeaseRecords,
    RisingTokens, Violation, check_registered,
};
use crate::explorer::show;
use crate::zookeeper::{ServerId, Tree};

/// The most requests that a node may put out within a lease, whatever happens.
const REQUESTS_PER_LEASE_MAX: u32 = 300;

/// The checkers that follow a scenario.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) belief: ExclusiveBelief,
    pub(super) tokens: RisingTokens,
    pub(super) alternation: Alternation,
    pub(super) completion: Completion,
    pub(super) caches: Caches,
    pub(super) requests: BoundedRequests,
    names: LeaseNames,
    records: LeaseRecords,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            belief: ExclusiveBelief::default(),
            tokens: RisingTokens::default(),
            alternation: Alternation::default(),
            completion: Completion::default(),
            caches: Caches::default(),
            requests: BoundedRequests::new(L, REQUESTS_PER_LEASE_MAX),
            names: LeaseNames::default(),
            records: LeaseRecords::new(ROOT),
        }
    }
}

impl Checks {
    pub(super) fn tree_changed(&mut self, now: Instant, tree: &Tree) -> Result<(), Violation> {
        self.caches.tree_changed(now, std::iter::once(tree));
        self.caches.committed(tree);
        self.records.tree_changed(tree)
    }

    /// The ensemble has lost everything, and with it what was known of its records.
    pub(super) fn wiped(&mut self) {
        self.records = LeaseRecords::new(ROOT);
        self.caches.wiped();
    }

    pub(super) fn expect_requests(&mut self, window: Duration, max: u32) {
        self.requests = BoundedRequests::new(window, max);
    }
}

impl Museum {
    /// Something from the client for the machine: delivered, or held back.
    pub(super) fn pass_on(&mut self, node: u8, input: Input) {
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return };
        let waits = match (&input, process.hold) {
            (_, Hold::Nothing) | (Input::Session(_) | Input::Host(_), _) => false,
            (Input::Response { .. }, Hold::Events) => false,
            (Input::Watch { .. }, Hold::Events) => true,
            (Input::Response { .. } | Input::Watch { .. }, Hold::Replies) => true,
        };
        if let Input::Session(event) = &input {
            match event {
                SessionEvent::Suspended | SessionEvent::Lost if process.is_silent => return,
                SessionEvent::Suspended | SessionEvent::Lost => {}
                SessionEvent::Connected { .. } | SessionEvent::Reconnected => process.is_silent = false,
            }
        }
        if waits {
            process.inbox.push_back(input);
            return;
        }
        if let Input::Session(SessionEvent::Connected { .. } | SessionEvent::Reconnected) = input {
            // Before a new session all replies are delivered, and no event of before a gap comes after it.
            for held in std::mem::take(&mut process.inbox) {
                if let Input::Response { .. } = held {
                    self.tell(node, held);
                }
            }
        }
        self.tell(node, input);
    }

    /// Hands an input to the machine of a node.
    pub(super) fn tell(&mut self, node: u8, input: Input) {
        if self.is_over() {
            return;
        }
        self.observe_input(node, &input);
        self.drive(node, |machine, now| machine.handle_input(now, input));
    }

    /// Lets the machine of a node do something, and everything that follows from it.
    pub(super) fn drive(&mut self, node: u8, act: impl FnOnce(&mut dyn Machine, Instant)) {
        let host = &mut self.hosts[usize::from(node)];
        let local = host.clock.local(self.now);
        let Some(process) = &mut host.process else { return };
        act(process.machine.as_mut(), local);
        process.machine.check_invariants();
        let mut outputs = Vec::new();
        while let Some(output) = process.machine.poll_output() {
            outputs.push(output);
        }
        for output in &outputs {
            if let Err(violation) = self.observe_output(node, local, output) {
                return self.fail(violation);
            }
        }
        self.hold_outputs(node, outputs);
    }

    fn observe_input(&mut self, node: u8, input: &Input) {
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return };
        let life = process.life;
        match input {
            Input::Session(SessionEvent::Connected { session, .. }) => {
                process.told_session = Some(*session);
                self.checks.caches.connected(self.now, life);
            }
            Input::Session(SessionEvent::Reconnected) => self.checks.caches.connected(self.now, life),
            Input::Session(SessionEvent::Lost) => process.told_session = None,
            Input::Session(SessionEvent::Suspended) | Input::Watch { .. } => {}
            Input::Host(HostEvent::Stopped { global, token }) => {
                self.checks.alternation.stopped(life, global, *token);
            }
            Input::Response { request, outcome, .. } => {
                let result = self.checks.completion.answered(life, *request);
                if let Ok(Reply::Created { path, .. }) = outcome {
                    self.checks.names.created(path);
                }
                self.check(result);
            }
        }
        let mut line = String::new();
        let _ = show::input(&mut line, input);
        self.note(format_args!("{life} <- {line}"));
    }

    /// What an output means at the moment at which the machine decided it.
    fn observe_output(&mut self, node: u8, local: Instant, output: &Output) -> Result<(), Violation> {
        let Some(life) = self.life_of(node) else { return Ok(()) };
        let mut line = String::new();
        let _ = show::output(&mut line, output);
        self.note(format_args!("{life} -> {line}"));
        let Some(process) = &mut self.hosts[usize::from(node)].process else { return Ok(()) };
        match output {
            Output::Request(request) => {
                self.checks.completion.requested(self.now, life, request.id)?;
                self.checks.requests.requested(self.now, life)?;
                self.checks.names.requested(life, &request.op)?;
            }
            Output::Event(event) => {
                self.checks.alternation.event(local, life, event)?;
                self.checks.completion.event(life, event);
                match event {
                    Event::Elected { global, token, .. } => {
                        // Where both break, that two lead is the worse of the two.
                        let other =
                            self.checks.belief.believers(self.now, global).find(|other| *other != life);
                        let rising = self.checks.tokens.elected(life, global, *token);
                        if let (Err(violation), Some(other)) = (rising.as_ref(), other) {
                            let detail =
                                format!("{life} is elected while {other} leads; {}", violation.detail);
                            return Err(Violation::new("exclusive belief", detail));
                        }
                        rising?;
                    }
                    Event::Registration { id, status } => {
                        process.application.statuses.entry(*id).or_default().push(status.clone());
                        if let RegistrationStatus::Registered { czxid } = status
                            && let Some(wanted) = process.application.registrations.get(id)
                            && let Some(session) = process.told_session
                        {
                            check_registered(
                                self.server.tree(ServerId::FIRST),
                                ROOT,
                                life,
                                wanted,
                                *czxid,
                                session,
                            )?;
                        }
                    }
                    Event::Directory { directory, freshness, changes } => {
                        self.checks.caches.event(self.now, life, directory, *freshness, changes)?;
                    }
                    Event::Holder { global, holder } => {
                        process.application.holders.insert(global.clone(), holder.clone());
                    }
                    Event::Degraded { reason, .. } => process.application.degraded.push(reason.clone()),
                    Event::Session(_)
                    | Event::Extended { .. }
                    | Event::Stop { .. }
                    | Event::Revoked { .. }
                    | Event::Withdrawn { .. }
                    | Event::Closed => {}
                }
            }
        }
        Ok(())
    }

    /// An output takes effect: after a pause, perhaps long after the machine decided it.
    pub(super) fn take_effect(&mut self, node: u8, output: Output) {
        let now = self.now;
        let host = &mut self.hosts[usize::from(node)];
        let (clock, stop_takes) = (host.clock, host.stop_takes);
        let Some(process) = &mut host.process else { return };
        let life = process.life;
        let application = &mut process.application;
        let result = match output {
            Output::Request(request) => return self.submit(node, request),
            Output::Event(Event::Elected { global, token, valid_until, version, .. }) => {
                let ordinal = self.resource.term_begins(&global);
                let term = Term { token, version, ordinal, until: valid_until, is_stopping: false };
                application.terms.insert(global.clone(), term);
                application.elected_count += 1;
                let believes = process.machine.has_tokens();
                let elected = self.checks.belief.elected(now, life, &global, clock.real(valid_until));
                // Of who has none, the guarded resource must tell.
                if believes { elected } else { Ok(()) }
            }
            Output::Event(Event::Extended { valid_until }) => {
                for term in application.terms.values_mut().filter(|term| !term.is_stopping) {
                    term.until = valid_until;
                }
                self.checks.belief.extended(now, life, clock.real(valid_until))
            }
            Output::Event(Event::Stop { global, token, deadline, reason }) => {
                application.stops.push((global.clone(), reason));
                if let Some(term) = application.terms.get_mut(&global) {
                    term.is_stopping = true;
                }
                if let Some(after) = stop_takes {
                    let global = global.clone();
                    self.schedule(now.after(after), Scheduled::Stopped { node, life, global, token });
                }
                self.checks.belief.stopping(now, life, &global, clock.real(deadline))
            }
            Output::Event(Event::Revoked { global, .. }) => {
                application.terms.remove(&global);
                self.checks.belief.revoked(life, &global);
                Ok(())
            }
            Output::Event(Event::Closed) => {
                application.is_closed = true;
                process.client.close(now);
                self.tend_client(node);
                self.bury(node);
                return;
            }
            Output::Event(
                Event::Session(_)
                | Event::Registration { .. }
                | Event::Directory { .. }
                | Event::Holder { .. }
                | Event::Withdrawn { .. }
                | Event::Degraded { .. },
            ) => return,
        };
        self.check(result);
    }

    /// The process of a node is no more.
    pub(super) fn bury(&mut self, node: u8) {
        let Some(process) = self.hosts[usize::from(node)].process.take() else { return };
        if let Some(connection) = process.connection {
            self.network.finish(self.now, connection);
        }
        self.checks.belief.died(self.now, process.life);
        self.checks.alternation.died(process.life);
        self.checks.completion.died(process.life);
        self.checks.caches.died(process.life);
    }
}

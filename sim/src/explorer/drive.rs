//! Driving one coordinator: an input, its outputs, their effects, and the checks on the way.

use queenright_core::op::{Change, OpError, Reply, WriteReply};
use queenright_core::output::{InstanceChange, RegistrationStatus, SessionStatus, StopReason};
use queenright_core::{
    Coordinator, Event, Freshness, HostEvent, Input, Instant, Output, SessionEvent, Token,
};

use super::mix::{Draw, mix, nanos, scale};
use super::process::{Pause, Presence, Process};
use super::queue::Due;
use super::shape::Shape;
use super::show;
use super::sometimes::Reached;
use super::workload::{INSTANCES, stop_time};
use super::world::World;
use crate::checkers::{Burst, Violation, Wants, check_registered};
use crate::timeline::What;

/// Timers fire up to this fraction of a lease late.
const TIMER_LATENESS_DIVISOR: u32 = 200;

impl World<'_> {
    /// Hands the next input of a lane to the core.
    pub(super) fn deliver(&mut self, node: u8, life: u32, lane: u8) -> Result<(), Violation> {
        let now = self.now;
        let Some(process) = self.nodes[usize::from(node)].process_of(life) else { return Ok(()) };
        let Some(input) = process.client.deliver(now, lane) else { return Ok(()) };
        self.observe_input(node, &input)?;
        self.drive(node, |core, local| core.handle_input(local, input))?;
        self.check_burst(node)
    }

    /// What a node put out when its connection was up.
    fn check_burst(&mut self, node: u8) -> Result<(), Violation> {
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(()) };
        let Some(burst) = process.burst.take() else { return Ok(()) };
        let wants = Wants {
            // Its membership, and in each service instances of its own; one that was withdrawn may still have to go.
            registrations: 1 + usize::from(self.plan.services) * usize::from(INSTANCES) * 2,
            subscriptions: process.application.subscriptions.len(),
            globals: usize::from(self.plan.globals),
        };
        burst.check(process.life, wants)
    }

    /// The core's earliest deadline has come, or an earlier one that was moved.
    pub(super) fn core_wakes(&mut self, node: u8, life: u32) -> Result<(), Violation> {
        let now = self.now;
        let Some(process) = self.nodes[usize::from(node)].process_of(life) else { return Ok(()) };
        if !process.alarm.ring(now) {
            return Ok(());
        }
        self.drive(node, Coordinator::handle_timeout)
    }

    /// The application of a term has stopped, and says so.
    pub(super) fn stopped(&mut self, node: u8, life: u32, global: u8, token: Token) -> Result<(), Violation> {
        let Some(process) = self.nodes[usize::from(node)].process_of(life) else { return Ok(()) };
        // Said also when the term was over before: by then the next one may be running.
        process.application.stopped(global, token);
        let global = self.names.globals[usize::from(global)].clone();
        let input = Input::Host(HostEvent::Stopped { global, token });
        self.observe_input(node, &input)?;
        self.drive(node, |core, local| core.handle_input(local, input))
    }

    /// Lets the core of a node do something, and everything that follows from it.
    pub(super) fn drive<R>(
        &mut self,
        node: u8,
        act: impl FnOnce(&mut Coordinator, Instant) -> R,
    ) -> Result<R, Violation>
    where
        R: Default,
    {
        let local = self.nodes[usize::from(node)].clock.local(self.now);
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(R::default()) };
        let result = act(&mut process.core, local);
        process.core.check_invariants();
        let mut outputs = Vec::new();
        while let Some(output) = process.core.poll_output() {
            outputs.push(output);
        }
        for output in &outputs {
            self.observe_output(node, local, output)?;
        }
        self.release(node, outputs)?;
        self.set_core_alarm(node);
        Ok(result)
    }

    /// Lets outputs take effect, or holds them back when the node is paused at this point.
    fn release(&mut self, node: u8, outputs: Vec<Output>) -> Result<(), Violation> {
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(()) };
        match &mut process.pause {
            Pause::BeforeEffects(length) if !outputs.is_empty() => {
                let (until, life) = (self.now.after(*length).min(self.heal_at), process.life);
                process.pause = Pause::Until { until, held: outputs };
                self.recorder.record(self.now, || What::Paused { life, until });
                self.queue.at(until, Due::Resume { node, life: life.number });
                Ok(())
            }
            // Only a pause that was drawn before it began stands here: nothing drives a process that stands still.
            Pause::Until { held, .. } => {
                held.extend(outputs);
                Ok(())
            }
            Pause::None | Pause::BeforeEffects(_) => {
                outputs.into_iter().try_for_each(|output| self.take_effect(node, output))
            }
        }
    }

    fn set_core_alarm(&mut self, node: u8) {
        let clock = self.nodes[usize::from(node)].clock;
        let Some(process) = self.nodes[usize::from(node)].process() else { return };
        let wanted = process.core.poll_timeout().map(|(deadline, _)| {
            let lateness = self.plan.lease / TIMER_LATENESS_DIVISOR;
            let word = mix(self.plan.seed ^ deadline.as_nanos(), u64::from(node));
            let late = std::time::Duration::from_nanos(scale(word, nanos(lateness)));
            clock.real(deadline).after(late)
        });
        let life = process.life.number;
        if let Some(at) = process.alarm.set(wanted) {
            self.queue.at(at, Due::CoreWake { node, life });
        }
    }

    /// What an input means to the checkers, before the core sees it.
    pub(super) fn observe_input(&mut self, node: u8, input: &Input) -> Result<(), Violation> {
        let local = self.nodes[usize::from(node)].clock.local(self.now);
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(()) };
        let life = process.life;
        self.trace.note(self.now, &(life, input), |line| {
            write!(line, "{life} <- ")?;
            show::input(line, input)
        });
        self.recorder.record(self.now, || {
            let text = show::text(|line| show::input(line, input));
            What::Told { life, input: input.clone(), text }
        });
        match input {
            Input::Session(SessionEvent::Connected { session, session_epoch }) => {
                process.told_session = Some(*session);
                if session_epoch.0 > 1 && process.application.leads(local) {
                    self.sometimes.reach(Reached::LedAcrossSessions);
                }
                process.told_gone.clear();
                self.checks.caches.connected(self.now, life);
            }
            Input::Session(SessionEvent::Reconnected) => {
                process.told_gone.clear();
                self.checks.caches.connected(self.now, life);
            }
            Input::Session(SessionEvent::Lost) => process.told_session = None,
            Input::Session(SessionEvent::Suspended) => {}
            Input::Watch { event, .. } => {
                if event.change == Change::Deleted {
                    process.told_gone.insert(event.path.file_name().to_owned());
                }
            }
            Input::Host(HostEvent::Stopped { global, token }) => {
                self.checks.alternation.stopped(life, global, *token);
            }
            Input::Response { request, outcome, .. } => {
                self.checks.completion.answered(life, *request)?;
                if let (Some(shape), Ok(reply)) = (process.open.remove(request), outcome) {
                    self.sometimes.reach(match shape {
                        Shape::Claim => Reached::Claimed,
                        Shape::TakeoverByAbsence => Reached::TakeoverByAbsence,
                        Shape::TakeoverBySilence => Reached::TakeoverBySilence,
                        Shape::Vacate => Reached::Vacated,
                        Shape::Release => Reached::Released,
                    });
                    if shape.begins_term() {
                        process.acknowledged.extend(written_by(reply));
                    }
                }
                if let Ok(Reply::Created { path, .. }) = outcome {
                    self.checks.names.created(path);
                }
                if *outcome == Err(OpError::Unknown) {
                    process.open.remove(request);
                }
            }
        }
        Ok(())
    }

    /// What an output means to the checkers, at the moment at which the core decided it.
    fn observe_output(&mut self, node: u8, local: Instant, output: &Output) -> Result<(), Violation> {
        let index = usize::from(node);
        let Presence::Up(process) = &mut self.nodes[index].presence else { return Ok(()) };
        let life = process.life;
        self.trace.note(self.now, &(life, output), |line| {
            write!(line, "{life} -> ")?;
            show::output(line, output)
        });
        self.recorder.record(self.now, || {
            let text = show::text(|line| show::output(line, output));
            What::Decided { life, output: output.clone(), text }
        });
        match output {
            Output::Request(request) => {
                self.checks.completion.requested(self.now, life, request.id)?;
                self.checks.requests.requested(self.now, life)?;
                if self.now >= self.still_from {
                    self.checks.still.requested(self.now, life)?;
                }
                self.checks.names.requested(life, &request.op)?;
                if let Some(burst) = &mut process.burst {
                    burst.requested(&request.op);
                }
                if let Some(shape) = Shape::of(&request.op) {
                    process.open.insert(request.id, shape);
                }
                self.nodes[index].requests += 1;
                let count = self.nodes[index].requests;
                for (_, _, delay, fault) in self.tied.iter().filter(|tied| (tied.0, tied.1) == (node, count))
                {
                    self.queue.at(self.now.after(*delay), Due::Fault(*fault));
                }
                Ok(())
            }
            Output::Event(event) => {
                if let Event::Session(SessionStatus::Connected { .. } | SessionStatus::Reconnected) = event {
                    // What it put out before that was due anyway.
                    process.burst = Some(Burst::default());
                }
                self.checks.alternation.event(local, life, event)?;
                self.checks.completion.event(life, event);
                self.observe_event(node, event)
            }
        }
    }

    fn observe_event(&mut self, node: u8, event: &Event) -> Result<(), Violation> {
        let Presence::Up(process) = &mut self.nodes[usize::from(node)].presence else { return Ok(()) };
        let life = process.life;
        let reached = match event {
            Event::Elected { global, token, .. } => {
                if !process.acknowledged.remove(token) {
                    self.sometimes.reach(Reached::ClaimLostAndAdopted);
                }
                if process.lapsed.remove(global) {
                    self.sometimes.reach(Reached::LapsedAndReturned);
                }
                let before = self.checks.tokens.elected(life, global, *token)?;
                if before.is_some_and(|before| before.node != node) {
                    self.sometimes.reach(Reached::HandedOver);
                }
                Reached::Elected
            }
            Event::Stop { reason, global, .. } => match reason {
                StopReason::Resigned => Reached::StopByResignation,
                StopReason::LeaseRanOut => {
                    process.lapsed.insert(global.clone());
                    Reached::StopByLeaseEnd
                }
                // Only an outside hand on a lease or a term leads there: whoever deletes a record by the rules waits
                // until nobody believes in it.
                StopReason::LeaseLost | StopReason::Deposed => return Ok(()),
            },
            Event::Registration { id, status } => match status {
                RegistrationStatus::Registered { czxid } => {
                    let (wanted, session) = (process.application.registrations.get(id), process.told_session);
                    if let (Some(wanted), Some(session)) = (wanted, session) {
                        let tree = self.server.tree(self.server.newest());
                        check_registered(tree, &self.names.root, life, wanted, *czxid, session)?;
                    }
                    if process.client.epoch().0 > 1 {
                        Reached::RegisteredAfterExpiry
                    } else {
                        Reached::Registered
                    }
                }
                RegistrationStatus::Occupied { owner: Some(_) } => Reached::OccupiedByDeadSession,
                RegistrationStatus::Occupied { owner: None } => Reached::OccupiedByNobody,
                RegistrationStatus::Gone => Reached::Gone,
                RegistrationStatus::Pending | RegistrationStatus::Blocked { .. } => return Ok(()),
            },
            Event::Directory { directory, freshness, changes } => {
                let before = self.checks.caches.event(self.now, life, directory, *freshness, changes)?;
                let Some(before) = before else { return Ok(()) };
                if self.checks.caches.contents(life, directory).is_some_and(|contents| contents.is_empty()) {
                    self.sometimes.reach(Reached::CacheEmpty);
                }
                match (before, freshness) {
                    (Freshness::Loading, Freshness::Fresh) => Reached::CacheFresh,
                    (Freshness::Stale { .. }, Freshness::Fresh) => {
                        let is_unheard = |change: &InstanceChange| match change {
                            InstanceChange::Removed(name) => {
                                let told = &process.told_gone;
                                !told.contains(name.as_str()) && !told.contains(&format!("{name}+"))
                            }
                            InstanceChange::Added(_) | InstanceChange::Updated(_) => false,
                        };
                        if changes.iter().any(is_unheard) {
                            self.sometimes.reach(Reached::DeletionSeenByListing);
                        }
                        Reached::CacheFreshAgain
                    }
                    (_, Freshness::Stale { .. }) => Reached::CacheStale,
                    (_, Freshness::Fresh | Freshness::Loading | Freshness::Unknown) => return Ok(()),
                }
            }
            Event::Holder { global, holder } => {
                if let Some(global) = self.names.global_number(global) {
                    process.application.holders.insert(global, holder.clone());
                }
                return Ok(());
            }
            Event::Withdrawn { .. } => Reached::Withdrawn,
            Event::Closed => Reached::Closed,
            Event::Extended { .. } | Event::Revoked { .. } | Event::Session(_) | Event::Degraded { .. } => {
                return Ok(());
            }
        };
        self.sometimes.reach(reached);
        Ok(())
    }

    /// An output takes effect: after a pause, perhaps long after the core decided it.
    pub(super) fn take_effect(&mut self, node: u8, output: Output) -> Result<(), Violation> {
        let clock = self.nodes[usize::from(node)].clock;
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(()) };
        let (now, life) = (self.now, process.life);
        if let Output::Event(event) = &output {
            self.recorder.believes(now, life, event, |at| clock.real(at));
        }
        match output {
            Output::Request(request) => {
                self.with_client(node, life.number, |client, env| client.submit(env, request));
            }
            Output::Event(Event::Elected { global, token, valid_until, payload, .. }) => {
                if let Some(number) = self.names.global_number(&global) {
                    process.application.elected(number, token, valid_until, &payload);
                }
                self.checks.belief.elected(now, life, &global, clock.real(valid_until))?;
            }
            Output::Event(Event::Extended { valid_until }) => {
                process.application.extended(valid_until);
                self.checks.belief.extended(now, life, clock.real(valid_until))?;
            }
            Output::Event(Event::Stop { global, token, deadline, .. }) => {
                let deadline = clock.real(deadline);
                if let Some(number) = self.names.global_number(&global)
                    && process.application.stopping(number)
                {
                    let mut draw = Draw::new(self.plan.seed, mix(token.0.0.cast_unsigned(), u64::from(node)));
                    let at = now.after(stop_time(&mut draw, self.plan.stop_time_max));
                    if at > deadline {
                        self.sometimes.reach(Reached::StoppedTooLate);
                    }
                    self.queue.at(at, Due::Stopped { node, life: life.number, global: number, token });
                }
                self.checks.belief.stopping(now, life, &global, deadline)?;
            }
            Output::Event(Event::Revoked { global, .. }) => {
                if let Some(number) = self.names.global_number(&global) {
                    process.application.revoked(number);
                }
                self.checks.belief.revoked(life, &global);
            }
            Output::Event(Event::Withdrawn { global }) => {
                let number = self.names.global_number(&global);
                if !number.is_none_or(|number| process.application.withdrawn(number)) {
                    let detail = format!("{life} is withdrawn from {global}, and stands for many terms");
                    return Err(Violation::new("completion", detail));
                }
            }
            Output::Event(Event::Closed) => {
                self.with_client(node, life.number, |client, env| client.close(env));
                self.bury(node);
            }
            Output::Event(
                Event::Session(_)
                | Event::Registration { .. }
                | Event::Directory { .. }
                | Event::Holder { .. }
                | Event::Degraded { .. },
            ) => {}
        }
        Ok(())
    }

    /// The process of a node is no more. Returns it.
    pub(super) fn bury(&mut self, node: u8) -> Option<Box<Process>> {
        let presence = std::mem::replace(&mut self.nodes[usize::from(node)].presence, Presence::Down);
        let Presence::Up(process) = presence else { return None };
        let life = process.life;
        self.recorder.record(self.now, || What::Ended { life });
        if self.checks.belief.died(self.now, life) {
            self.sometimes.reach(Reached::LeaderCrashed);
        }
        self.checks.alternation.died(life);
        self.checks.completion.died(life);
        self.checks.caches.died(life);
        Some(process)
    }
}

/// The transaction that an acknowledged multi was.
fn written_by(reply: &Reply) -> Option<Token> {
    let Reply::Multi(parts) = reply else { return None };
    parts.iter().rev().find_map(|part| match part {
        WriteReply::Set { stat } => Some(Token(stat.mzxid)),
        WriteReply::Created | WriteReply::Deleted | WriteReply::Checked => None,
    })
}

//! What can happen in a state, and what comes of it.

use queenright_core::wire::{ConnectRequest, ConnectResponse};
use queenright_core::{SessionEpoch, SessionEvent, SessionId, Zxid};

use super::link::{Link, Said, State as LinkState};
use super::machine::{Application, Machine, Stimulus, unknown};
use super::space::{SERVER_TIME, Space, connection};
use super::state::{Action, NOBODY, State};
use super::world::{Goal, ROOT, Start};
use crate::checkers::{self, Life, Mark, Violation, Wanted};
use crate::zookeeper::{Ensemble, FromServer, ServerId};

/// The places of faults among those that are left.
const BREAKS: usize = 0;
const EXPIRIES: usize = 1;
const LAPSES: usize = 2;
const STALLS: usize = 3;
const CRASHES: usize = 4;
const RESIGNATIONS: usize = 5;

const TIMEOUT_MS: i32 = 30_000;

/// A state, and what was seen on the way to it.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) state: State,
    pub(super) goals: u32,
    pub(super) violation: Option<Violation>,
}

impl Next {
    pub(super) const fn begin(state: State) -> Self {
        Self { state, goals: 0, violation: None }
    }
}

impl Space<'_> {
    /// All that can happen in `state`.
    pub(super) fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.clear();
        let nodes = self.world.nodes;
        let mut busy = [false; super::world::NODES_MAX];
        for node in 0..nodes {
            busy[usize::from(node)] = self.deliveries(state, node, actions);
        }
        let others_busy = |node: u8| (0..nodes).any(|other| other != node && busy[usize::from(other)]);
        for node in 0..nodes {
            self.faults(state, node, others_busy(node), actions);
        }
        self.times(state, busy.contains(&true), actions);
    }

    /// The one step that stands for all that can happen in `state`, if there is one: a node that will take its next answer
    /// whatever others do meanwhile takes it now.
    ///
    /// It is the next thing that this node does: no fault is left that could come before, no event may overtake an answer
    /// that was said first, no application has to stop, and time does not pass before. It neither sees nor changes what others
    /// see. And it hides nothing: no belief ends by it, and none begins, so that no state in between could have violated
    /// a property that none behind it does. It takes a message away, so that nothing is put off for ever.
    pub(super) fn forced(&mut self, state: &State) -> Option<Action> {
        if state.left.iter().enumerate().any(|(fault, left)| fault != EXPIRIES && *left > 0) {
            return None;
        }
        (0..self.world.nodes).find(|node| self.is_forced(state, *node)).map(Action::Answer)
    }

    fn is_forced(&mut self, state: &State, node: u8) -> bool {
        let machine = state.machines[usize::from(node)];
        if machine == NOBODY || state.paused & 1 << node != 0 {
            return false;
        }
        let link = self.links.get(state.links[usize::from(node)]);
        let first = link.down.first().filter(|_| link.state == LinkState::Up);
        let Some(Said::Answer { zxid, outcome }) = first.map(|said| self.said.get(*said)) else {
            return false;
        };
        let before = self.nodes.get(machine);
        let is_due = before.due.is_some_and(|due| due <= state.now);
        let must_stop = before.machine.terms.iter().any(|term| matches!(term, Application::Stopping { .. }));
        if is_due || must_stop {
            return false;
        }
        let ends = before.ends;
        let zxid = (*zxid > Zxid(0)).then_some(*zxid);
        let stimulus = Stimulus::Answer { zxid, outcome: outcome.clone() };
        let reaction = self.react(machine, state.now, &stimulus);
        let is_plain =
            reaction.elected.is_empty() && reaction.violation.is_none() && reaction.registered.is_none();
        let after = reaction.machine;
        is_plain && self.nodes.get(after).ends.iter().zip(ends).all(|(after, before)| *after >= before)
    }

    /// What is under way to and from a node. Tells whether time must not pass before it has arrived.
    fn deliveries(&self, state: &State, node: u8, actions: &mut Vec<Action>) -> bool {
        let index = usize::from(node);
        let link = self.links.get(state.links[index]);
        let listens = state.machines[index] != NOBODY && state.paused & 1 << node == 0;
        let mut is_busy = false;
        if link.state != LinkState::Stalled && !link.up.is_empty() {
            actions.push(Action::Serve(node));
            is_busy = link.state == LinkState::Up;
        }
        if listens && link.state == LinkState::Up {
            let is_answer = |said: &u32| matches!(self.said.get(*said), Said::Answer { .. });
            if link.down.iter().any(is_answer) {
                actions.push(Action::Answer(node));
                is_busy = true;
            }
            if link.down.first().is_some_and(|first| !is_answer(first)) {
                actions.push(Action::Event(node));
                is_busy = true;
            }
        }
        if listens {
            for (global, term) in (0..).zip(&self.nodes.get(state.machines[index]).machine.terms) {
                if matches!(term, Application::Stopping { .. }) {
                    actions.push(Action::Stopped(node, global));
                }
            }
        }
        is_busy
    }

    fn faults(&self, state: &State, node: u8, others_busy: bool, actions: &mut Vec<Action>) {
        let index = usize::from(node);
        let link = self.links.get(state.links[index]);
        let is_paused = state.paused & 1 << node != 0;
        let left = |fault: usize| state.left[fault] > 0;
        let lives = |session: SessionId| self.servers.get(state.server).sessions.contains(&session);
        if link.orphan.is_some_and(lives) {
            actions.push(Action::Expire(node));
        }
        if state.machines[index] == NOBODY {
            actions.push(Action::Restart(node));
            return;
        }
        let session = link.session.as_ref().map(|session| session.session);
        if left(EXPIRIES) && session.is_some_and(lives) {
            actions.push(Action::Expire(node));
        }
        if left(CRASHES) {
            actions.push(Action::Crash(node));
        }
        if is_paused {
            actions.push(Action::Resume(node));
            return;
        }
        // A node that is not looked at for a while is no pause unless time passes, and that it can only when the others are
        // quiet; the same goes for a connection.
        if left(LAPSES) && !others_busy {
            actions.push(Action::Lapse(node));
        }
        match link.state {
            LinkState::Down => actions.push(Action::Connect(node)),
            LinkState::Stalled => actions.push(Action::Free(node)),
            LinkState::Up => {
                if left(STALLS) && !others_busy && !(link.up.is_empty() && link.down.is_empty()) {
                    actions.push(Action::Stall(node));
                }
            }
        }
        if left(BREAKS) && link.state != LinkState::Down {
            actions.push(Action::Break(node));
        }
        if left(RESIGNATIONS) {
            let machine = &self.nodes.get(state.machines[index]).machine;
            for (global, stands) in (0..).zip(&machine.stands) {
                if *stands {
                    actions.push(Action::Resign(node, global));
                }
            }
            if machine.registration.is_some() {
                actions.push(Action::Unregister(node));
            }
        }
    }

    fn times(&self, state: &State, is_busy: bool, actions: &mut Vec<Action>) {
        let awake =
            |node: &u8| state.machines[usize::from(*node)] != NOBODY && state.paused & 1 << *node == 0;
        let due = |node: u8| self.nodes.get(state.machines[usize::from(node)]).due;
        let Some(first) = (0..self.world.nodes).filter(awake).filter_map(due).min() else { return };
        if first > self.horizon || (is_busy && first > state.now) {
            return;
        }
        let is_first = |node: &u8| due(*node).is_some_and(|due| due.max(state.now) == first.max(state.now));
        actions.extend((0..self.world.nodes).filter(awake).filter(is_first).map(Action::Time));
    }

    /// What comes of `action`, which must be possible.
    pub(super) fn next(&mut self, state: &State, action: Action) -> Next {
        let mut next = Next::begin(*state);
        self.act(&mut next, action);
        self.check_exclusive(&mut next);
        next
    }

    fn act(&mut self, next: &mut Next, action: Action) {
        let spend =
            |next: &mut Next, fault: usize| next.state.left[fault] = next.state.left[fault].saturating_sub(1);
        match action {
            Action::Serve(node) => self.serve_next(next, node),
            Action::Answer(node) => {
                let is_answer = |said: &u32| matches!(self.said.get(*said), Said::Answer { .. });
                let link = self.link(next, node);
                if let Some(at) = link.down.iter().position(is_answer) {
                    self.hear(next, node, at);
                }
            }
            Action::Event(node) => self.hear(next, node, 0),
            Action::Stopped(node, global) => self.stimulate(next, node, &Stimulus::Stopped(global)),
            Action::Time(node) => {
                let due = self.nodes.get(next.state.machines[usize::from(node)]).due;
                next.state.now = next.state.now.max(due.unwrap_or(0));
                self.stimulate(next, node, &Stimulus::Time);
            }
            Action::Break(node) => {
                spend(next, BREAKS);
                self.suspend(next, node, false);
            }
            Action::Connect(node) => self.connect(next, node),
            Action::Expire(node) => {
                let mut link = self.link(next, node).clone();
                let session = match link.orphan.take() {
                    Some(orphan) => Some(orphan),
                    None => {
                        spend(next, EXPIRIES);
                        link.session.as_ref().map(|session| session.session)
                    }
                };
                next.state.links[usize::from(node)] = self.add_link(link);
                let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
                if let Some(session) = session {
                    ensemble.expire(SERVER_TIME, session);
                }
                self.settle_server(next, ensemble);
            }
            Action::Lapse(node) => {
                spend(next, LAPSES);
                next.state.paused |= 1 << node;
            }
            Action::Resume(node) => {
                let ends = self.nodes.get(next.state.machines[usize::from(node)]).ends;
                if ends.iter().any(|end| *end != 0 && *end <= next.state.now) {
                    next.goals |= Goal::BeliefLapsed.bit();
                }
                next.state.paused &= !(1 << node);
            }
            Action::Stall(node) => {
                spend(next, STALLS);
                self.change_link(next, node, |link| link.state = LinkState::Stalled);
            }
            Action::Free(node) => self.change_link(next, node, |link| link.state = LinkState::Up),
            Action::Crash(node) => {
                spend(next, CRASHES);
                next.state.machines[usize::from(node)] = NOBODY;
                next.state.paused &= !(1 << node);
                self.change_link(next, node, |link| {
                    link.state = LinkState::Down;
                    link.down.clear();
                    link.orphan = link.session.take().map(|session| session.session).or(link.orphan);
                });
            }
            Action::Restart(node) => self.restart(next, node),
            Action::Resign(node, global) => {
                spend(next, RESIGNATIONS);
                self.stimulate(next, node, &Stimulus::Resign(global));
            }
            Action::Unregister(node) => {
                spend(next, RESIGNATIONS);
                self.stimulate(next, node, &Stimulus::Unregister);
            }
        }
    }

    fn link(&self, next: &Next, node: u8) -> &Link {
        self.links.get(next.state.links[usize::from(node)])
    }

    fn change_link(&mut self, next: &mut Next, node: u8, change: impl FnOnce(&mut Link)) {
        let mut link = self.link(next, node).clone();
        change(&mut link);
        next.state.links[usize::from(node)] = self.add_link(link);
    }

    /// Something reaches a node.
    pub(super) fn stimulate(&mut self, next: &mut Next, node: u8, stimulus: &Stimulus) {
        let index = usize::from(node);
        let before = next.state.machines[index];
        let reaction = self.react(before, next.state.now, stimulus);
        next.state.machines[index] = reaction.machine;
        next.goals |= reaction.goals;
        if next.violation.is_none() {
            next.violation.clone_from(&reaction.violation);
        }
        for (global, token) in &reaction.elected {
            let last = &mut next.state.tokens[usize::from(*global)];
            if *last >= *token && next.violation.is_none() {
                let detail = format!("n{node} leads with token {token}, after somebody did with {last}");
                next.violation = Some(Violation::new("rising tokens", detail));
            }
            if *last != 0 {
                next.goals |= Goal::ElectedAfterAnother.bit();
            }
            *last = *token;
        }
        let registered = reaction.registered;
        let sent = reaction.sent.clone();
        if !sent.is_empty() {
            self.change_link(next, node, |link| link.up.extend_from_slice(&sent));
        }
        if let Some(czxid) = registered {
            self.check_registered(next, node, czxid);
        }
    }

    fn serve_next(&mut self, next: &mut Next, node: u8) {
        let link = self.link(next, node);
        let is_late = link.state == LinkState::Down;
        let Some(op) = link.up.first().copied() else { return };
        self.change_link(next, node, |link| {
            link.up.remove(0);
        });
        let service = self.serve(next.state.server, node, op);
        next.state.server = service.server;
        next.goals |= service.goals;
        if is_late && service.is_write {
            next.goals |= Goal::AppliedLate.bit();
        }
        let said = service.said.clone();
        self.carry(next, &said);
    }

    /// What the server says goes to whoever listens.
    fn carry(&mut self, next: &mut Next, said: &[(u8, u32)]) {
        for (to, said) in said {
            if *to < self.world.nodes && self.link(next, *to).state != LinkState::Down {
                self.change_link(next, *to, |link| link.down.push(*said));
            }
        }
    }

    fn settle_server(&mut self, next: &mut Next, mut ensemble: Ensemble) {
        let (said, _) = self.drain(&mut ensemble, None);
        next.state.server = self.add_server(ensemble);
        self.carry(next, &said);
    }

    fn hear(&mut self, next: &mut Next, node: u8, at: usize) {
        let Some(said) = self.link(next, node).down.get(at).copied() else { return };
        let said = self.said.get(said).clone();
        let seen = match &said {
            Said::Answer { zxid, .. } => Some(*zxid),
            Said::Event(_) | Said::Close => None,
        };
        self.change_link(next, node, |link| {
            link.down.remove(at);
            link.seen = link.seen.max(seen.unwrap_or(link.seen));
        });
        match said {
            Said::Answer { zxid, outcome } => {
                let zxid = (zxid > Zxid(0)).then_some(zxid);
                self.stimulate(next, node, &Stimulus::Answer { zxid, outcome });
            }
            Said::Event(event) => self.stimulate(next, node, &Stimulus::Watch(event)),
            Said::Close => self.suspend(next, node, true),
        }
    }

    /// The connection is gone, as the node sees it: nobody can tell what became of what is not answered.
    fn suspend(&mut self, next: &mut Next, node: u8, is_closed: bool) {
        self.change_link(next, node, |link| {
            link.state = LinkState::Down;
            link.down.clear();
            if is_closed {
                link.up.clear();
            }
        });
        self.stimulate(next, node, &Stimulus::Session(SessionEvent::Suspended));
        self.give_up(next, node);
    }

    fn give_up(&mut self, next: &mut Next, node: u8) {
        let pending = self.nodes.get(next.state.machines[usize::from(node)]).machine.pending();
        for _ in 0..pending {
            self.stimulate(next, node, &unknown());
        }
    }

    fn connect(&mut self, next: &mut Next, node: u8) {
        let link = self.link(next, node).clone();
        let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
        // What the old connection had under way is lost by now.
        let response = establish(&mut ensemble, node, link.session.as_ref(), link.seen);
        let is_refused = response.timeout_ms == 0;
        self.change_link(next, node, |link| {
            link.up.clear();
            link.down.clear();
            if is_refused {
                link.session = None;
                return;
            }
            if link.session.is_none() {
                link.epoch = SessionEpoch(link.epoch.0 + 1);
            }
            link.session = Some(response.clone());
            link.state = LinkState::Up;
        });
        self.settle_server(next, ensemble);
        let session_epoch = self.link(next, node).epoch;
        let event = match (link.session, is_refused) {
            (Some(_), true) => SessionEvent::Lost,
            (Some(_), false) => SessionEvent::Reconnected,
            (None, _) => SessionEvent::Connected { session_epoch, session: response.session },
        };
        self.stimulate(next, node, &Stimulus::Session(event));
    }

    fn restart(&mut self, next: &mut Next, node: u8) {
        let index = usize::from(node);
        next.state.lives[index] += 1;
        let life = Life { node, number: next.state.lives[index].into() };
        let machine = Machine::new(self.world, life, super::space::clock(node, next.state.now));
        next.state.machines[index] = self.add_machine(machine);
        self.change_link(next, node, |link| {
            link.up.clear();
            link.epoch = SessionEpoch(0);
            link.seen = Zxid(0);
        });
        let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
        ensemble.disconnect(SERVER_TIME, connection(node));
        self.settle_server(next, ensemble);
        self.command(next, node);
    }

    /// What its application asks of a node from the first.
    pub(super) fn command(&mut self, next: &mut Next, node: u8) {
        for global in 0..self.world.globals {
            self.stimulate(next, node, &Stimulus::Campaign(global));
        }
        if self.world.start == Start::Registering {
            if node == 0 {
                self.stimulate(next, node, &Stimulus::Register);
            }
            if node + 1 == self.world.nodes && node != 0 {
                self.stimulate(next, node, &Stimulus::Subscribe);
            }
        }
    }

    fn check_exclusive(&self, next: &mut Next) {
        let now = next.state.now;
        for global in 0..usize::from(self.world.globals) {
            let believes = |node: &usize| {
                let machine = next.state.machines[*node];
                machine != NOBODY && self.nodes.get(machine).ends[global] > now
            };
            let mut believers = (0..usize::from(self.world.nodes)).filter(believes);
            if let (Some(one), Some(other)) = (believers.next(), believers.next())
                && next.violation.is_none()
            {
                let name = self.world.global(u8::from(global != 0));
                let detail = format!("n{one} and n{other} both believe to lead {name}");
                next.violation = Some(Violation::new("exclusive belief", detail));
            }
        }
    }

    fn check_registered(&mut self, next: &mut Next, node: u8, czxid: Zxid) {
        let link = self.link(next, node);
        if link.epoch > SessionEpoch(1) {
            next.goals |= Goal::RegisteredAgain.bit();
        }
        let Some(session) = link.session.as_ref().map(|session| session.session) else { return };
        let life = self.nodes.get(next.state.machines[usize::from(node)]).machine.life;
        let tree = self.servers.get(next.state.server).ensemble.tree(ServerId::FIRST);
        let checked = checkers::check_registered(tree, ROOT, life, &self.wanted(node), czxid, session);
        next.violation = next.violation.take().or(checked.err());
    }

    pub(super) fn wanted(&self, node: u8) -> Wanted {
        let (directory, instance, payload) = self.world.instance(node);
        let mark = if payload.is_empty() { Mark::Plain } else { Mark::Payload };
        Wanted { directory, instance, payload, mark }
    }
}

/// A connection of `node`, in the session that it had or in a new one. A refusal says so.
fn establish(
    ensemble: &mut Ensemble,
    node: u8,
    session: Option<&ConnectResponse>,
    seen: Zxid,
) -> ConnectResponse {
    ensemble.disconnect(SERVER_TIME, connection(node));
    let request = match session {
        Some(session) => ConnectRequest::reattach(session, seen),
        None => ConnectRequest::new_session(TIMEOUT_MS),
    };
    ensemble.connect(SERVER_TIME, ServerId::FIRST, connection(node), [127, 0, 0, 1].into(), request);
    match ensemble.poll_output() {
        Some((_, FromServer::Connected(response))) => response,
        other => panic!("the server does not answer a connection: {other:?}"),
    }
}

//! What can happen in a state.

use queenright_core::SessionId;

use super::link::{Said, State as LinkState};
use super::machine::{Application, Stimulus};
use super::space::{Node, Server, Space};
use super::state::{Action, NOBODY, State};
use super::world::NODES_MAX;

/// The places of faults among those that are left.
pub(super) const BREAKS: usize = 0;
pub(super) const EXPIRIES: usize = 1;
pub(super) const LAPSES: usize = 2;
pub(super) const STALLS: usize = 3;
pub(super) const CRASHES: usize = 4;
pub(super) const RESIGNATIONS: usize = 5;
pub(super) const KILLS: usize = 6;
pub(super) const LAGS: usize = 7;
pub(super) const RETURNS: usize = 8;
pub(super) const FINISHES: usize = 9;
pub(super) const WRITES: usize = 10;
pub(super) const STRAYS: usize = 11;
pub(super) const ABANDONS: usize = 12;
pub(super) const LEAVES: usize = 13;

impl Space<'_> {
    /// All that can happen in `state`.
    pub(super) fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.clear();
        let nodes = self.world.nodes;
        let mut busy = [false; NODES_MAX];
        for node in 0..nodes {
            busy[usize::from(node)] = self.deliveries(state, node, actions);
        }
        let others_busy = |node: u8| (0..nodes).any(|other| other != node && busy[usize::from(other)]);
        for node in 0..nodes {
            self.faults(state, node, others_busy(node), actions);
        }
        self.times(state, busy.contains(&true), actions);
    }

    /// What of it is tried.
    pub(super) fn tried(&mut self, state: &State, actions: &mut Vec<Action>) {
        match self.forced(state) {
            Some(action) => *actions = vec![action],
            None => self.actions(state, actions),
        }
    }

    /// The one step that stands for all that can happen in `state`, if there is one: a node that will take its next answer
    /// whatever others do meanwhile takes it now.
    ///
    /// It is the next thing that this node does: no fault is left that could come before, no event may overtake an answer
    /// that was said first, no application has to stop, and time does not pass before. It neither sees nor changes what others
    /// see. And it hides nothing: no belief ends by it, and none begins, so that no state in between could have violated
    /// a property that none behind it does. It takes a message away, so that nothing is put off for ever.
    fn forced(&mut self, state: &State) -> Option<Action> {
        let at_server = |fault: &usize| matches!(*fault, EXPIRIES | KILLS | LAGS | WRITES);
        let at_nodes = (0..).zip(state.left).any(|(fault, left)| left > 0 && !at_server(&fault));
        if at_nodes {
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
        let first = link.down.first().filter(|_| link.state == LinkState::Up && link.lost == 0);
        let Some(Said::Answer { zxid, outcome }) = first.map(|said| self.said.get(*said)) else {
            return false;
        };
        let before = self.nodes.get(machine);
        let is_due = before.due.is_some_and(|due| due <= state.now);
        let must_stop = before.machine.may_stop().next().is_some();
        if is_due || must_stop {
            return false;
        }
        let ends = before.ends;
        let zxid = self.shown(*zxid);
        let stimulus = Stimulus::Answer { zxid, outcome: outcome.clone() };
        let reaction = self.react(machine, state.now, &stimulus);
        let is_plain = reaction.elected.is_empty()
            && reaction.violation.is_none()
            && reaction.registered.is_none()
            && !reaction.is_told_empty;
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
        if listens && link.lost > 0 {
            actions.push(Action::Lose(node));
            is_busy = true;
        }
        if listens && link.state == LinkState::Up {
            let is_answer = |said: &u32| matches!(self.said.get(*said), Said::Answer { .. });
            if link.lost == 0 && link.down.iter().any(is_answer) {
                actions.push(Action::Answer(node));
                is_busy = true;
            }
            if link.down.first().is_some_and(|first| !is_answer(first)) {
                actions.push(Action::Event(node));
                is_busy = true;
            }
        }
        if listens {
            for global in self.nodes.get(state.machines[index]).machine.may_stop() {
                actions.push(Action::Stopped(node, global));
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
            LinkState::Down => {
                actions.push(Action::Connect(node));
                if left(STRAYS) && link.session.is_some() && self.is_behind(state, node) {
                    actions.push(Action::Stray(node));
                }
            }
            LinkState::Stalled => actions.push(Action::Free(node)),
            LinkState::Up => {
                if left(STALLS) && !others_busy && !(link.up.is_empty() && link.down.is_empty()) {
                    actions.push(Action::Stall(node));
                }
            }
        }
        if left(KILLS) && self.victim(state, node).is_some() {
            actions.push(Action::Kill(node));
        }
        if self.servers.get(state.server).lagging & 1 << node != 0 {
            actions.push(Action::CatchUp(node));
        } else if left(LAGS) && self.is_change_under_way(state, node) {
            actions.push(Action::Lag(node));
        }
        if left(WRITES) && self.victim(state, node).is_some() {
            actions.push(Action::Write(node));
        }
        if left(ABANDONS) && link.session.is_some() && link.orphan.is_none() {
            actions.push(Action::Abandon(node));
        }
        if left(BREAKS) && link.state != LinkState::Down {
            actions.push(Action::Break(node));
            if self.world.is_late && !is_paused {
                actions.push(Action::Gap(node));
            }
        }
        let machine = &self.nodes.get(state.machines[index]).machine;
        if left(RETURNS) {
            for (global, stands) in (0..).zip(&machine.stands) {
                if !*stands {
                    actions.push(Action::Again(node, global));
                }
            }
            for (instance, edition) in (0..).zip(&machine.editions) {
                if *edition > 0 || instance > 0 && machine.editions[0] > 0 {
                    actions.push(Action::Again(node, instance));
                }
            }
        }
        if left(FINISHES) {
            for (global, term) in (0..).zip(&machine.terms) {
                if matches!(term, Application::Leads { .. }) {
                    actions.push(Action::Finish(node, global));
                }
            }
        }
        if left(LEAVES) && machine.is_subscribed {
            actions.push(Action::Leave(node));
        }
        if left(RESIGNATIONS) {
            for (global, stands) in (0..).zip(&machine.stands) {
                if *stands {
                    actions.push(Action::Resign(node, global));
                }
            }
            for (instance, registration) in (0..).zip(&machine.registrations) {
                if registration.is_some() {
                    actions.push(Action::Unregister(node, instance));
                }
            }
        }
    }

    /// Whether the server that a node may stray to shows the past.
    fn is_behind(&self, state: &State, node: u8) -> bool {
        let Server { ensemble, lagging, .. } = self.servers.get(state.server);
        lagging & 1 << node != 0
            && ensemble.last_zxid(self.world.server_of(node)) < ensemble.last_zxid(self.world.newest())
    }

    /// Whether something can change at the server that `node` has not asked for: before that, its server may as well be
    /// up to date. Who strays may come to a server that its own requests have not reached.
    fn is_change_under_way(&self, state: &State, node: u8) -> bool {
        let links = state.links.iter().enumerate().take(self.world.nodes.into());
        let is_other = |other: usize| other != usize::from(node) || self.world.faults.strays > 0;
        let mut others = links.filter(|(other, _)| is_other(*other));
        let is_write = |op: &u32| self.ops.get(*op).is_write();
        state.left[EXPIRIES] > 0
            || state.left[KILLS] > 0
            || state.left[WRITES] > 0
            || others.any(|(_, link)| self.links.get(*link).up.iter().any(is_write))
    }

    fn times(&self, state: &State, is_busy: bool, actions: &mut Vec<Action>) {
        let nodes = || (0..self.world.nodes).filter(|node| state.machines[usize::from(*node)] != NOBODY);
        let is_awake = |node: &u8| state.paused & 1 << *node == 0;
        let node = |node: u8| self.nodes.get(state.machines[usize::from(node)]);
        let due = |at: u8| node(at).due.map(|due| due.max(state.now));
        let first = nodes().filter(is_awake).filter_map(due).min();
        let last = first.map_or(self.horizon, |first| first.min(self.horizon));
        if !is_busy {
            let asleep = nodes().filter(|node| !is_awake(node));
            let points = asleep.flat_map(|at| self.next_point(state, at).map(|point| (point, at)));
            if let Some((point, at)) = points.min()
                && (point < last || first.is_none() && point == last)
            {
                actions.push(Action::Pass(at));
            }
        }
        let Some(first) = first else { return };
        if first > self.horizon || (is_busy && first > state.now) {
            return;
        }
        let is_first = |node: &u8| due(*node) == Some(first);
        actions.extend(nodes().filter(is_awake).filter(is_first).map(Action::Time));
    }

    /// When a node that pauses would next act on something, or stop believing, if it looked.
    pub(super) fn next_point(&self, state: &State, node: u8) -> Option<u64> {
        let Node { due, ends, .. } = self.nodes.get(state.machines[usize::from(node)]);
        due.iter().chain(ends).copied().filter(|point| *point > state.now).min()
    }
}

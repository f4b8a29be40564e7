//! The run without faults: what was broken heals, and everything arrives.

use queenright_core::Freshness;

use super::link::State as LinkState;
use super::machine::Application;
use super::space::Space;
use super::state::{Action, NOBODY, State};
use super::step::Next;
use super::story::Told;
use super::world::{ROOT, World};
use crate::checkers::{self, Violation};
use crate::zookeeper::{Owner, Tree};

/// So many steps are enough for everything; more of them are a loop.
const STEPS_MAX: usize = 3_000;
/// So much true time is enough.
const TIME_MAX: u64 = 60_000_000_000;
/// How long a leader is looked at: several leases.
const STEADY: u64 = 10_000_000_000;

impl Space<'_> {
    /// Delivers everything, first in, first out, until nothing is under way.
    pub(super) fn drain_links(&mut self, next: &mut Next) {
        let mut actions = Vec::new();
        for _ in 0..STEPS_MAX {
            self.actions(&next.state, &mut actions);
            let delivery = actions.iter().find(|action| action.is_under_way()).copied();
            let Some(action) = delivery else { return };
            self.go(next, action);
            if next.violation.is_some() {
                return;
            }
        }
        next.violation = Some(Violation::new("bounded events", "the nodes never come to rest"));
    }

    /// Heals everything, and goes on until all is as it should be.
    pub(super) fn complete(&mut self, state: &State) -> Next {
        let mut next = Next::begin(*state);
        for node in 0..self.world.nodes {
            self.heal(&mut next, node);
        }
        let until = state.now + TIME_MAX;
        let mut actions = Vec::new();
        loop {
            self.drain_links(&mut next);
            if next.violation.is_some() {
                return next;
            }
            let Err(violation) = self.is_well(&next.state) else { return next };
            self.actions(&next.state, &mut actions);
            let reconnect = actions.iter().find(|action| matches!(action, Action::Connect(_)));
            let time = actions.iter().find(|action| matches!(action, Action::Time(_)));
            match reconnect.or(time).copied() {
                Some(action) if next.state.now <= until => self.go(&mut next, action),
                Some(_) | None => {
                    next.violation = Some(violation);
                    return next;
                }
            }
        }
    }

    fn heal(&mut self, next: &mut Next, node: u8) {
        let index = usize::from(node);
        if next.state.machines[index] == NOBODY {
            self.go(next, Action::Restart(node));
        }
        if next.state.paused & 1 << node != 0 {
            self.go(next, Action::Resume(node));
        }
        if self.links.get(next.state.links[index]).orphan.is_some() {
            self.go(next, Action::Expire(node));
        }
        if self.servers.get(next.state.server).lagging & 1 << node != 0 {
            self.go(next, Action::CatchUp(node));
        }
        match self.links.get(next.state.links[index]).state {
            LinkState::Stalled => self.go(next, Action::Free(node)),
            LinkState::Down => self.go(next, Action::Connect(node)),
            LinkState::Up => {}
        }
    }

    fn go(&mut self, next: &mut Next, action: Action) {
        if next.violation.is_some() {
            return;
        }
        if let Some(story) = &mut self.story {
            story.push(Told::Taken { number: None, action });
        }
        let goals = next.goals;
        *next = self.next(&next.state, action);
        next.goals |= goals;
        if let Some(story) = &mut self.story {
            story.push(Told::Became(next.state));
        }
    }

    /// Whether everybody has what it should have.
    fn is_well(&self, state: &State) -> Result<(), Violation> {
        let machines = || {
            let nodes = state.machines.iter().take(self.world.nodes.into());
            nodes.filter(|machine| **machine != NOBODY).map(|machine| self.nodes.get(*machine))
        };
        for global in 0..usize::from(self.world.globals) {
            let stands = machines().any(|node| node.machine.stands[global]);
            let leaders = machines().filter(|node| {
                let leads = matches!(node.machine.terms[global], Application::Leads { .. });
                leads && node.ends[global] > state.now
            });
            if leaders.count() != usize::from(stands) {
                let name = self.world.global(u8::from(global != 0));
                return Err(Violation::new("leaders", format!("{name} is not led as it should be")));
            }
        }
        let tree = self.servers.get(state.server).ensemble.tree(self.world.newest());
        for global in 0..self.world.globals {
            self.is_queue_well(state, tree, global)?;
        }
        for (link, node) in state.links.iter().zip(machines()) {
            let machine = &node.machine;
            let link = self.links.get(*link);
            if link.state != LinkState::Up {
                return Err(Violation::new("sessions", format!("{} is not connected", machine.life)));
            }
            if let Some(session) = &link.session {
                let wanted = machine.registration.map(|_| self.wanted(machine));
                checkers::check_registrations(tree, ROOT, machine.life, session.session, &wanted)?;
            }
            let directory = World::directory();
            if machine.registration.is_none() && machine.life.node == 0 && !machine.is_subscribed {
                let left = tree.children(&format!("{ROOT}/services/s")).next();
                if let Some(left) = left {
                    return Err(Violation::new(
                        "registrations",
                        format!("{left} is there, and was withdrawn"),
                    ));
                }
            }
            if machine.is_subscribed {
                let should = checkers::instances(tree, ROOT, &directory);
                let told = machine.core.directory(&directory);
                let (freshness, is) = told.unwrap_or((Freshness::Unknown, Vec::new()));
                let is = is.into_iter().map(|instance| (instance.name, instance.payload)).collect();
                if freshness != Freshness::Fresh || should != is {
                    let detail = format!("{}: {is:?}, {freshness:?}, instead of {should:?}", machine.life);
                    return Err(Violation::new("caches", detail));
                }
            }
        }
        Ok(())
    }

    /// Whoever stands and does not lead has one candidate, and nobody else has any.
    fn is_queue_well(&self, state: &State, tree: &Tree, global: u8) -> Result<(), Violation> {
        let name = self.world.global(global);
        let queue = format!("{ROOT}/globals/{name}/queue");
        let owners: Vec<_> = tree
            .children(&queue)
            .filter_map(|candidate| tree.get(&format!("{queue}/{candidate}")))
            .map(|candidate| candidate.owner())
            .collect();
        for (link, machine) in
            state.links.iter().zip(state.machines).filter(|(_, machine)| *machine != NOBODY)
        {
            let machine = &self.nodes.get(machine).machine;
            let waits = machine.stands[usize::from(global)]
                && machine.terms[usize::from(global)] == Application::Idle;
            let session = self.links.get(*link).session.as_ref().map(|session| session.session);
            let is_own = |owner: &&Owner| session.is_some_and(|session| **owner == Owner::Session(session));
            let count = owners.iter().filter(is_own).count();
            if count != usize::from(waits) {
                let detail = format!("{} has {count} candidates for {name}", machine.life);
                return Err(Violation::new("queue", detail));
            }
        }
        Ok(())
    }

    /// Without any fault nobody loses a term: each beats in time.
    pub(super) fn is_steady(&mut self, state: &State) -> Result<(), Violation> {
        let mut next = Next::begin(*state);
        let (until, tokens) = (state.now + STEADY, state.tokens);
        let mut actions = Vec::new();
        while next.state.now < until {
            self.drain_links(&mut next);
            self.actions(&next.state, &mut actions);
            let time = actions.iter().find(|action| matches!(action, Action::Time(_))).copied();
            let Some(action) = time else { break };
            self.go(&mut next, action);
            if next.violation.is_none() && next.state.tokens != tokens {
                next.violation = Some(Violation::new("steady leaders", "a term ends for no reason"));
            }
            if let Some(violation) = next.violation {
                return Err(violation);
            }
        }
        Ok(())
    }
}

//! The run without faults: what was broken heals, and everything arrives.

use queenright_core::Freshness;

use super::link::State as LinkState;
use super::machine::Application;
use super::space::{Node, Space};
use super::state::{Action, NOBODY, State};
use super::step::Next;
use super::story::Told;
use super::world::{ROOT, World};
use crate::checkers::{self, Standing, Violation};
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
            // Nor does it count what becomes of it when nobody looks any more.
            let is_soon = |node: u8| {
                let machine = next.state.machines[usize::from(node)];
                self.nodes.get(machine).due.is_some_and(|due| due <= until)
            };
            let time = actions.iter().find(|action| matches!(action, Action::Time(node) if is_soon(*node)));
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
        // One that was given up lives on.
        if self.links.get(next.state.links[index]).orphan.is_some() && self.world.faults.abandons == 0 {
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
        let tree = self.servers.get(state.server).ensemble.tree(self.world.newest());
        let prefix = |node: &Node| format!("{}.", node.machine.core.config().incarnation);
        let alive: Vec<_> = machines().map(|node| (node.machine.life, prefix(node))).collect();
        for global in 0..self.world.globals {
            let (index, name) = (usize::from(global), self.world.global(global));
            let standing = Standing {
                global: &name,
                candidates: machines()
                    .filter(|node| node.machine.stands[index])
                    .map(|node| node.machine.life)
                    .collect(),
                leaders: machines().filter_map(|node| node.leads(index, state.now)).collect(),
                views: machines()
                    .filter(|node| node.machine.looks_up[index])
                    .filter_map(|node| Some((node.machine.life, node.machine.core.holder(&name)?)))
                    .collect(),
                alive: &alive,
            };
            checkers::check_leaders(tree, ROOT, &standing)?;
            // A list from the past may lose a candidate. Servers show none to their clients, and safety does not rest on the queue.
            if self.world.faults.strays == 0 {
                self.is_queue_well(state, tree, global)?;
            }
        }
        for (link, node) in state.links.iter().zip(machines()) {
            let machine = &node.machine;
            let link = self.links.get(*link);
            if link.state != LinkState::Up {
                return Err(Violation::new("sessions", format!("{} is not connected", machine.life)));
            }
            let wanted: Vec<_> = self.wanted(machine).collect();
            if let Some(session) = &link.session {
                checkers::check_registrations(tree, ROOT, machine.life, session.session, &wanted)?;
            }
            let directory = World::directory();
            if machine.life.node == 0 {
                let is_wanted = |child: &&str| {
                    let name = child.strip_suffix('+').unwrap_or(child);
                    wanted.iter().any(|wanted| wanted.instance.as_str() == name)
                };
                if let Some(left) =
                    tree.children(&format!("{ROOT}/services/s")).find(|child| !is_wanted(child))
                {
                    let detail = format!("{left} is there, and was withdrawn");
                    return Err(Violation::new("registrations", detail));
                }
            }
            if !machine.is_subscribed && machine.core.directory(&directory).is_some() {
                let detail = format!("{} follows a directory for nobody", machine.life);
                return Err(Violation::new("caches", detail));
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
        let candidates: Vec<_> = tree
            .children(&queue)
            .filter_map(|candidate| Some((candidate, tree.get(&format!("{queue}/{candidate}"))?.owner())))
            .collect();
        for (link, machine) in
            state.links.iter().zip(state.machines).filter(|(_, machine)| *machine != NOBODY)
        {
            let machine = &self.nodes.get(machine).machine;
            let waits = machine.stands[usize::from(global)]
                && machine.terms[usize::from(global)] == Application::Idle;
            let session = self.links.get(*link).session.as_ref().map(|session| session.session);
            // Also those that a session has left which was given up: whoever waits takes them away.
            let incarnation = machine.core.config().incarnation.to_string();
            let is_left = |name: &str| self.world.faults.abandons > 0 && name.starts_with(&incarnation);
            let is_own = |(name, owner): &&(&str, Owner)| {
                is_left(name) || session.is_some_and(|session| *owner == Owner::Session(session))
            };
            let count = candidates.iter().filter(is_own).count();
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

//! Where a world begins.

use queenright_core::Instant;
use queenright_core::wire::ConnectRequest;

use super::link::Link;
use super::machine::{Machine, Stimulus};
use super::space::{JANITOR, SERVER_TIME, Space};
use super::state::{Action, NOBODY, State};
use super::step::{Next, TIMEOUT_MS};
use super::world::{Faults, GLOBALS_MAX, NODES_MAX, Start};
use crate::checkers::{Life, Violation};
use crate::zookeeper::{Ensemble, ServerConfig};

/// The life that makes the directories, and is over before anything begins.
const FOREBEAR: u32 = 0xffff;

impl Space<'_> {
    /// The first state. Nothing has gone wrong yet, and no time has passed.
    ///
    /// # Errors
    /// What goes wrong without any fault.
    pub(super) fn begin(&mut self) -> Result<State, Violation> {
        let left = self.world.faults.counts();
        let mut next = Next::begin(State { left, ..self.forebear()? });
        for node in 0..self.world.nodes {
            let machine = Machine::new(self.world, Life { node, number: 0 }, Instant::ORIGIN);
            next.state.machines[usize::from(node)] = self.add_machine(machine);
        }
        for node in 0..self.world.nodes {
            next = self.join(next, node);
            let settles = match self.world.start {
                Start::Led => true,
                Start::Joining => node + 1 < self.world.nodes,
                Start::Standing | Start::Orphaned | Start::Registering => false,
            };
            if settles {
                self.drain_links(&mut next);
            }
        }
        self.begun = self.servers.get(next.state.server).ensemble.last_zxid(self.world.newest());
        next.violation.map_or(Ok(next.state), Err)
    }

    fn join(&mut self, next: Next, node: u8) -> Next {
        let mut next = self.next(&next.state, Action::Connect(node));
        self.command(&mut next, node);
        next
    }

    /// A cluster that was used before: whoever was there has left nothing but directories and terms:
    /// vacant ones, unless it died in office.
    fn forebear(&mut self) -> Result<State, Violation> {
        let mut ensemble = Ensemble::new(ServerConfig::default(), self.world.servers(), SERVER_TIME);
        if self.world.has_janitor() {
            let (server, request) = (self.world.newest(), ConnectRequest::new_session(TIMEOUT_MS));
            ensemble.connect(SERVER_TIME, server, JANITOR, [127, 0, 0, 1].into(), request);
            while ensemble.poll_output().is_some() {}
        }
        let link = self.add_link(Link::default());
        let machine = Machine::new(self.world, Life { node: 0, number: FOREBEAR }, Instant::ORIGIN);
        let mut machines = [NOBODY; NODES_MAX];
        machines[0] = self.add_machine(machine);
        let state = State {
            now: 0,
            server: self.add_server(ensemble),
            machines,
            links: [link; NODES_MAX],
            tokens: [0; GLOBALS_MAX],
            left: [0; Faults::KINDS],
            paused: 0,
            lives: [0; NODES_MAX],
            emptied: 0,
        };
        let mut next = self.next(&Next::begin(state).state, Action::Connect(0));
        self.stand(&mut next, 0);
        self.rest(&mut next);
        if !matches!(self.world.start, Start::Orphaned | Start::Joining) {
            for global in 0..self.world.globals {
                self.stimulate(&mut next, 0, &Stimulus::Resign(global));
            }
            if self.world.start == Start::Registering {
                self.stimulate(&mut next, 0, &Stimulus::Unregister(0));
            }
            self.rest(&mut next);
        }
        next = Next { violation: next.violation, ..self.next(&next.state, Action::Crash(0)) };
        next = Next { violation: next.violation, ..self.next(&next.state, Action::Expire(0)) };
        let state = State { server: next.state.server, tokens: next.state.tokens, ..state };
        let janitors = usize::from(self.world.has_janitor());
        debug_assert_eq!(
            self.servers.get(state.server).sessions.len(),
            janitors,
            "the forebear is still there"
        );
        let machines = [NOBODY; NODES_MAX];
        next.violation.map_or(Ok(State { machines, ..state }), Err)
    }

    /// Everything arrives, and what is paused for is done.
    fn rest(&mut self, next: &mut Next) {
        let mut actions = Vec::new();
        for _ in 0..20 {
            self.drain_links(next);
            self.actions(&next.state, &mut actions);
            let soon = next.state.now + 400_000_000;
            let due = |action: &&Action| {
                let Action::Time(node) = **action else { return false };
                let due = self.nodes.get(next.state.machines[usize::from(node)]).due;
                due.is_some_and(|due| due <= soon)
            };
            let Some(action) = actions.iter().find(due).copied() else { return };
            *next = Next { violation: next.violation.take(), ..self.next(&next.state, action) };
        }
    }
}

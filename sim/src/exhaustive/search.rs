//! The search: every state once, breadth first, so that the first counterexample is a shortest one; or depth first.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use super::canonical::Digest;
use super::report::{Found, Outcome, Progress, Step};
use super::space::{Digest64, Space};
use super::state::{Action, NOBODY, State};
use super::world::{Start, World};
use crate::checkers::Violation;

/// In which order states are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Nearest first.
    #[default]
    Breadth,
    /// Deepest first.
    Depth,
}

/// What is asked of a search.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// In which order.
    pub order: Order,
    /// Give up beyond so many states.
    pub max_states: u64,
    /// From each state whose digest is a multiple of this, and from each without a successor, the run without faults must
    /// end well.
    pub complete_every: u64,
    /// The same for states where nothing is under way.
    pub complete_every_quiet: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { order: Order::Breadth, max_states: 40_000_000, complete_every: 256, complete_every_quiet: 8 }
    }
}

/// After so many components a scratch space begins anew.
const SCRATCH_MAX: usize = 50_000;
/// Progress is told after so many states.
const TELL_EVERY: u64 = 1 << 16;

/// How a state was reached first.
#[derive(Clone, Copy, Debug)]
struct Origin {
    from: u32,
    action: u16,
}

struct Search<'w, 'a> {
    space: Space<'w>,
    scratch: Space<'w>,
    settings: Settings,
    numbers: HashMap<u128, u32, BuildHasherDefault<Digest64>>,
    states: Vec<State>,
    origins: Vec<Origin>,
    transitions: u64,
    completions: u64,
    goals: u32,
    tell: &'a mut dyn FnMut(&Progress),
}

/// Looks at every state of `world`.
///
/// # Errors
/// The first property that does not hold, with the steps that lead there.
pub fn check(
    world: &World,
    settings: Settings,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Outcome, Box<Found>> {
    let mut space = Space::new(world);
    let begun = space.begin().and_then(|first| match world.start {
        Start::Led => {
            let mut scratch = scratch(world);
            let adopted = scratch.adopt(&space, &first);
            scratch.is_steady(&adopted).map(|()| first)
        }
        Start::Standing | Start::Orphaned | Start::Joining | Start::Registering => Ok(first),
    });
    let first = match begun {
        Ok(first) => first,
        Err(violation) => {
            return Err(Box::new(Found { violation, steps: Vec::new(), completion: false, states: 0 }));
        }
    };
    let mut search = Search {
        space,
        scratch: scratch(world),
        settings,
        numbers: HashMap::default(),
        states: Vec::new(),
        origins: Vec::new(),
        transitions: 0,
        completions: 0,
        goals: 0,
        tell,
    };
    search.add(first, Origin { from: 0, action: u16::MAX });
    search.run()
}

pub(super) fn scratch(world: &World) -> Space<'_> {
    let mut scratch = Space::new(world);
    scratch.horizon = u64::MAX;
    scratch
}

impl Search<'_, '_> {
    fn run(&mut self) -> Result<Outcome, Box<Found>> {
        let mut actions = Vec::new();
        let mut stack = vec![0_u32];
        let mut number = 0_u32;
        let mut looked_at = 0_u64;
        loop {
            let current = match self.settings.order {
                Order::Breadth if (number as usize) < self.states.len() => number,
                Order::Breadth => break,
                Order::Depth => match stack.pop() {
                    Some(deepest) => deepest,
                    None => break,
                },
            };
            number += 1;
            looked_at += 1;
            let state = self.states[current as usize];
            self.space.tried(&state, &mut actions);
            for action in &actions {
                let next = self.space.next(&state, *action);
                self.transitions += 1;
                self.goals |= next.goals;
                if let Some(violation) = next.violation {
                    return Err(self.found(violation, current, Some(*action)));
                }
                if let Some(new) = self.add(next.state, Origin { from: current, action: action.to_bits() }) {
                    stack.push(new);
                }
            }
            let every = match actions.iter().any(|action| action.is_under_way()) {
                true => self.settings.complete_every,
                false => self.settings.complete_every_quiet,
            };
            if current == 0 || actions.is_empty() || (name(&state) as u64).is_multiple_of(every) {
                self.complete(current, &state)?;
            }
            if looked_at.is_multiple_of(TELL_EVERY) {
                let progress = self.progress(looked_at);
                (self.tell)(&progress);
            }
            if self.states.len() as u64 > self.settings.max_states {
                return Ok(self.outcome(false));
            }
        }
        Ok(self.outcome(true))
    }

    /// A state that is new gets a number.
    fn add(&mut self, state: State, origin: Origin) -> Option<u32> {
        let number = u32::try_from(self.states.len()).unwrap_or_else(|_| panic!("more states than numbers"));
        let mut is_new = false;
        self.numbers.entry(name(&state)).or_insert_with(|| {
            is_new = true;
            number
        });
        if !is_new {
            return None;
        }
        self.states.push(state);
        self.origins.push(origin);
        Some(number)
    }

    /// The run without faults from here must end well.
    fn complete(&mut self, number: u32, state: &State) -> Result<(), Box<Found>> {
        if self.scratch.nodes.len() > SCRATCH_MAX {
            self.scratch = scratch(self.space.world);
        }
        let state = self.scratch.adopt(&self.space, state);
        self.completions += 1;
        let end = self.scratch.complete(&state);
        match end.violation {
            None => Ok(()),
            Some(violation) => {
                let mut found = self.found(violation, number, None);
                found.completion = true;
                Err(found)
            }
        }
    }

    fn found(&self, violation: Violation, mut number: u32, last: Option<Action>) -> Box<Found> {
        let mut steps: Vec<Step> = last.into_iter().map(Step).collect();
        while let Some(Origin { from, action }) = self.origins.get(number as usize).copied()
            && let Some(action) = Action::from_bits(action)
        {
            steps.push(Step(action));
            number = from;
        }
        steps.reverse();
        Box::new(Found { violation, steps, completion: false, states: self.states.len() as u64 })
    }

    fn progress(&self, looked_at: u64) -> Progress {
        Progress { states: self.states.len() as u64, looked_at, transitions: self.transitions }
    }

    fn outcome(&self, is_exhausted: bool) -> Outcome {
        Outcome {
            states: self.states.len() as u64,
            transitions: self.transitions,
            completions: self.completions,
            nodes: self.space.nodes.len(),
            links: self.space.links.len(),
            servers: self.space.servers.len(),
            is_exhausted,
            goals: self.goals,
        }
    }
}

impl Space<'_> {
    /// The same state, made of components of this space.
    pub(super) fn adopt(&mut self, other: &Space<'_>, state: &State) -> State {
        let mut adopted = *state;
        adopted.server = self.add_server(other.servers.get(state.server).ensemble.clone());
        for (node, machine) in adopted.machines.iter_mut().enumerate() {
            if *machine != NOBODY {
                *machine = self.add_machine(other.nodes.get(*machine).machine.clone());
            }
            let mut link = other.links.get(state.links[node]).clone();
            for op in &mut link.up {
                *op = self.add_op(other.ops.get(*op).clone());
            }
            for said in &mut link.down {
                *said = self.add_said(other.said.get(*said).clone());
            }
            adopted.links[node] = self.add_link(link);
        }
        adopted
    }
}

fn name(state: &State) -> u128 {
    let mut digest = Digest::new();
    state.hash(&mut digest);
    digest.finish()
}

//! What a search tells.

use std::fmt;

use super::state::Action;
use super::world::{Goal, World};
use crate::checkers::Violation;

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States found.
    pub states: u64,
    /// States whose successors are known.
    pub looked_at: u64,
    /// Steps taken.
    pub transitions: u64,
}

/// A search that found nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// States found.
    pub states: u64,
    /// Steps between them.
    pub transitions: u64,
    /// Runs without faults that ended well.
    pub completions: u64,
    /// Different states of nodes.
    pub nodes: usize,
    /// Different states of connections.
    pub links: usize,
    /// Different states of the server.
    pub servers: usize,
    /// Whether that is all of them.
    pub is_exhausted: bool,
    pub(super) goals: u32,
}

/// A property that does not hold.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub violation: Violation,
    /// The steps that lead there, as few as there can be if the search was breadth first.
    pub steps: Vec<Step>,
    /// Whether it is the run without faults behind these steps that does not end well.
    pub completion: bool,
    /// How many states were found before it.
    pub states: u64,
}

/// A step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub(super) Action);

impl Outcome {
    /// The goals that were reached, as bits in their order.
    #[must_use]
    pub const fn goals(&self) -> u32 {
        self.goals
    }

    /// The goals of `world` that were not reached.
    #[must_use]
    pub fn missing(&self, world: &World) -> Vec<Goal> {
        world.goals.iter().copied().filter(|goal| self.goals & goal.bit() == 0).collect()
    }
}

impl Step {
    /// Reads what [`Step`]'s `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = (0..=u8::MAX.into())
            .flat_map(|kind| (0..4).flat_map(move |node| [0, 1].map(|about| (kind, node, about))));
        let mut actions =
            all.filter_map(|(kind, node, about)| Action::from_bits(kind << 8 | node << 4 | about));
        actions.find(|action| action.to_string() == text).map(Self)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! The museum: known bugs of libraries like this one, each as a scenario that this one passes, and that a machine with
//! the bug fails.
//!
//! Every entry is played twice: to real coordinators, which must pass, and to the machine named as what it fails
//! under, in which the named property must break. A scenario that cannot fail is therefore not possible. What cannot
//! occur because of how things are built, or is not this library's business, says why. `MUSEUM.md` lists all of them.
//!
//! ```
//! let entry = queenright_sim::museum::entry("original-follower-caches-itself-as-leader").expect("there is one");
//! assert_eq!(entry.run(None), Ok(()));
//! ```

mod access;
mod cache;
mod desk;
mod election_liveness;
mod election_safety;
mod misuse;
pub(crate) mod naive;
mod past;
mod registration;
mod scale;
mod session;
mod table;

use std::fmt;

use queenright_core::Config;
use queenright_core::mutation::Mutation;

use crate::checkers::Violation;
use crate::scenario::{Museum, Variant};
pub use naive::Flaw;
pub use table::{GROUPS, Group, entries, entry, markdown};

/// How tests take a guard out of core: only who builds it with its feature `mutations` can.
pub type Mutate = fn(&mut Config, Mutation);

/// A known bug.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is called.
    pub name: &'static str,
    /// Where it is known from: R reported and fixed, O reported and open, D a documented warning, S seen in the code of
    /// the original, X derived from source or protocol.
    pub evidence: &'static str,
    /// What this library makes of it.
    pub state: State,
}

/// What this library makes of a known bug.
#[derive(Clone, Copy, Debug)]
pub enum State {
    /// It passes this scenario.
    Scenario {
        /// What happens.
        steps: Steps,
        /// What does not pass it.
        fails_under: Wrong,
        /// The property that breaks then.
        breaks: &'static str,
    },
    /// It cannot occur.
    ByConstruction {
        /// Why not: the type or the rule.
        why: &'static str,
    },
    /// It is not this library's business.
    OutOfScope {
        /// Why not.
        why: &'static str,
    },
}

/// What happens in a scenario.
#[derive(Clone, Copy, Debug)]
pub enum Steps {
    /// Steps in a museum.
    Played(fn(&mut Museum)),
    /// Something that needs no nodes and no servers: as it is done right, and as it was done wrong.
    Alone {
        /// Passes.
        right: fn() -> Result<(), Violation>,
        /// Does not.
        wrong: fn() -> Result<(), Violation>,
    },
}

/// What a scenario does not let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A naive machine.
    Naive(Flaw),
    /// Core without one of its guards.
    Without(Mutation),
    /// A few lines in the scenario itself.
    Here(&'static str),
}

impl Entry {
    /// What happens when the scenario is played to what this library has, line by line; nothing when it needs no nodes and
    /// no servers, or when there is none.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        match self.state {
            State::Scenario { steps: Steps::Played(steps), .. } => {
                let mut museum = Museum::new(Variant::Real);
                steps(&mut museum);
                museum.lines().map(str::to_owned).collect()
            }
            State::Scenario { steps: Steps::Alone { .. }, .. }
            | State::ByConstruction { .. }
            | State::OutOfScope { .. } => Vec::new(),
        }
    }

    /// Plays the scenario to what this library has; and, to see that it means something, to what must fail. Without
    /// `mutate`, entries that need a guard taken out are played to the real machines only.
    ///
    /// # Errors
    /// The property that broke, or that what must fail passes. An entry without scenario passes.
    pub fn run(&self, mutate: Option<Mutate>) -> Result<(), Violation> {
        let State::Scenario { steps, fails_under, breaks } = self.state else { return Ok(()) };
        let right = match steps {
            Steps::Played(steps) => play(steps, Variant::Real).0,
            Steps::Alone { right, .. } => right(),
        };
        right
            .map_err(|violation| Violation::new(violation.property, format!("{}: {violation}", self.name)))?;
        let (wrong, story) = match (steps, fails_under, mutate) {
            (Steps::Played(steps), Wrong::Naive(flaw), _) => play(steps, Variant::Naive(flaw)),
            (Steps::Played(steps), Wrong::Without(mutation), Some(mutate)) => {
                play(steps, Variant::Mutated(mutation, mutate))
            }
            (Steps::Alone { wrong, .. }, Wrong::Here(_), _) => (wrong(), String::new()),
            (_, Wrong::Without(_), None) => return Ok(()),
            (Steps::Played(_), Wrong::Here(_), _)
            | (Steps::Alone { .. }, Wrong::Naive(_) | Wrong::Without(_), _) => {
                let detail = format!("{}: nothing is there to fail", self.name);
                return Err(Violation::new("detection", detail));
            }
        };
        match wrong {
            Err(violation) if violation.property == breaks => Ok(()),
            Err(violation) => {
                let detail = format!("{} fails under {fails_under:?} by {violation}", self.name);
                Err(Violation::new("detection", format!("{detail}\ninstead of {breaks}")))
            }
            Ok(()) => {
                let detail = format!("{} lets {fails_under:?} pass:\n  {story}", self.name);
                Err(Violation::new("detection", detail))
            }
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Naive(flaw) => write!(f, "naive machine `{flaw:?}`"),
            Self::Without(mutation) => write!(f, "core without its guard, `{mutation:?}`"),
            Self::Here(how) => f.write_str(how),
        }
    }
}

/// What became of it, and the last lines of what happened.
fn play(steps: fn(&mut Museum), variant: Variant) -> (Result<(), Violation>, String) {
    let mut museum = Museum::new(variant);
    steps(&mut museum);
    (museum.verdict(), museum.story())
}

const fn naive(
    name: &'static str,
    evidence: &'static str,
    steps: fn(&mut Museum),
    flaw: Flaw,
    breaks: &'static str,
) -> Entry {
    let state = State::Scenario { steps: Steps::Played(steps), fails_under: Wrong::Naive(flaw), breaks };
    Entry { name, evidence, state }
}

const fn without(
    name: &'static str,
    evidence: &'static str,
    steps: fn(&mut Museum),
    mutation: Mutation,
    breaks: &'static str,
) -> Entry {
    let state =
        State::Scenario { steps: Steps::Played(steps), fails_under: Wrong::Without(mutation), breaks };
    Entry { name, evidence, state }
}

const fn alone(
    name: &'static str,
    evidence: &'static str,
    right: fn() -> Result<(), Violation>,
    wrong: fn() -> Result<(), Violation>,
    how: &'static str,
    breaks: &'static str,
) -> Entry {
    let state =
        State::Scenario { steps: Steps::Alone { right, wrong }, fails_under: Wrong::Here(how), breaks };
    Entry { name, evidence, state }
}

const fn cannot(name: &'static str, evidence: &'static str, why: &'static str) -> Entry {
    Entry { name, evidence, state: State::ByConstruction { why } }
}

const fn foreign(name: &'static str, evidence: &'static str, why: &'static str) -> Entry {
    Entry { name, evidence, state: State::OutOfScope { why } }
}

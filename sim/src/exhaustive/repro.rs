//! A counterexample in a file: the world with its bounds, the guard that was taken out, and the steps.

use std::time::Duration;

use queenright_core::mutation::Mutation;
use serde::{Deserialize, Serialize};

use super::report::{Found, Step};
use super::world::{Faults, World};
use super::worlds::find;

/// The format of the files; raised when older ones can no longer be read.
const FORMAT: u32 = 1;

/// Steps in a world, to be taken again.
#[derive(Clone, Debug)]
pub struct Repro {
    /// The property that did not hold when it was written.
    pub violates: Option<String>,
    /// Where.
    pub world: World,
    /// What happens there.
    pub steps: Vec<Step>,
    /// Whether the run without faults follows.
    pub completion: bool,
}

/// Why a file is no counterexample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRepro {
    /// It cannot be read; the text says where and why.
    #[error("this is no counterexample: {0}")]
    Unreadable(String),
    /// It was written by another version.
    #[error("this is a counterexample of format {found}, and this program reads format {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// There is no such world.
    #[error("there is no world {0:?}: `queenright-sim check --list` lists them")]
    World(String),
    /// There is no such step.
    #[error("this is no step: {0:?}")]
    Step(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    violates: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mutation: Option<Mutation>,
    /// Whether the run without faults follows.
    #[serde(default)]
    completion: bool,
    steps: Vec<String>,
    world: Bounds,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    name: String,
    nodes: u8,
    globals: u8,
    #[serde(with = "humantime_serde")]
    horizon: Duration,
    #[serde(default)]
    is_late: bool,
    faults: Faults,
}

impl Repro {
    /// What a search found.
    #[must_use]
    pub fn new(world: &World, found: &Found) -> Self {
        Self {
            violates: Some(found.violation.property.to_owned()),
            world: *world,
            steps: found.steps.clone(),
            completion: found.completion,
        }
    }

    /// Whether `text` means to be one: the explorer's files have plans, and no worlds.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.lines().any(|line| line.trim() == "[world]")
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: there is nothing in it that TOML could not write.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let World { name, nodes, globals, horizon, faults, is_late, mutation, .. } = self.world;
        let file = File {
            format: FORMAT,
            violates: self.violates.clone(),
            mutation,
            completion: self.completion,
            steps: self.steps.iter().map(ToString::to_string).collect(),
            world: Bounds { name: name.to_owned(), nodes, globals, horizon, is_late, faults },
        };
        let text = toml_edit::ser::to_string_pretty(&file);
        text.unwrap_or_else(|error| panic!("a counterexample that cannot be written: {error}"))
    }

    /// Reads what [`to_toml`](Self::to_toml) writes.
    ///
    /// # Errors
    /// When it is something else, or names what there is not.
    pub fn from_toml(text: &str) -> Result<Self, BadRepro> {
        let File { format, violates, mutation, completion, steps, world } =
            toml_edit::de::from_str(text).map_err(|error| BadRepro::Unreadable(error.to_string()))?;
        if format != FORMAT {
            return Err(BadRepro::Format { found: format });
        }
        let Bounds { name, nodes, globals, horizon, is_late, faults } = world;
        let base = find(&name).ok_or(BadRepro::World(name))?;
        let world = World { nodes, globals, horizon, is_late, faults, mutation, states: None, ..*base };
        world.check_bounds().map_err(BadRepro::Unreadable)?;
        let step = |step: &String| Step::parse(step).ok_or_else(|| BadRepro::Step(step.clone()));
        let steps = steps.iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { violates, world, steps, completion })
    }
}

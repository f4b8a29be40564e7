//! The body of the fuzz target `election`: bytes become a plan of the explorer, and its checkers judge the run.
//!
//! A plan is nodes, what their applications do, what goes wrong and when, and how long each of the first messages takes,
//! so in which order they arrive. What must hold is what must hold of every run: `ARCHITECTURE.md` lists the checkers.

use crate::explorer::{Plan, Repro, run};

/// Runs the plan that `data` stands for.
///
/// # Panics
/// When a checker finds something, with the story of the run and the file that plays it again.
pub fn election(data: &[u8]) {
    let plan = Plan::of_bytes(data);
    if let Err(failure) = run(&plan) {
        let mut repro = Repro::new(plan);
        repro.violates = Some(failure.violation().property.into());
        panic!("{}\n\nas a file, found.repro.toml:\n\n{}", failure.story(), repro.to_toml());
    }
}

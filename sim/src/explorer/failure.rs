//! A run that failed, as people need to see it.

use std::fmt;

use super::plan::Plan;
use crate::checkers::Violation;

/// A violation, and what led to it.
#[derive(Clone, Debug)]
pub struct Failure {
    violation: Violation,
    trace: Vec<String>,
    plan: Plan,
}

impl Failure {
    pub(super) fn new(plan: &Plan, violation: Violation, trace: Vec<String>) -> Self {
        Self { violation, trace, plan: plan.clone() }
    }

    /// What did not hold.
    #[must_use]
    pub const fn violation(&self) -> &Violation {
        &self.violation
    }

    /// The plan that led to it.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The violation, the end of the trace, and the plan.
    #[must_use]
    pub fn story(&self) -> String {
        let mut story = format!("VIOLATION of {}\n\n", self.violation);
        for line in &self.trace {
            story.push_str(line);
            story.push('\n');
        }
        format!("{story}\n{}", self.plan)
    }
}

impl fmt::Display for Failure {
    /// Its story, and as the last line the command that plays it again if its plan is that of its seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.plan.seed;
        f.write_str(&self.story())?;
        if Plan::from_seed(seed) == self.plan {
            write!(f, "\nreplay: cargo run --release -p queenright-sim -- replay {seed}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

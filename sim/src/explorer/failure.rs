//! A run that failed, as people need to see it.

use std::fmt;

use super::plan::Plan;
use crate::checkers::Violation;

/// A violation, and what led to it.
#[derive(Debug)]
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
}

impl fmt::Display for Failure {
    /// The violation, the end of the trace, the plan, and last the command that plays it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VIOLATION of {}\n", self.violation)?;
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n{}", self.plan)?;
        let seed = self.plan.seed;
        write!(
            f,
            "replay: QUEENRIGHT_SEED={seed} cargo test -p queenright-sim --test explorer replay -- --nocapture"
        )
    }
}

impl std::error::Error for Failure {}

//! At most one node believes that it leads a global, at any instant of real time.

use std::collections::BTreeMap;

use queenright_core::{Instant, Name};

use super::{Life, Violation};

const PROPERTY: &str = "exclusive belief";

/// Follows who believes in what until when.
///
/// A belief begins when the application learns of it, and ends when it is revoked, when its process dies, or by the
/// clock of its node: the caller translates that deadline into real time.
#[derive(Debug, Default)]
pub struct ExclusiveBelief {
    by_global: BTreeMap<Name, BTreeMap<Life, Belief>>,
}

#[derive(Clone, Copy, Debug)]
enum Belief {
    /// Later beats extend it.
    Extensible { until: Instant },
    /// The application was told to stop: the end is final.
    Final { until: Instant },
}

impl Belief {
    const fn until(self) -> Instant {
        match self {
            Self::Extensible { until } | Self::Final { until } => until,
        }
    }
}

impl ExclusiveBelief {
    /// A node leads `global`, until `until` at least.
    ///
    /// # Errors
    /// When another one believes so, too.
    pub fn elected(
        &mut self,
        now: Instant,
        life: Life,
        global: &Name,
        until: Instant,
    ) -> Result<(), Violation> {
        let beliefs = self.by_global.entry(global.clone()).or_default();
        beliefs.insert(life, Belief::Extensible { until });
        alone(now, global, beliefs)
    }

    /// All extensible beliefs of a node last until `until`.
    ///
    /// # Errors
    /// When one of them had ended, and another node believes by now.
    pub fn extended(&mut self, now: Instant, life: Life, until: Instant) -> Result<(), Violation> {
        for (global, beliefs) in &mut self.by_global {
            match beliefs.get_mut(&life) {
                Some(belief @ Belief::Extensible { .. }) => *belief = Belief::Extensible { until },
                Some(Belief::Final { .. }) | None => continue,
            }
            alone(now, global, beliefs)?;
        }
        Ok(())
    }

    /// The application of a term was told to be done by `deadline`.
    ///
    /// # Errors
    /// When the deadline gives it more time than it had, and another node believes.
    pub fn stopping(
        &mut self,
        now: Instant,
        life: Life,
        global: &Name,
        deadline: Instant,
    ) -> Result<(), Violation> {
        let Some(beliefs) = self.by_global.get_mut(global) else { return Ok(()) };
        if let Some(belief) = beliefs.get_mut(&life) {
            *belief = Belief::Final { until: deadline };
        }
        alone(now, global, beliefs)
    }

    /// The term is over.
    pub fn revoked(&mut self, life: Life, global: &Name) {
        if let Some(beliefs) = self.by_global.get_mut(global) {
            beliefs.remove(&life);
        }
    }

    /// The process is gone. Tells whether it believed in anything.
    pub fn died(&mut self, now: Instant, life: Life) -> bool {
        let mut believed = false;
        for beliefs in self.by_global.values_mut() {
            believed |= beliefs.remove(&life).is_some_and(|belief| belief.until() > now);
        }
        believed
    }

    /// Who believes to lead `global` now.
    pub fn believers(&self, now: Instant, global: &Name) -> impl Iterator<Item = Life> {
        let beliefs = self.by_global.get(global).into_iter().flatten();
        beliefs.filter(move |(_, belief)| belief.until() > now).map(|(life, _)| *life)
    }
}

fn alone(now: Instant, global: &Name, beliefs: &BTreeMap<Life, Belief>) -> Result<(), Violation> {
    let mut believers = beliefs.iter().filter(|(_, belief)| belief.until() > now);
    match (believers.next(), believers.next()) {
        (Some((one, first)), Some((other, second))) => Err(Violation::new(
            PROPERTY,
            format!(
                "{one} believes to lead {global} until {}, and {other} until {}",
                first.until(),
                second.until()
            ),
        )),
        (_, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Life = Life { node: 0, number: 0 };
    const B: Life = Life { node: 1, number: 0 };

    fn global() -> Name {
        Name::new("g").unwrap()
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn two_at_once_are_seen_and_one_after_the_other_are_not() {
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        assert!(belief.elected(at(9), B, &global(), at(20)).is_err());
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        belief.elected(at(10), B, &global(), at(20)).unwrap();
        assert_eq!(belief.believers(at(10), &global()).collect::<Vec<_>>(), [B]);
    }

    #[test]
    fn an_extension_counts_and_one_that_comes_too_late_is_seen() {
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        belief.extended(at(5), A, at(15)).unwrap();
        assert!(belief.elected(at(12), B, &global(), at(20)).is_err());
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        belief.elected(at(12), B, &global(), at(20)).unwrap();
        assert!(belief.extended(at(13), A, at(23)).is_err());
    }

    #[test]
    fn nothing_extends_a_term_that_was_told_to_stop_and_revoking_or_dying_ends_it_at_once() {
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        belief.stopping(at(5), A, &global(), at(10)).unwrap();
        belief.extended(at(6), A, at(16)).unwrap();
        belief.elected(at(11), B, &global(), at(20)).unwrap();
        belief.revoked(B, &global());
        belief.elected(at(12), A, &global(), at(20)).unwrap();
        assert!(belief.died(at(13), A));
        belief.elected(at(13), B, &global(), at(20)).unwrap();
    }

    #[test]
    fn other_globals_do_not_matter() {
        let mut belief = ExclusiveBelief::default();
        belief.elected(at(0), A, &global(), at(10)).unwrap();
        belief.elected(at(0), B, &Name::new("h").unwrap(), at(10)).unwrap();
    }
}

//! What is told of a counterexample when its steps are taken again.

use std::fmt;

use queenright_core::op::Op;
use queenright_core::{Event, Instant, RequestId, SessionEpoch};

use super::machine::{Application, Machine, Step, Stimulus};
use super::report;
use super::repro::Repro;
use super::search::scratch;
use super::space::Space;
use super::state::{Action, State};
use super::world::Start;
use crate::checkers::{Life, Violation};

/// What is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A step is taken: one of the counterexample, which have numbers, or one of the run without faults behind it.
    Taken { number: Option<usize>, action: Action },
    /// Something reaches a node.
    Heard(Heard),
    /// What came of the step.
    Became(State),
}

/// Something reaches a node.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) life: Life,
    /// By its clock.
    pub(super) at: Instant,
    pub(super) stimulus: Stimulus,
    pub(super) epoch: SessionEpoch,
    /// The oldest of its requests that were not answered.
    pub(super) asked: Option<(SessionEpoch, RequestId)>,
    pub(super) sent: Vec<Op>,
    pub(super) events: Vec<Event>,
    /// The globals that it does not lead any more.
    over: Vec<usize>,
}

impl Told {
    pub(super) fn heard(at: Instant, before: &Machine, stimulus: &Stimulus, step: &Step) -> Self {
        let terms = before.terms.iter().zip(&step.machine.terms).enumerate();
        let over = terms.filter(|(_, (was, is))| was != is && **is == Application::Idle);
        Self::Heard(Heard {
            life: before.life,
            at,
            stimulus: stimulus.clone(),
            epoch: before.epoch,
            asked: before.pending.front().copied(),
            sent: step.sent.clone(),
            events: step.events.clone(),
            over: over.map(|(global, _)| global).collect(),
        })
    }
}

impl fmt::Display for Told {
    /// In lines; what nodes hear and say is indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { number: Some(number), action } => writeln!(f, "{number:>3} {action}"),
            Self::Taken { number: None, action } => writeln!(f, "  then {action}"),
            Self::Heard(Heard { life, at, stimulus, sent, events, over, .. }) => {
                writeln!(f, "    {life} at {at} takes {stimulus:?}")?;
                sent.iter().try_for_each(|op| writeln!(f, "      sends {op:?}"))?;
                events.iter().try_for_each(|event| writeln!(f, "      says {event:?}"))?;
                over.iter().try_for_each(|global| writeln!(f, "      does not lead {global} any more"))
            }
            Self::Became(_) => Ok(()),
        }
    }
}

/// A counterexample whose steps were taken again.
#[derive(Debug)]
pub(super) struct Lived<'w> {
    pub(super) space: Space<'w>,
    /// The state before the first step, unless the violation comes before that.
    pub(super) first: Option<State>,
    pub(super) told: Vec<Told>,
    pub(super) violation: Option<Violation>,
}

/// Takes the steps of a counterexample again.
pub(super) fn live(repro: &Repro) -> Result<Lived<'_>, String> {
    let Repro { world, steps, completion, .. } = repro;
    let mut space: Space<'_> = scratch(world);
    let first = match space.begin() {
        Ok(first) => first,
        Err(violation) => {
            return Ok(Lived { space, first: None, told: Vec::new(), violation: Some(violation) });
        }
    };
    let (mut state, mut violation, mut actions) = (first, None, Vec::new());
    space.story = Some(Vec::new());
    for (number, report::Step(action)) in (1..).zip(steps) {
        space.actions(&state, &mut actions);
        if !actions.contains(action) {
            return Err(format!("step {number} is not possible there: {action}"));
        }
        tell(&mut space, Told::Taken { number: Some(number), action: *action });
        let next = space.next(&state, *action);
        tell(&mut space, Told::Became(next.state));
        (state, violation) = (next.state, next.violation);
        if violation.is_some() {
            break;
        }
    }
    if *completion && violation.is_none() {
        violation = space.complete(&state).violation;
    }
    // What fails before the first step is that nothing happens to leaders without one.
    if steps.is_empty() && violation.is_none() && world.start == Start::Led {
        violation = space.is_steady(&state).err();
    }
    let told = space.story.take().unwrap_or_default();
    Ok(Lived { space, first: Some(first), told, violation })
}

fn tell(space: &mut Space<'_>, told: Told) {
    if let Some(story) = &mut space.story {
        story.push(told);
    }
}

/// Takes the steps of a counterexample again, telling what each node hears and says.
///
/// # Errors
/// A step that is not possible where it stands.
pub fn narrate(repro: &Repro) -> Result<(Vec<String>, Option<Violation>), String> {
    let Lived { told, violation, .. } = live(repro)?;
    let lines = told.iter().map(ToString::to_string).collect::<String>();
    Ok((lines.lines().map(str::to_owned).collect(), violation))
}

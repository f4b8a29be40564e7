//! A deadline that moves often, in a queue from which nothing can be taken out.

use queenright_core::Instant;

/// The earliest wake-up that is in the queue. A deadline that moves away leaves it there: it comes early, does
/// nothing, and the next one is scheduled then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    scheduled_at: Option<Instant>,
}

impl Alarm {
    /// The deadline is `wanted` now. Returns the time for which a wake-up must be scheduled, if one must.
    pub(super) fn set(&mut self, wanted: Option<Instant>) -> Option<Instant> {
        let wanted = wanted?;
        match self.scheduled_at {
            Some(at) if at <= wanted => None,
            Some(_) | None => {
                self.scheduled_at = Some(wanted);
                Some(wanted)
            }
        }
    }

    /// A wake-up came at `now`: whether it is the awaited one. Others are leftovers.
    pub(super) fn ring(&mut self, now: Instant) -> bool {
        let awaited = self.scheduled_at.is_some_and(|at| at <= now);
        if awaited {
            self.scheduled_at = None;
        }
        awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moves_closer_is_scheduled_again_and_its_leftover_is_ignored() {
        let at = Instant::from_millis;
        let mut alarm = Alarm::default();
        assert_eq!(alarm.set(Some(at(5))), Some(at(5)));
        assert_eq!(alarm.set(Some(at(8))), None, "comes early, and is set again then");
        assert_eq!(alarm.set(Some(at(3))), Some(at(3)));
        assert!(alarm.ring(at(3)));
        assert_eq!(alarm.set(Some(at(8))), Some(at(8)));
        assert!(!alarm.ring(at(5)), "left over");
        assert!(alarm.ring(at(9)), "late is not too early");
        assert_eq!(alarm.set(None), None);
    }
}

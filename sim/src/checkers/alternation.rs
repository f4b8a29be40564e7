//! What a coordinator tells its application about a term makes sense: Elected, extended while nobody was told to
//! stop, Stop, Revoked, and from the beginning again; nothing after Closed.

use std::collections::BTreeMap;

use queenright_core::{Event, Instant, Name, Token};
use serde::Serialize;

use super::{Life, Violation};

const PROPERTY: &str = "alternation";

/// Follows the events of coordinators as they are put out, each with its own clock.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Alternation {
    terms: BTreeMap<(Life, Name), Term>,
    /// Until when the extensible terms of a life last.
    published: BTreeMap<Life, Instant>,
    closed: BTreeMap<Life, ()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Term {
    Led {
        token: Token,
        until: Instant,
    },
    Stopping {
        token: Token,
    },
    /// Its application came to its end by itself.
    Finished {
        token: Token,
    },
}

impl Alternation {
    /// A coordinator put `event` out, when its clock showed `now`.
    ///
    /// # Errors
    /// When the event does not follow from the ones before it.
    pub fn event(&mut self, now: Instant, life: Life, event: &Event) -> Result<(), Violation> {
        let wrong = |what: String| Err(Violation::new(PROPERTY, format!("{life}: {what}")));
        if self.closed.contains_key(&life) {
            return wrong(format!("{event:?} after Closed"));
        }
        match event {
            Event::Elected { global, token, version, valid_until, .. } => {
                let key = (life, global.clone());
                if let Some(term) = self.terms.get(&key) {
                    return wrong(format!("elected for {global} while {term:?}"));
                }
                if *valid_until <= now {
                    return wrong(format!(
                        "elected for {global} at {now}, until {valid_until}: it is over already"
                    ));
                }
                if version % 2 == 0 {
                    return wrong(format!(
                        "elected for {global} at the even version {version}: that is vacant"
                    ));
                }
                self.publish(life, *valid_until)?;
                self.terms.insert(key, Term::Led { token: *token, until: *valid_until });
            }
            Event::Extended { valid_until } => {
                self.publish(life, *valid_until)?;
                for ((whose, _), term) in &mut self.terms {
                    match term {
                        Term::Led { until, .. } if *whose == life => *until = *valid_until,
                        Term::Led { .. } | Term::Stopping { .. } | Term::Finished { .. } => {}
                    }
                }
            }
            Event::Stop { global, token, deadline, .. } => {
                let term = self.terms.get_mut(&(life, global.clone()));
                match term {
                    Some(term @ (Term::Led { .. } | Term::Finished { .. })) if term.token() == *token => {
                        let until = term.until();
                        *term = Term::Stopping { token: *token };
                        if until.is_some_and(|until| *deadline > until) {
                            return wrong(format!(
                                "told to stop {global} by {deadline}, later than {until:?}"
                            ));
                        }
                    }
                    term => return wrong(format!("told to stop {global} with token {token} while {term:?}")),
                }
            }
            Event::Revoked { global, token } => match self.terms.remove(&(life, global.clone())) {
                Some(Term::Stopping { token: over } | Term::Finished { token: over }) if over == *token => {}
                term => return wrong(format!("{global} with token {token} was revoked while {term:?}")),
            },
            Event::Closed => {
                if let Some(((_, global), term)) = self.terms.iter().find(|((whose, _), _)| *whose == life) {
                    return wrong(format!("closed with {global} {term:?}"));
                }
                self.closed.insert(life, ());
            }
            Event::Session(_)
            | Event::Registration { .. }
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Withdrawn { .. }
            | Event::Degraded { .. } => {}
        }
        Ok(())
    }

    /// The coordinator is about to hear that the application of a term has stopped: if nobody told it to, the term may be
    /// revoked without a word before.
    pub fn stopped(&mut self, life: Life, global: &Name, token: Token) {
        match self.terms.get_mut(&(life, global.clone())) {
            Some(term @ Term::Led { .. }) if term.token() == token => *term = Term::Finished { token },
            Some(Term::Led { .. } | Term::Stopping { .. } | Term::Finished { .. }) | None => {}
        }
    }

    /// The process is gone: it will say no more.
    pub fn died(&mut self, life: Life) {
        self.terms.retain(|(whose, _), _| *whose != life);
        self.published.remove(&life);
    }

    /// A deadline that was told never moves back while a term stands on it.
    fn publish(&mut self, life: Life, until: Instant) -> Result<(), Violation> {
        let leads =
            self.terms.iter().any(|((whose, _), term)| *whose == life && matches!(term, Term::Led { .. }));
        match self.published.insert(life, until) {
            Some(before) if leads && until < before => Err(Violation::new(
                PROPERTY,
                format!("{life}: the end of its terms moves back from {before} to {until}"),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl Term {
    const fn token(self) -> Token {
        match self {
            Self::Led { token, .. } | Self::Stopping { token } | Self::Finished { token } => token,
        }
    }

    const fn until(self) -> Option<Instant> {
        match self {
            Self::Led { until, .. } => Some(until),
            Self::Stopping { .. } | Self::Finished { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::Zxid;
    use queenright_core::output::StopReason;

    use super::*;

    const A: Life = Life { node: 0, number: 0 };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn elected(token: i64, until: u64) -> Event {
        let global = Name::new("g").unwrap();
        let payload = std::sync::Arc::from([]);
        Event::Elected { global, token: Token(Zxid(token)), version: 1, payload, valid_until: at(until) }
    }

    fn stop(token: i64, deadline: u64) -> Event {
        let global = Name::new("g").unwrap();
        let (token, deadline) = (Token(Zxid(token)), at(deadline));
        Event::Stop { global, token, deadline, reason: StopReason::Resigned }
    }

    fn revoked(token: i64) -> Event {
        Event::Revoked { global: Name::new("g").unwrap(), token: Token(Zxid(token)) }
    }

    /// The number of the first event that is wrong.
    fn first_wrong(events: &[Event]) -> Option<usize> {
        let mut alternation = Alternation::default();
        events.iter().position(|event| alternation.event(at(1), A, event).is_err())
    }

    #[test]
    fn a_good_history_passes() {
        let extended = Event::Extended { valid_until: at(20) };
        let history =
            [elected(5, 10), extended, stop(5, 20), revoked(5), elected(7, 30), stop(7, 30), revoked(7)];
        assert_eq!(first_wrong(&history), None);
    }

    #[test]
    fn bad_histories_fail_at_their_first_bad_event() {
        let extended = |until| Event::Extended { valid_until: at(until) };
        for (history, wrong) in [
            (vec![elected(5, 10), elected(7, 10)], 1),
            (vec![elected(5, 1)], 0),
            (vec![elected(5, 10), revoked(5)], 1),
            (vec![revoked(5)], 0),
            (vec![elected(5, 10), stop(6, 10)], 1),
            (vec![elected(5, 10), stop(5, 11)], 1),
            (vec![elected(5, 10), stop(5, 10), stop(5, 10)], 2),
            (vec![elected(5, 10), stop(5, 10), revoked(6)], 2),
            (vec![elected(5, 10), extended(9)], 1),
            (vec![elected(5, 10), Event::Closed], 1),
            (vec![Event::Closed, extended(9)], 1),
        ] {
            assert_eq!(first_wrong(&history), Some(wrong), "{history:?}");
        }
    }

    #[test]
    fn an_application_that_stops_by_itself_needs_no_word_before() {
        let mut alternation = Alternation::default();
        alternation.event(at(1), A, &elected(5, 10)).unwrap();
        alternation.stopped(A, &Name::new("g").unwrap(), Token(Zxid(5)));
        alternation.event(at(1), A, &revoked(5)).unwrap();
    }

    #[test]
    fn a_term_must_have_an_odd_version() {
        let global = Name::new("g").unwrap();
        let (token, payload) = (Token(Zxid(5)), std::sync::Arc::from([]));
        let even = Event::Elected { global, token, version: 2, payload, valid_until: at(10) };
        assert_eq!(first_wrong(&[even]), Some(0));
    }
}

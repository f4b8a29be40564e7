//! One leader at any instant, and a resource that is guarded by tokens.

use std::collections::BTreeMap;

use queenright::Token;

use crate::checkers::{Life, Violation};

/// Who believes to lead, and what the guarded resource has seen.
#[derive(Default)]
pub(super) struct Leaders {
    believers: BTreeMap<Life, Belief>,
    resource: Resource,
}

/// Says whether it still holds.
pub(super) type Belief = Box<dyn Fn() -> bool + Send>;

/// Something that refuses tokens lower than one that it has seen.
#[derive(Default)]
struct Resource {
    last: Option<(Token, Life)>,
}

impl Leaders {
    pub(super) fn elected(&mut self, life: Life, belief: Belief) -> Result<(), Violation> {
        self.believers.insert(life, belief);
        self.check()
    }

    /// Nothing of the term runs any more.
    pub(super) fn stopped(&mut self, life: Life) -> Option<Belief> {
        self.believers.remove(&life)
    }

    /// Asks all believers, each by its own clock, at the same instant.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let leading: Vec<_> = self.leading().collect();
        match leading.as_slice() {
            [] | [_] => Ok(()),
            [one, other, ..] => {
                Err(Violation::new("exclusive belief", format!("{one} and {other} lead at the same time")))
            }
        }
    }

    pub(super) fn leading(&self) -> impl Iterator<Item = Life> {
        self.believers.iter().filter(|(_, holds)| holds()).map(|(life, _)| *life)
    }

    pub(super) fn acts(&mut self, life: Life, token: Token, is_valid: bool) -> Result<(), Violation> {
        self.resource.accept(life, token, is_valid)
    }
}

impl Resource {
    fn accept(&mut self, life: Life, token: Token, is_valid: bool) -> Result<(), Violation> {
        match self.last {
            Some((last, other)) if last > token || (last == token && other != life) => {
                // Refused. That is what tokens are for; but whoever leads now must have the highest.
                if is_valid {
                    let detail =
                        format!("{life} leads with token {token}, and {other} acted with {last} before");
                    return Err(Violation::new("rising tokens", detail));
                }
            }
            Some(_) | None => self.last = Some((token, life)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::Zxid;

    use super::*;

    #[test]
    fn two_who_believe_at_once_are_seen_also_when_one_of_them_should_have_stopped_long_ago() {
        let (a, b) = (Life { node: 0, number: 0 }, Life { node: 1, number: 0 });
        let mut leaders = Leaders::default();
        leaders.elected(a, Box::new(|| false)).unwrap();
        leaders.elected(b, Box::new(|| true)).unwrap();
        assert_eq!(leaders.elected(a, Box::new(|| true)).unwrap_err().property, "exclusive belief");
        assert!(leaders.check().is_err());
        leaders.stopped(b);
        leaders.check().unwrap();
    }

    #[test]
    fn a_leader_with_a_lower_token_is_seen_and_a_late_one_is_refused() {
        let (a, b) = (Life { node: 0, number: 0 }, Life { node: 1, number: 0 });
        let mut resource = Resource::default();
        resource.accept(a, Token(Zxid(5)), true).unwrap();
        resource.accept(b, Token(Zxid(7)), true).unwrap();
        resource.accept(a, Token(Zxid(5)), false).unwrap();
        assert_eq!(resource.last, Some((Token(Zxid(7)), b)));
        assert!(resource.accept(a, Token(Zxid(5)), true).is_err());
        assert!(resource.accept(a, Token(Zxid(7)), true).is_err(), "a token is one node's");
    }
}

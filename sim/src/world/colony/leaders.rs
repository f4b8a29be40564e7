//! One leader at any instant, and a resource that is guarded by tokens.

use std::collections::BTreeMap;

use queenright::{Leadership, Token};

use crate::checkers::{Life, Violation};

/// Who believes to lead, and what the guarded resource has seen.
#[derive(Default)]
pub(super) struct Leaders {
    believers: BTreeMap<Life, Leadership>,
    resource: Resource,
}

/// Something that refuses tokens lower than one that it has seen.
#[derive(Default)]
struct Resource {
    last: Option<(Token, Life)>,
}

impl Leaders {
    pub(super) fn elected(&mut self, life: Life, leadership: Leadership) -> Result<(), Violation> {
        self.believers.insert(life, leadership);
        self.check()
    }

    /// Nothing of the term runs any more.
    pub(super) fn stopped(&mut self, life: Life) -> Option<Leadership> {
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
        self.believers.iter().filter(|(_, leadership)| leadership.is_valid()).map(|(life, _)| *life)
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

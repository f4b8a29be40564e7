//! The fencing tokens of a global rise from term to term.

use std::collections::BTreeMap;

use queenright_core::{Name, Token};

use super::{Life, Violation};

const PROPERTY: &str = "rising tokens";

/// Follows the terms of each global, in the order in which coordinators announce them.
#[derive(Debug, Default)]
pub struct RisingTokens {
    last: BTreeMap<Name, (Token, Life)>,
}

impl RisingTokens {
    /// A node was elected. Returns who was before it.
    ///
    /// # Errors
    /// When its token is not greater than every one before it.
    pub fn elected(&mut self, life: Life, global: &Name, token: Token) -> Result<Option<Life>, Violation> {
        let before = self.last.insert(global.clone(), (token, life));
        match before {
            Some((last, other)) if last >= token => Err(Violation::new(
                PROPERTY,
                format!("{life} leads {global} with token {token}, after {other} did with {last}"),
            )),
            Some((_, other)) => Ok(Some(other)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::Zxid;

    use super::*;

    #[test]
    fn equal_and_falling_tokens_are_seen() {
        let (a, b) = (Life { node: 0, number: 0 }, Life { node: 1, number: 0 });
        let (g, h) = (Name::new("g").unwrap(), Name::new("h").unwrap());
        let mut tokens = RisingTokens::default();
        assert_eq!(tokens.elected(a, &g, Token(Zxid(5))), Ok(None));
        assert_eq!(tokens.elected(b, &g, Token(Zxid(7))), Ok(Some(a)));
        assert_eq!(tokens.elected(a, &h, Token(Zxid(3))), Ok(None));
        assert!(tokens.elected(a, &g, Token(Zxid(7))).is_err());
        assert!(tokens.elected(a, &h, Token(Zxid(2))).is_err());
    }
}

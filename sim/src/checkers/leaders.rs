//! Liveness: after a quiet stretch somebody leads each global that somebody stands for, nobody leads the others, and whoever
//! asks knows.

use queenright_core::{Holder, Name, Token, named_lease};

use super::{Life, Violation};
use crate::zookeeper::Tree;

const PROPERTY: &str = "leaders";

/// Everybody's relation to one global.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Which global.
    pub global: &'a Name,
    /// Who stands for it.
    pub candidates: Vec<Life>,
    /// Who believes to lead it, and with which token.
    pub leaders: Vec<(Life, Token)>,
    /// What was last told to those who look it up or stand for it.
    pub views: Vec<(Life, Holder)>,
    /// All who live, and what the names of their lease records begin with.
    pub alive: &'a [(Life, String)],
}

/// Checks one global against its term record.
///
/// # Errors
/// Nobody leads although somebody stands, the record says otherwise, or somebody believes otherwise.
pub fn check_leaders(tree: &Tree, root: &str, standing: &Standing<'_>) -> Result<(), Violation> {
    let Standing { global, candidates, leaders, views, alive } = standing;
    let wrong = |what: String| Err(Violation::new(PROPERTY, format!("{global}: {what}")));
    // Odd: held.
    let term = tree.get(&format!("{root}/globals/{global}/term")).filter(|term| term.stat().version % 2 == 1);
    let held = term.map(|term| Token(term.stat().mzxid));
    let leader = match (candidates.as_slice(), leaders.as_slice()) {
        ([], []) => None,
        ([], [(life, _), ..]) => return wrong(format!("{life} leads it and does not stand for it")),
        ([..], []) => return wrong(format!("nobody leads it, and {candidates:?} stand for it")),
        ([..], [leader]) => Some(*leader),
        ([..], [..]) => return wrong(format!("{leaders:?} lead it")),
    };
    // A dead holder may stand in the record as long as nobody looks: then nobody is told, either.
    let somebody_looks = leader.is_some() || !views.is_empty();
    if somebody_looks && held != leader.map(|(_, token)| token) {
        return wrong(format!("the term record says {held:?}, and the leader is {leader:?}"));
    }
    if let (Some(term), None) = (term, leader) {
        // Unless it is dead: its record may be kept alive for another global, and then nobody could ever take this one.
        let named =
            named_lease(term.data()).filter(|name| tree.get(&format!("{root}/leases/{name}")).is_some());
        let is_named = |prefix: &str| named.as_ref().is_some_and(|name| name.starts_with(prefix));
        if let Some((life, _)) = alive.iter().find(|(_, prefix)| is_named(prefix)) {
            return wrong(format!("the term record names {life}, which lives and does not lead it"));
        }
    }
    for (life, view) in views {
        let knows = match (view, leader) {
            (Holder::Vacant, None) => true,
            (Holder::Held { token, own, stale_since: None, .. }, Some((leader, leads_with))) => {
                *token == leads_with && *own == (*life == leader)
            }
            (Holder::Unknown | Holder::Vacant | Holder::Held { .. }, _) => false,
        };
        if !knows {
            return wrong(format!("{life} was told {view:?}, and the leader is {leader:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checkers::testing::Server;

    const A: Life = Life { node: 0, number: 0 };
    const B: Life = Life { node: 1, number: 0 };

    /// A tree in which the term is held (version 1) or vacant (version 2), and its token.
    fn server(version: u32) -> (Server, Token) {
        let mut server = Server::new();
        server.create("/q/globals/g/term", b"", None);
        (0..version).for_each(|_| server.set("/q/globals/g/term", b""));
        let token = Token(server.tree().get("/q/globals/g/term").unwrap().stat().mzxid);
        (server, token)
    }

    fn check(
        server: &Server,
        candidates: &[Life],
        leaders: &[(Life, Token)],
        views: &[(Life, Holder)],
    ) -> bool {
        let standing = Standing {
            global: &Name::new("g").unwrap(),
            candidates: candidates.to_vec(),
            leaders: leaders.to_vec(),
            views: views.to_vec(),
            alive: &[(A, "a.".into())],
        };
        check_leaders(server.tree(), "/q", &standing).is_ok()
    }

    #[test]
    fn a_term_that_names_one_who_lives_and_does_not_lead_it_is_seen() {
        let (mut server, _) = server(0);
        server.set("/q/globals/g/term", b"\x01\0\x04a.12payload");
        assert!(check(&server, &[], &[], &[]), "no such lease: it is dead");
        server.create("/q/leases/a.1", b"", None);
        assert!(check(&server, &[], &[], &[]), "another one, whose name that of the dead one begins with");
        server.create("/q/leases/a.12", b"", None);
        assert!(!check(&server, &[], &[], &[]));
        let name_b = |server: &mut Server| server.set("/q/globals/g/term", b"\x01\0\x03b.1a.12");
        (0..2).for_each(|_| name_b(&mut server));
        server.create("/q/leases/b.1", b"", None);
        assert!(check(&server, &[], &[], &[]), "nobody of that name lives, whatever the payload says");
    }

    fn held(token: Token, own: bool) -> Holder {
        Holder::Held { token, payload: Arc::from([]), own, stale_since: None }
    }

    #[test]
    fn one_leader_whom_everybody_knows_passes() {
        let (server, token) = server(1);
        assert!(check(&server, &[A, B], &[(A, token)], &[(A, held(token, true)), (B, held(token, false))]));
    }

    #[test]
    fn nobody_passes_when_nobody_stands_and_nobody_is_told_otherwise() {
        let (vacant, _) = server(2);
        assert!(check(&vacant, &[], &[], &[(A, Holder::Vacant)]));
        let (held_by_the_dead, _) = server(1);
        assert!(check(&held_by_the_dead, &[], &[], &[]), "nobody looks");
        assert!(!check(&held_by_the_dead, &[], &[], &[(A, Holder::Vacant)]), "who looks must vacate it");
    }

    #[test]
    fn everything_else_is_seen() {
        let (server, token) = server(1);
        let other = Token(queenright_core::Zxid(token.0.0 - 1));
        let stale = Holder::Held {
            token,
            payload: Arc::from([]),
            own: false,
            stale_since: Some(queenright_core::Instant::ORIGIN),
        };
        assert!(!check(&server, &[A], &[], &[]), "nobody leads");
        assert!(!check(&server, &[A, B], &[(A, token), (B, token)], &[]), "two lead");
        assert!(!check(&server, &[], &[(A, token)], &[]), "leads and does not stand");
        assert!(!check(&server, &[A], &[(A, other)], &[]), "an old token");
        for view in [Holder::Unknown, Holder::Vacant, held(other, false), held(token, true), stale] {
            assert!(!check(&server, &[A], &[(A, token)], &[(B, view)]));
        }
    }
}

//! Liveness: after a quiet stretch somebody leads each global that somebody stands for, nobody leads the others, and whoever
//! asks knows.

use queenright_core::{Holder, Name, Token};

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
}

/// Checks one global against its term record.
///
/// # Errors
/// Nobody leads although somebody stands, the record says otherwise, or somebody believes otherwise.
pub fn check_leaders(tree: &Tree, root: &str, standing: &Standing<'_>) -> Result<(), Violation> {
    let Standing { global, candidates, leaders, views } = standing;
    let wrong = |what: String| Err(Violation::new(PROPERTY, format!("{global}: {what}")));
    let term = tree.get(&format!("{root}/globals/{global}/term")).map(|znode| znode.stat());
    // Odd: held.
    let held = term.filter(|stat| stat.version % 2 == 1).map(|stat| Token(stat.mzxid));
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

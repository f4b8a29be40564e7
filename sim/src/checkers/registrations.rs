//! What is registered is there, once, under the session that its node has now; what is not, is not.

use std::fmt;

use queenright_core::{Directory, Name, SessionId, Zxid};

use super::caches::directory_path;
use super::{Life, Violation};
use crate::zookeeper::{Owner, Tree, Znode};

const PROPERTY: &str = "registrations";

/// What a node wants to have registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub directory: Directory,
    /// Which.
    pub instance: Name,
    /// With which payload.
    pub payload: Vec<u8>,
    /// What its first payload was like: that decides its name.
    pub mark: Mark,
}

/// Whether the name of an instance's znode says that there is a payload to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its first payload was empty: it never has one.
    Plain,
    /// It ends with a `+`.
    Payload,
}

/// A coordinator says that an instance is registered, by the transaction `czxid`. It has been told that its session
/// is `session`.
///
/// # Errors
/// When the znode of that transaction belongs to another session: it goes when that one ends, and nobody has noticed.
pub fn check_registered(
    tree: &Tree,
    root: &str,
    life: Life,
    wanted: &Wanted,
    czxid: Zxid,
    session: SessionId,
) -> Result<(), Violation> {
    for (path, znode) in znodes(tree, root, wanted) {
        if znode.stat().czxid == czxid && znode.owner() != Owner::Session(session) {
            return Err(Violation::new(
                PROPERTY,
                format!(
                    "{life} in session {session} says that {path} is its own; it belongs to {:?}",
                    znode.owner()
                ),
            ));
        }
    }
    Ok(())
}

/// After a quiet stretch: exactly what is wanted of `life`, in `session`, is there.
///
/// # Errors
/// The first thing that is missing, is there twice, belongs to another session or has another payload.
pub fn check_registrations<'a>(
    tree: &Tree,
    root: &str,
    life: Life,
    session: SessionId,
    wanted: impl IntoIterator<Item = &'a Wanted>,
) -> Result<(), Violation> {
    let wrong = |what: fmt::Arguments<'_>| Err(Violation::new(PROPERTY, format!("{life}: {what}")));
    for wanted in wanted {
        let Wanted { directory, instance, payload, mark } = wanted;
        let mut found = znodes(tree, root, wanted);
        match (found.next(), found.next()) {
            (None, _) => return wrong(format_args!("{instance} is missing in {directory}")),
            (Some((one, _)), Some((other, _))) => {
                return wrong(format_args!("{instance} is there twice: {one} and {other}"));
            }
            (Some((path, znode)), None) if znode.owner() != Owner::Session(session) => {
                return wrong(format_args!("{path} belongs to {:?}, not to {session}", znode.owner()));
            }
            (Some((path, znode)), None) if znode.data() != payload => {
                return wrong(format_args!("{path} holds {:?} instead of {payload:?}", znode.data()));
            }
            (Some((path, _)), None) if path.ends_with('+') != (*mark == Mark::Payload) => {
                return wrong(format_args!("{path} has the wrong name: {mark:?} was wanted"));
            }
            (Some(_), None) => {}
        }
    }
    Ok(())
}

/// The znodes that stand for an instance: with the mark of a payload and without.
fn znodes<'a>(tree: &'a Tree, root: &str, wanted: &Wanted) -> impl Iterator<Item = (String, &'a Znode)> {
    let plain = format!("{}/{}", directory_path(root, &wanted.directory), wanted.instance);
    let marked = format!("{plain}+");
    [plain, marked].into_iter().filter_map(|path| tree.get(&path).map(|znode| (path, znode)))
}

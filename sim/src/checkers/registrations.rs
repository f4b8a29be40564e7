//! What is registered is there, once, under the session that its node has now; what is not, is not.

use std::fmt;

use queenright_core::{Directory, Name, Path, SessionId, Zxid};

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

/// The znode that stands for an instance, if there is one.
pub fn registered(tree: &Tree, root: &str, wanted: &Wanted) -> Option<Path> {
    let (path, _) = znodes(tree, root, wanted).next()?;
    Path::new(&path).ok()
}

/// The znodes that stand for an instance: with the mark of a payload and without.
fn znodes<'a>(tree: &'a Tree, root: &str, wanted: &Wanted) -> impl Iterator<Item = (String, &'a Znode)> {
    let plain = format!("{}/{}", directory_path(root, &wanted.directory), wanted.instance);
    let marked = format!("{plain}+");
    [plain, marked].into_iter().filter_map(|path| tree.get(&path).map(|znode| (path, znode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::Server;

    const A: Life = Life { node: 0, number: 0 };

    fn wanted(payload: &[u8], mark: Mark) -> Wanted {
        let directory = Directory::Service(Name::new("s").unwrap());
        Wanted { directory, instance: Name::new("i").unwrap(), payload: payload.into(), mark }
    }

    /// What is there: path, data, and whether this node's session owns it.
    fn check(znodes: &[(&str, &[u8], bool)], wanted: &Wanted) -> Result<(), Violation> {
        let mut server = Server::new();
        let ((session, own), (_, other)) = (server.session(), server.session());
        for (path, data, is_own) in znodes {
            server.create(path, data, Some(if *is_own { own } else { other }));
        }
        check_registrations(server.tree(), "/q", A, session, [wanted])
    }

    #[test]
    fn exactly_what_is_wanted_passes() {
        check(&[("/q/services/s/i+", b"x", true)], &wanted(b"x", Mark::Payload)).unwrap();
        check(&[("/q/services/s/i", b"", true)], &wanted(b"", Mark::Plain)).unwrap();
        check(&[("/q/services/s/i+", b"", true)], &wanted(b"", Mark::Payload)).unwrap();
    }

    #[test]
    fn everything_else_is_seen() {
        let payload = wanted(b"x", Mark::Payload);
        let cases: [&[(&str, &[u8], bool)]; 6] = [
            &[],
            &[("/q/services/s/j+", b"x", true)],
            &[("/q/services/s/i+", b"x", false)],
            &[("/q/services/s/i+", b"y", true)],
            &[("/q/services/s/i", b"x", true)],
            &[("/q/services/s/i+", b"x", true), ("/q/services/s/i", b"", true)],
        ];
        for znodes in cases {
            assert!(check(znodes, &payload).is_err(), "{znodes:?}");
        }
    }

    #[test]
    fn a_registration_under_a_dead_session_is_seen() {
        let mut server = Server::new();
        let ((own, _), (other, connection)) = (server.session(), server.session());
        server.create("/q/services/s/i+", b"x", Some(connection));
        let czxid = server.tree().get("/q/services/s/i+").unwrap().stat().czxid;
        let payload = wanted(b"x", Mark::Payload);
        assert!(check_registered(server.tree(), "/q", A, &payload, czxid, own).is_err());
        check_registered(server.tree(), "/q", A, &payload, czxid, other).unwrap();
    }
}

//! Where things are, below the configured root.

use alloc::format;
use alloc::string::String;

use crate::output::Directory;
use crate::path::{Name, Path};

/// The mark of an instance whose znode carries a payload, at the end of the znode's name. It lets a watcher
/// know without a read that there is nothing to read.
pub(crate) const PAYLOAD_MARK: char = '+';

/// The paths of everything, made once.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: Path,
    pub(crate) nodes: Path,
    pub(crate) services: Path,
    pub(crate) leases: Path,
    pub(crate) globals: Path,
}

/// What a path below the root stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// An instance in a directory.
    Instance { directory: Directory, child: &'a str },
    /// A lease record.
    Lease(&'a str),
    /// A global's term record.
    Term(&'a str),
    /// A candidate of a global.
    Candidate { global: &'a str },
    /// Anything else: a directory itself, or what others put there.
    Elsewhere,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.clone(),
            nodes: root.join("nodes"),
            services: root.join("services"),
            leases: root.join("leases"),
            globals: root.join("globals"),
        }
    }

    pub(crate) fn directory(&self, directory: &Directory) -> Path {
        match directory {
            Directory::Nodes => self.nodes.clone(),
            Directory::Service(name) => self.services.child(name),
        }
    }

    pub(crate) fn lease(&self, lease: &str) -> Path {
        self.leases.join(lease)
    }

    pub(crate) fn global(&self, global: &Name) -> Path {
        self.globals.child(global)
    }

    pub(crate) fn term(&self, global: &Name) -> Path {
        self.global(global).join("term")
    }

    pub(crate) fn queue(&self, global: &Name) -> Path {
        self.global(global).join("queue")
    }

    /// Takes a path apart.
    pub(crate) fn place<'a>(&self, path: &'a Path) -> Place<'a> {
        let Some(rest) = path.below(&self.root) else { return Place::Elsewhere };
        let mut elements = rest.split('/');
        let place = (elements.next(), elements.next(), elements.next(), elements.next(), elements.next());
        match place {
            (Some("nodes"), Some(child), None, ..) => Place::Instance { directory: Directory::Nodes, child },
            (Some("services"), Some(service), Some(child), None, _) => match Name::new(service) {
                Ok(service) => Place::Instance { directory: Directory::Service(service), child },
                Err(_) => Place::Elsewhere,
            },
            (Some("leases"), Some(lease), None, ..) => Place::Lease(lease),
            (Some("globals"), Some(global), Some("term"), None, _) => Place::Term(global),
            (Some("globals"), Some(global), Some("queue"), Some(_), None) => Place::Candidate { global },
            _ => Place::Elsewhere,
        }
    }
}

/// The znode name of an instance.
pub(crate) fn instance_znode(instance: &Name, has_payload: bool) -> String {
    if has_payload { format!("{instance}{PAYLOAD_MARK}") } else { instance.as_str().into() }
}

/// The instance that a znode stands for, and whether it has a payload; `None` for a name that is not one.
pub(crate) fn instance_of(znode: &str) -> Option<(Name, bool)> {
    let (name, has_payload) = match znode.strip_suffix(PAYLOAD_MARK) {
        Some(name) => (name, true),
        None => (znode, false),
    };
    Name::new(name).ok().map(|name| (name, has_payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let layout = Layout::new(&Path::new("/q").unwrap());
        let name = |name: &str| Name::new(name).unwrap();
        for (path, place) in [
            ("/q/nodes/a", Place::Instance { directory: Directory::Nodes, child: "a" }),
            ("/q/services/s/i+", Place::Instance { directory: Directory::Service(name("s")), child: "i+" }),
            ("/q/leases/r", Place::Lease("r")),
            ("/q/globals/g/term", Place::Term("g")),
            ("/q/globals/g/queue/c-0000000001", Place::Candidate { global: "g" }),
            ("/q/globals/g/queue", Place::Elsewhere),
            ("/q/services/s", Place::Elsewhere),
            ("/q/nodes/a/b", Place::Elsewhere),
            ("/q", Place::Elsewhere),
            ("/other/nodes/a", Place::Elsewhere),
        ] {
            assert_eq!(layout.place(&Path::new(path).unwrap()), place, "{path}");
        }
    }

    #[test]
    fn instances_round_trip() {
        let name = Name::new("10.0.0.1:80@x").unwrap();
        assert_eq!(instance_of(&instance_znode(&name, true)), Some((name.clone(), true)));
        assert_eq!(instance_of(&instance_znode(&name, false)), Some((name, false)));
        assert_eq!(instance_of("+"), None);
        assert_eq!(instance_of(""), None);
    }
}

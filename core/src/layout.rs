//! Where things are, below the configured root.

use alloc::string::ToString;
use core::fmt;

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

/// The znode of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Znode {
    /// The instance's.
    pub(crate) name: Name,
    /// Whether there is anything to read.
    pub(crate) has_payload: bool,
}

/// What a path below the root stands for, but for instances: those are known by the path of their directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// A lease record.
    Lease(&'a str),
    /// A global's term record.
    Term(&'a str),
    /// A candidate of a global.
    Candidate { global: &'a str },
    /// Anything else: an instance, a directory, or what others put there.
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

    pub(crate) fn instance(&self, directory: &Directory, znode: &Znode) -> Path {
        self.directory(directory).join(&znode.to_string())
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
            (Some("leases"), Some(lease), None, ..) => Place::Lease(lease),
            (Some("globals"), Some(global), Some("term"), None, _) => Place::Term(global),
            (Some("globals"), Some(global), Some("queue"), Some(_), None) => Place::Candidate { global },
            _ => Place::Elsewhere,
        }
    }
}

impl Znode {
    /// Reads the name of a child of a directory; `None` when it is not an instance's.
    pub(crate) fn parse(znode: &str) -> Option<Self> {
        let (name, has_payload) = match znode.strip_suffix(PAYLOAD_MARK) {
            Some(name) => (name, true),
            None => (znode, false),
        };
        Name::new(name).ok().map(|name| Self { name, has_payload })
    }
}

/// As the znode is called.
impl fmt::Display for Znode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        if self.has_payload { write!(f, "{PAYLOAD_MARK}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let layout = Layout::new(&Path::new("/q").unwrap());
        for (path, place) in [
            ("/q/nodes/a", Place::Elsewhere),
            ("/q/services/s/i+", Place::Elsewhere),
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
        for has_payload in [true, false] {
            let znode = Znode { name: Name::new("10.0.0.1:80@x").unwrap(), has_payload };
            assert_eq!(Znode::parse(&znode.to_string()), Some(znode));
        }
        assert_eq!(Znode::parse("+"), None);
        assert_eq!(Znode::parse(""), None);
    }
}

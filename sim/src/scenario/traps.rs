//! Faults that wait for a request.

use queenright_core::op::{CreateMode, Op, Write};

/// Which requests: of a kind, and with a path that contains a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Of this kind.
    pub kind: Kind,
    /// Naming this; the empty text is in every path.
    pub path: &'static str,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever it is.
    Any,
    /// A create, alone.
    Create,
    /// A create of an ephemeral, sequential or not.
    CreateEphemeral,
    /// A delete, alone.
    Delete,
    /// A write of data, alone.
    Set,
    /// A transaction of several writes.
    Multi,
    /// A read of data.
    Get,
    /// A list of children.
    List,
}

impl Which {
    /// Requests of a kind that name `path`.
    #[must_use]
    pub const fn new(kind: Kind, path: &'static str) -> Self {
        Self { kind, path }
    }

    pub(super) fn is_it(self, op: &Op) -> bool {
        let (kinds, paths): (&[Kind], Vec<&str>) = match op {
            Op::Create { path, mode: CreateMode::Ephemeral | CreateMode::EphemeralSequential, .. } => {
                (&[Kind::Create, Kind::CreateEphemeral], vec![path.as_str()])
            }
            Op::Create { path, .. } => (&[Kind::Create], vec![path.as_str()]),
            Op::Delete { path, .. } => (&[Kind::Delete], vec![path.as_str()]),
            Op::SetData { path, .. } => (&[Kind::Set], vec![path.as_str()]),
            Op::Multi(writes) => (&[Kind::Multi], writes.iter().map(path_of).collect()),
            Op::GetData { path, .. } => (&[Kind::Get], vec![path.as_str()]),
            Op::GetChildren { path, .. } => (&[Kind::List], vec![path.as_str()]),
            Op::Exists { path, .. }
            | Op::AddWatch { path }
            | Op::RemoveWatch { path, .. }
            | Op::Sync { path } => (&[], vec![path.as_str()]),
        };
        (self.kind == Kind::Any || kinds.contains(&self.kind))
            && paths.iter().any(|path| path.contains(self.path))
    }
}

fn path_of(write: &Write) -> &str {
    match write {
        Write::Create { path, .. }
        | Write::Delete { path, .. }
        | Write::SetData { path, .. }
        | Write::Check { path, .. } => path.as_str(),
    }
}

/// What is to happen to the next request that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trap {
    /// It is lost, and the connection with it.
    DropRequest,
    /// It is carried out; the answer is lost, and the connection with it.
    DropReply,
    /// From its answer on, nothing gets from the client to the machine until it is released.
    HoldReply,
}

//! What a transaction of the election comes to, told by its shape.

use queenright_core::Path;
use queenright_core::op::{Op, Write};

/// The transactions of the election (ARCHITECTURE.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Rule 7.
    Claim,
    /// Rule 9 (a).
    TakeoverByAbsence,
    /// Rule 9 (b).
    TakeoverBySilence,
    /// Rule 9, for nodes that do not stand.
    Vacate,
    /// Rule 6, with the candidate; or a vacating by absence, which looks the same.
    Release,
}

impl Shape {
    /// The shape of an operation, if it is one of these.
    pub(super) fn of(op: &Op) -> Option<Self> {
        let writes = match op {
            Op::Multi(writes) => writes,
            Op::SetData { path, .. } if is_term(path) => return Some(Self::Release),
            Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::GetData { .. }
            | Op::Exists { .. }
            | Op::GetChildren { .. }
            | Op::AddWatch { .. }
            | Op::RemoveWatch { .. }
            | Op::Sync { .. } => return None,
        };
        let (mut terms, mut beats, mut kills) = (0, 0, 0);
        for write in writes {
            match write {
                Write::SetData { path, .. } if is_term(path) => terms += 1,
                Write::SetData { path, .. } if is_lease(path) => beats += 1,
                Write::Delete { path, .. } if is_lease(path) => kills += 1,
                Write::SetData { .. } | Write::Delete { .. } | Write::Create { .. } | Write::Check { .. } => {
                }
            }
        }
        match (terms, beats, kills) {
            (2, 1, 0) => Some(Self::TakeoverByAbsence),
            (2, 1, 1) => Some(Self::TakeoverBySilence),
            (1, 1, 0) => Some(Self::Claim),
            (1, 0, 1) => Some(Self::Vacate),
            (1, 0, 0) => Some(Self::Release),
            _ => None,
        }
    }

    /// Whether it begins a term.
    pub(super) const fn begins_term(self) -> bool {
        match self {
            Self::Claim | Self::TakeoverByAbsence | Self::TakeoverBySilence => true,
            Self::Vacate | Self::Release => false,
        }
    }
}

fn is_term(path: &Path) -> bool {
    path.file_name() == "term"
}

fn is_lease(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.file_name() == "leases")
}

#[cfg(test)]
mod tests {
    use queenright_core::op::Version;

    use super::*;

    fn set(path: &str) -> Write {
        Write::SetData { path: Path::new(path).unwrap(), data: vec![], version: Version::Any }
    }

    fn delete(path: &str) -> Write {
        Write::Delete { path: Path::new(path).unwrap(), version: Version::Any }
    }

    #[test]
    fn the_transactions_of_the_election_are_told_apart() {
        let (lease, other, term) = ("/q/leases/r", "/q/leases/s", "/q/globals/g/term");
        for (writes, shape) in [
            (vec![set(lease), set(term)], Some(Shape::Claim)),
            (vec![set(lease), set(term), set(term)], Some(Shape::TakeoverByAbsence)),
            (vec![delete(other), set(lease), set(term), set(term)], Some(Shape::TakeoverBySilence)),
            (vec![delete(other), set(term)], Some(Shape::Vacate)),
            (vec![set(term), delete("/q/globals/g/queue/c")], Some(Shape::Release)),
            (vec![set(lease)], None),
        ] {
            assert_eq!(Shape::of(&Op::Multi(writes)), shape);
        }
    }
}

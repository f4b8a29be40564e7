//! Who is there, and the one process of a global.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright::{NodeId, ProcessId};

use crate::checkers::{Life, Violation};

/// The processes of a life that others can find.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) node: NodeId,
    /// Where letters arrive.
    pub(super) inbox: ProcessId,
    /// Who sends them.
    pub(super) sender: ProcessId,
}

#[derive(Default)]
pub(super) struct Desks {
    open: BTreeMap<Life, Desk>,
    /// Who acted for the global last, and when.
    boss: Option<(ProcessId, Duration)>,
    retired: BTreeSet<ProcessId>,
}

impl Desks {
    pub(super) fn opens(&mut self, life: Life, desk: Desk) {
        self.open.insert(life, desk);
    }

    pub(super) fn closes(&mut self, life: Life) {
        self.open.remove(&life);
    }

    pub(super) fn open(&self) -> &BTreeMap<Life, Desk> {
        &self.open
    }

    pub(super) fn is_there(&self, pid: &ProcessId) -> bool {
        self.open.values().any(|desk| desk.node == *pid.node())
    }

    /// The process of the global does what only one may do.
    pub(super) fn acts(&mut self, now: Duration, pid: &ProcessId) -> Result<(), Violation> {
        if self.retired.contains(pid) {
            let successor = self.boss.as_ref().map(|(boss, _)| boss.to_string()).unwrap_or_default();
            return Err(Violation::new(
                "one process of a global",
                format!("{pid} acts, and {successor} acted after it before"),
            ));
        }
        let before = self.boss.replace((pid.clone(), now));
        self.retired.extend(before.map(|(before, _)| before).filter(|before| before != pid));
        Ok(())
    }

    pub(super) fn boss(&self) -> Option<&(ProcessId, Duration)> {
        self.boss.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_acts_after_its_successor_is_seen() {
        let pid = |number: u8| -> ProcessId {
            format!("node-{number}:4711@0000000000000000000000000000000{number}.{number}").parse().unwrap()
        };
        let mut desks = Desks::default();
        desks.acts(Duration::ZERO, &pid(1)).unwrap();
        desks.acts(Duration::ZERO, &pid(1)).unwrap();
        desks.acts(Duration::ZERO, &pid(2)).unwrap();
        assert!(desks.acts(Duration::ZERO, &pid(1)).is_err());
    }
}

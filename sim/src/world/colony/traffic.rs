//! Messages between processes: at most once, in order, none missing before the one that arrives; and monitors, once.
//!
//! A sender monitors whom it sends to. While the monitor is silent, what arrives is a prefix of what was sent. When it has
//! fired the sender begins a new conversation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright::{MonitorRef, ProcessId};
use serde::{Deserialize, Serialize};

use crate::checkers::{Life, Violation};

/// What is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) from: ProcessId,
    /// Which conversation of this sender.
    pub(super) conversation: u64,
    /// Which of its letters, from 1.
    pub(super) number: u64,
}

#[derive(Default)]
pub(super) struct Traffic {
    conversations: BTreeMap<(ProcessId, ProcessId, u64), u64>,
    /// The last letter from one node to the other, and when it came.
    heard: BTreeMap<(ProcessId, ProcessId), Duration>,
    monitors: BTreeMap<Monitor, ProcessId>,
    fired: BTreeSet<Monitor>,
}

type Monitor = (Life, MonitorRef);

impl Traffic {
    pub(super) fn received(
        &mut self,
        now: Duration,
        to: &ProcessId,
        letter: &Letter,
    ) -> Result<(), Violation> {
        let Letter { from, conversation, number } = letter;
        let last = self.conversations.entry((from.clone(), to.clone(), *conversation)).or_default();
        if *number != *last + 1 {
            let property = if number <= last { "messages in order" } else { "messages without a gap" };
            let detail = format!(
                "{to} got letter {number} of conversation {conversation} of {from} after letter {last}"
            );
            return Err(Violation::new(property, detail));
        }
        *last = *number;
        self.heard.insert((from.clone(), to.clone()), now);
        Ok(())
    }

    /// When a letter of `from` arrived last at `to`.
    pub(super) fn heard_at(&self, from: &ProcessId, to: &ProcessId) -> Option<Duration> {
        self.heard.get(&(from.clone(), to.clone())).copied()
    }

    pub(super) fn monitors(
        &mut self,
        life: Life,
        reference: MonitorRef,
        target: &ProcessId,
    ) -> Result<(), Violation> {
        match self.monitors.insert((life, reference), target.clone()) {
            None => Ok(()),
            Some(other) => {
                let detail = format!("{life} has {reference:?} for {target} and for {other}");
                Err(Violation::new("monitors fire once", detail))
            }
        }
    }

    pub(super) fn fired(
        &mut self,
        life: Life,
        reference: MonitorRef,
        pid: &ProcessId,
    ) -> Result<(), Violation> {
        let is_right = self.monitors.get(&(life, reference)) == Some(pid);
        if !is_right || !self.fired.insert((life, reference)) {
            let why = if is_right { "again" } else { "and monitors another one" };
            let detail = format!("{life} was told of {pid} by {reference:?} {why}");
            return Err(Violation::new("monitors fire once", detail));
        }
        Ok(())
    }

    /// The monitors of `life` that have not fired, and whom they watch.
    pub(super) fn silent(&self, life: Life) -> impl Iterator<Item = &ProcessId> {
        let own = self.monitors.iter().filter(move |((of, _), _)| *of == life);
        own.filter(|(monitor, _)| !self.fired.contains(*monitor)).map(|(_, target)| target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: u8) -> ProcessId {
        format!("node-{number}:4711@0000000000000000000000000000000{number}.{number}").parse().unwrap()
    }

    #[test]
    fn a_gap_a_repetition_and_a_wrong_order_are_seen() {
        let letter = |conversation, number| Letter { from: pid(1), conversation, number };
        let mut traffic = Traffic::default();
        let mut receive = |letter| traffic.received(Duration::ZERO, &pid(2), &letter);
        receive(letter(1, 1)).unwrap();
        receive(letter(1, 2)).unwrap();
        receive(letter(2, 1)).unwrap();
        assert_eq!(receive(letter(1, 2)).unwrap_err().property, "messages in order");
        assert_eq!(receive(letter(1, 4)).unwrap_err().property, "messages without a gap");
        assert_eq!(receive(letter(3, 2)).unwrap_err().property, "messages without a gap");
    }

    #[test]
    fn a_monitor_that_fires_twice_or_for_another_or_that_was_never_set_is_seen() {
        let life = Life { node: 1, number: 0 };
        let monitor = |number: u64| serde_json::from_str::<MonitorRef>(&number.to_string()).unwrap();
        let mut traffic = Traffic::default();
        for number in 1..=2 {
            traffic.monitors(life, monitor(u64::from(number)), &pid(number)).unwrap();
        }
        traffic.fired(life, monitor(1), &pid(1)).unwrap();
        assert_eq!(traffic.silent(life).collect::<Vec<_>>(), [&pid(2)]);
        let mut wrong = |life, number, of| {
            assert_eq!(
                traffic.fired(life, monitor(number), &pid(of)).unwrap_err().property,
                "monitors fire once"
            );
        };
        wrong(life, 1, 1);
        wrong(life, 2, 1);
        wrong(life, 3, 1);
        wrong(Life { node: 1, number: 1 }, 2, 2);
        assert!(traffic.monitors(life, monitor(2), &pid(3)).is_err(), "a reference is one monitor's");
    }
}

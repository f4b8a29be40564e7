//! What happened in the story, as its children told it, and whether it went well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright::ProcessId;

use crate::message::JobId;
use crate::voice::Event;

/// Numbers the players, in the order of their entry.
pub(crate) type Player = usize;

/// All that the story's end is judged by. Times are counted from the story's beginning.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    players: BTreeMap<Player, Record>,
    /// Which node's processes belong to whom, by the node's address.
    addresses: BTreeMap<String, Player>,
    terms: Vec<Term>,
    departures: Vec<Departure>,
    requested: usize,
    acknowledged: usize,
    /// What the requestors say whose jobs were not acknowledged.
    refused: Vec<String>,
    accepted: BTreeSet<JobId>,
    /// By job: who did it, once for each time.
    done: BTreeMap<JobId, Vec<Player>>,
    reassigned: usize,
}

/// What one player did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) is_ready: bool,
    /// Jobs done, repeats included.
    pub(crate) done: usize,
    /// Jobs that it was given once more, and did not do again.
    pub(crate) dropped: usize,
    /// When it became the boss; never twice, if all goes well.
    pub(crate) boss_since: Option<Duration>,
    pub(crate) left: Option<(Departing, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    boss: Player,
    at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    how: Departing,
    boss: Player,
    at: Duration,
}

/// How a boss leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departing {
    /// `kill -9`.
    Killed,
    /// Enter.
    HandOver,
}

/// The numbers of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: usize,
    /// Of the accepted ones, those that were done at least once.
    pub(crate) done: usize,
    /// How often a job was done that had been done before.
    pub(crate) repeats: usize,
    /// How many jobs went to another worker because theirs was lost.
    pub(crate) reassigned: usize,
}

impl Chronicle {
    /// Notes what `player` told at `at`.
    pub(crate) fn event(&mut self, player: Player, at: Duration, event: &Event) {
        let record = self.players.entry(player).or_default();
        match event {
            Event::Ready { worker, .. } => {
                record.is_ready = true;
                self.addresses.insert(worker.node().address().to_owned(), player);
            }
            Event::Elected => {
                record.boss_since = Some(at);
                self.terms.push(Term { boss: player, at });
            }
            Event::Accepted { job } => {
                self.accepted.insert(job.id.clone());
            }
            Event::Done { job } => {
                record.done += 1;
                self.done.entry(job.id.clone()).or_default().push(player);
            }
            Event::Dropped { .. } => record.dropped += 1,
            Event::WorkerLost { orphan_count, .. } => self.reassigned += orphan_count,
            Event::Delegating { .. }
            | Event::NoWorkforce
            | Event::Repeated { .. }
            | Event::Idle
            | Event::Doing { .. }
            | Event::FoundBoss { .. }
            | Event::LostBoss { .. }
            | Event::Waiting { .. }
            | Event::Acknowledged { .. }
            | Event::Trouble { .. }
            | Event::Closing { .. } => {}
        }
    }

    /// Notes that one more job is asked for; tells its number, from 1.
    pub(crate) fn requested(&mut self) -> usize {
        self.requested += 1;
        self.requested
    }

    /// Notes how a requestor fared.
    pub(crate) fn outcome(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.acknowledged += 1,
            Err(why) => self.refused.push(why),
        }
    }

    /// Notes that the boss is being made to leave, from now on.
    pub(crate) fn departs(&mut self, boss: Player, how: Departing, at: Duration) {
        self.departures.push(Departure { how, boss, at });
        self.players.entry(boss).or_default().left = Some((how, at));
    }

    /// The player who became the boss last.
    pub(crate) fn boss(&self) -> Option<Player> {
        self.terms.last().map(|term| term.boss)
    }

    /// Whether somebody became the boss since the last one was made to leave.
    pub(crate) fn has_boss(&self) -> bool {
        let since = self.departures.last().map_or(Duration::ZERO, |departure| departure.at);
        self.terms.last().is_some_and(|term| term.at > since)
    }

    /// Whether all requestors know how their jobs went.
    pub(crate) fn is_settled(&self) -> bool {
        self.acknowledged + self.refused.len() == self.requested
    }

    /// Whether all jobs asked for were accepted, and at least `done_min` are done.
    pub(crate) fn is_under_way(&self, done_min: usize) -> bool {
        self.accepted.len() == self.requested && self.done.len() >= done_min
    }

    pub(crate) fn record(&self, player: Player) -> Record {
        self.players.get(&player).cloned().unwrap_or_default()
    }

    /// To which player a process belongs.
    pub(crate) fn owner(&self, pid: &ProcessId) -> Option<Player> {
        self.addresses.get(pid.node().address()).copied()
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            accepted: self.accepted.len(),
            done: self.accepted.iter().filter(|id| self.done.contains_key(id)).count(),
            repeats: self.done.values().map(|doers| doers.len() - 1).sum(),
            reassigned: self.reassigned,
        }
    }

    /// How long it took until the next boss ruled, after each departure of one.
    pub(crate) fn take_overs(&self) -> Vec<(Departing, Option<Duration>)> {
        let took = |departure: &Departure| {
            let next = self.terms.iter().find(|term| term.at > departure.at)?;
            Some(next.at - departure.at)
        };
        self.departures.iter().map(|departure| (departure.how, took(departure))).collect()
    }

    /// What went wrong; nothing, if all is well.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.refused.clone();
        let Tally { accepted, done, .. } = self.tally();
        if done != accepted {
            faults.push(format!("{} of {accepted} accepted jobs were not done", accepted - done));
        }
        if self.accepted.len() != self.requested {
            faults.push(format!("{} of {} jobs were accepted", self.accepted.len(), self.requested));
        }
        // Between one departure and the next there must be one beginning of a term, by somebody else.
        let mut from = Duration::ZERO;
        let mut before = None;
        for departure in self.departures.iter().map(Some).chain([None]) {
            let until = departure.map_or(Duration::MAX, |departure| departure.at);
            let begun: Vec<_> = self
                .terms
                .iter()
                .filter(|term| (from..until).contains(&term.at))
                .map(|term| term.boss)
                .collect();
            let after = match before {
                None => "at the beginning",
                Some(Departure { how: Departing::Killed, .. }) => "after kill -9 of the boss",
                Some(Departure { how: Departing::HandOver, .. }) => "after the boss had left",
            };
            match begun[..] {
                [boss] if before.is_some_and(|departure: Departure| departure.boss == boss) => {
                    faults.push(format!("{after} the same one was the boss again"));
                }
                [_] => {}
                _ => faults.push(format!("{after} there were {} elections, and not one", begun.len())),
            }
            (from, before) = (until, departure.copied());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Job;

    const SECOND: Duration = Duration::from_secs(1);

    fn job(number: u64) -> Job {
        let requestor = "h:9@00000000000000000000000000000009.9".parse().unwrap();
        Job { id: JobId { requestor, number }, task: String::new(), attempt: 1 }
    }

    /// One job is done under the first boss, and one under its successor.
    fn good() -> Chronicle {
        let mut chronicle = Chronicle::default();
        chronicle.event(0, SECOND, &Event::Elected);
        for number in [1, 2] {
            chronicle.requested();
            chronicle.event(0, SECOND * 2, &Event::Accepted { job: job(number) });
        }
        chronicle.event(1, SECOND * 3, &Event::Done { job: job(1) });
        chronicle.outcome(Ok(()));
        assert!(chronicle.has_boss() && !chronicle.is_settled());
        chronicle.departs(0, Departing::Killed, SECOND * 4);
        assert!(!chronicle.has_boss());
        chronicle.event(1, SECOND * 6, &Event::Elected);
        chronicle.event(1, SECOND * 6, &Event::Accepted { job: job(2) });
        chronicle.event(2, SECOND * 7, &Event::Done { job: job(2) });
        chronicle.outcome(Ok(()));
        chronicle
    }

    #[test]
    fn a_good_story_has_no_faults() {
        let chronicle = good();
        assert_eq!(chronicle.faults(), [""; 0]);
        assert!(chronicle.is_settled() && chronicle.has_boss());
        assert_eq!(chronicle.tally(), Tally { accepted: 2, done: 2, repeats: 0, reassigned: 0 });
        assert_eq!(chronicle.take_overs(), [(Departing::Killed, Some(SECOND * 2))]);
        assert_eq!(chronicle.boss(), Some(1));
    }

    #[test]
    fn a_repeat_is_counted_and_no_fault() {
        let mut chronicle = good();
        chronicle.event(1, SECOND * 8, &Event::Done { job: job(2) });
        assert_eq!(chronicle.tally().repeats, 1);
        assert_eq!(chronicle.faults(), [""; 0]);
    }

    #[test]
    fn an_accepted_job_that_nobody_did_is_a_fault() {
        let mut chronicle = good();
        chronicle.requested();
        chronicle.event(1, SECOND * 8, &Event::Accepted { job: job(3) });
        chronicle.outcome(Ok(()));
        assert_eq!(chronicle.faults(), ["1 of 3 accepted jobs were not done"]);
    }

    #[test]
    fn a_requestor_without_an_answer_is_a_fault() {
        let mut chronicle = good();
        chronicle.requested();
        chronicle.outcome(Err("no boss".to_owned()));
        assert_eq!(chronicle.faults(), ["no boss", "2 of 3 jobs were accepted"]);
    }

    #[test]
    fn each_take_over_happens_once() {
        let mut twice = good();
        twice.event(2, SECOND * 8, &Event::Elected);
        assert_eq!(twice.faults(), ["after kill -9 of the boss there were 2 elections, and not one"]);
        let mut never = good();
        never.departs(1, Departing::HandOver, SECOND * 8);
        assert_eq!(never.faults(), ["after the boss had left there were 0 elections, and not one"]);
        assert_eq!(never.take_overs()[1], (Departing::HandOver, None));
        let mut early = Chronicle::default();
        early.event(0, SECOND, &Event::Elected);
        early.event(1, SECOND, &Event::Elected);
        assert_eq!(early.faults(), ["at the beginning there were 2 elections, and not one"]);
        let mut same = Chronicle::default();
        same.event(0, SECOND, &Event::Elected);
        same.departs(0, Departing::HandOver, SECOND * 2);
        same.event(0, SECOND * 3, &Event::Elected);
        assert_eq!(same.faults(), ["after the boss had left the same one was the boss again"]);
    }
}

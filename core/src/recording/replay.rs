//! Living through a recording again.

use alloc::collections::{BTreeMap, VecDeque};
use core::hash::{Hash, Hasher};

use thiserror::Error;

use super::format::{Begin, Entry, Reader, Said, Unreadable};
use super::{Digest, Step};
use crate::coordinator::Coordinator;
use crate::error::InvalidConfig;
use crate::ids::Token;
use crate::output::{Event, Output};
use crate::path::Name;
use crate::time::Instant;

/// What happens while a recording is lived through, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// What the coordinator is told.
    Told(&'a Step),
    /// What it says.
    Says(&'a Output),
}

/// What a recording was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How it began.
    pub begin: Begin,
    /// How many calls there were.
    pub steps: u64,
    /// How many outputs.
    pub outputs: u64,
    /// The time of the last call.
    pub last: Instant,
    /// Whether it ended in good order; otherwise the node was killed, and up to its last call everything is here.
    pub is_whole: bool,
}

/// Why a recording was not lived through.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotReplayed {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No coordinator can be made with what it says.
    #[error("what it says of its configuration cannot be: {0}")]
    Config(InvalidConfig),
    /// This coordinator says something else than the one that was recorded.
    #[error(
        "call {step}, at {now}: what was put out before it differs from what was recorded: another version of queenright \
         made the recording, or the coordinator is not deterministic"
    )]
    Differs {
        /// Counted from 1.
        step: u64,
        /// When.
        now: Instant,
    },
    /// What the coordinator says contradicts itself.
    #[error("call {step}, at {now}: {what}")]
    Contradiction {
        /// Counted from 1.
        step: u64,
        /// When.
        now: Instant,
        /// What is wrong.
        what: &'static str,
    },
}

/// Makes all the calls of a recording again, and compares what comes out. `follow` sees everything, with its time.
///
/// After each call the coordinator checks its invariants, and that terms begin and end in order and with rising tokens is
/// checked here.
///
/// # Errors
/// [`NotReplayed`], with the number of the call.
///
/// # Panics
/// When an invariant of the coordinator does not hold: a bug of this crate, and what the recording was made for.
pub fn replay(bytes: &[u8], mut follow: impl FnMut(Instant, Heard<'_>)) -> Result<Replayed, NotReplayed> {
    let (begin, reader) = Reader::new(bytes)?;
    let mut core = Coordinator::new(begin.config.clone(), begin.now).map_err(NotReplayed::Config)?;
    let (mut taken, mut terms) = (Taken::default(), Terms::default());
    let mut replayed = Replayed { last: begin.now, begin, steps: 0, outputs: 0, is_whole: false };
    for entry in reader {
        let entry = entry?;
        let (now, said) = match &entry {
            Entry::Step { now, said, .. } | Entry::End { now, said } => (*now, *said),
        };
        replayed.steps += 1;
        let step = replayed.steps;
        if !taken.is(said) {
            return Err(NotReplayed::Differs { step, now });
        }
        replayed.last = now;
        match entry {
            Entry::End { .. } => {
                replayed.steps -= 1;
                replayed.is_whole = true;
                break;
            }
            Entry::Step { step: call, .. } => {
                follow(now, Heard::Told(&call));
                // A call that was refused did nothing, then and now.
                drop(core.take(now, call));
            }
        }
        core.check_invariants();
        while let Some(output) = core.poll_output() {
            replayed.outputs += 1;
            follow(now, Heard::Says(&output));
            terms.follow(&output).map_err(|what| NotReplayed::Contradiction { step, now, what })?;
            taken.waiting.push_back(output);
        }
    }
    Ok(replayed)
}

/// The outputs, as the node took them: it may have made several calls before it took what came of the first.
#[derive(Debug, Default)]
struct Taken {
    waiting: VecDeque<Output>,
    count: u64,
    digest: Digest,
}

impl Taken {
    /// Whether what was taken when `said` was noted is what would be taken now.
    fn is(&mut self, said: Said) -> bool {
        while self.count < said.outputs {
            let Some(output) = self.waiting.pop_front() else { return false };
            output.hash(&mut self.digest);
            self.count += 1;
        }
        self.count == said.outputs && self.digest.finish() == said.digest
    }
}

/// The terms of each global, as they were told.
#[derive(Debug, Default)]
struct Terms(BTreeMap<Name, Term>);

#[derive(Debug)]
struct Term {
    token: Token,
    is_over: bool,
}

impl Terms {
    fn follow(&mut self, output: &Output) -> Result<(), &'static str> {
        match output {
            Output::Event(Event::Elected { global, token, .. }) => {
                if let Some(before) = self.0.get(global) {
                    if !before.is_over {
                        return Err("elected before the term before it was over");
                    }
                    if before.token >= *token {
                        return Err("elected with a token that is not greater than the last one");
                    }
                }
                self.0.insert(global.clone(), Term { token: *token, is_over: false });
            }
            Output::Event(Event::Revoked { global, token }) => match self.0.get_mut(global) {
                Some(term) if term.token == *token && !term.is_over => term.is_over = true,
                Some(_) | None => return Err("revoked without having been elected"),
            },
            Output::Event(_) | Output::Request(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;
    use crate::input::{Input, SessionEvent};
    use crate::op::OpError;
    use crate::output::{Directory, Terms};
    use crate::recording::Recorder;
    use crate::{Config, Incarnation, Output, Request, SessionEpoch, SessionId, Zxid};

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    /// A short life, as a driver would record it: each request is answered with "unknown" once.
    fn life() -> Vec<u8> {
        let config = Config::new(name("n1"), Incarnation(7)).with_lease(Duration::from_secs(1));
        let (mut file, mut now) = (Vec::new(), Instant::from_millis(10));
        let mut core = Coordinator::new(config.clone(), now).unwrap();
        let mut recorder = Recorder::new(&config, now, Some(Duration::from_secs(1)), &mut file);
        let session = SessionEvent::Connected { session_epoch: SessionEpoch(1), session: SessionId(5) };
        let mut todo = VecDeque::from(vec![
            Step::LookUp(name("boss")),
            Step::Campaign { global: name("boss"), payload: b"me".to_vec(), terms: Terms::Many },
            Step::Input(Input::Session(session)),
            Step::Register { directory: Directory::Nodes, instance: name("n1"), payload: b"x".to_vec() },
            Step::Resign(name("boss")),
            Step::Close,
        ]);
        while let Some(step) = todo.pop_front() {
            recorder.step(now, &step, &mut file);
            let _ = core.take(now, step);
            now = now.after(Duration::from_millis(3));
            // Two calls in a row now and then, before anything is taken.
            if todo.len() == 2 {
                continue;
            }
            while let Some(output) = core.poll_output() {
                recorder.put_out(&output);
                if let Output::Request(Request { id, session_epoch, .. }) = output
                    && id.0 < 12
                {
                    let outcome = Err(OpError::Unknown);
                    todo.push_back(Step::Input(Input::Response {
                        session_epoch,
                        request: id,
                        zxid: None,
                        outcome,
                    }));
                }
            }
            if todo.is_empty()
                && let Some((at, _)) = core.poll_timeout()
            {
                now = now.max(at);
                todo.push_back(Step::Timeout);
            }
        }
        recorder.end(now, &mut file);
        file
    }

    #[test]
    fn a_life_is_lived_again() {
        let file = life();
        let (mut told, mut says) = (0, 0);
        let replayed = replay(&file, |_, heard| match heard {
            Heard::Told(_) => told += 1,
            Heard::Says(_) => says += 1,
        })
        .unwrap();
        assert!(replayed.is_whole);
        assert_eq!((replayed.steps, replayed.outputs), (told, says));
        assert!(told > 10 && says > 10, "{replayed:?}");
    }

    #[test]
    fn a_recording_can_end_anywhere() {
        let file = life();
        let whole = replay(&file, |_, _| ()).unwrap();
        let begun = (0..file.len()).find(|len| Reader::new(&file[..*len]).is_ok()).unwrap();
        for len in 0..begun {
            assert_eq!(replay(&file[..len], |_, _| ()), Err(Unreadable::NoRecording.into()), "{len}");
        }
        let mut steps = 0;
        for len in begun..file.len() {
            let part = replay(&file[..len], |_, _| ()).unwrap();
            assert!(!part.is_whole && part.steps >= steps && part.steps <= whole.steps, "{len}");
            steps = part.steps;
        }
        assert_eq!(steps, whole.steps);
    }

    #[test]
    fn damage_never_panics_nor_adds_calls() {
        let file = life();
        let steps = replay(&file, |_, _| ()).unwrap().steps;
        let mut refused = 0;
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            match replay(&damaged, |_, _| ()) {
                Ok(replayed) => assert!(replayed.steps <= steps, "{at}"),
                Err(_) => refused += 1,
            }
        }
        // The rest is in times and payloads of which nothing follows.
        assert!(refused > file.len() / 2, "{refused} of {}", file.len());
    }

    #[test]
    fn what_another_coordinator_said_is_noticed() {
        let file = life();
        let (begin, _) = Reader::new(&file).unwrap();
        let other = Config { incarnation: Incarnation(8), ..begin.config };
        let mut forged = Vec::new();
        let _ = Recorder::new(&other, begin.now, begin.wall_clock, &mut forged);
        // The incarnations are of one length, so the entries begin at the same place.
        forged.extend_from_slice(&file[forged.len()..]);
        let result = replay(&forged, |_, _| ());
        assert!(matches!(result, Err(NotReplayed::Differs { .. })), "{result:?}");
    }

    #[test]
    fn other_formats_and_other_files_are_refused() {
        assert_eq!(replay(b"", |_, _| ()), Err(Unreadable::NoRecording.into()));
        assert_eq!(
            replay(b"#!/bin/sh\necho nothing of ours\n", |_, _| ()),
            Err(Unreadable::NoRecording.into())
        );
        let mut file = life();
        // The format is the first byte of the first body.
        file[20] = 9;
        assert_eq!(replay(&file, |_, _| ()), Err(Unreadable::OtherFormat { format: 9 }.into()));
    }

    #[test]
    fn terms_begin_and_end_in_order_and_with_rising_tokens() {
        let elected = |global, token| {
            let (global, token) = (name(global), Token(Zxid(token)));
            let (valid_until, payload) = (Instant::from_millis(1), b"me"[..].into());
            Output::Event(Event::Elected { global, token, version: 1, valid_until, payload })
        };
        let revoked =
            |global, token| Output::Event(Event::Revoked { global: name(global), token: Token(Zxid(token)) });
        let judge = |outputs: &[Output]| {
            let mut terms = super::Terms::default();
            outputs.iter().try_for_each(|output| terms.follow(output))
        };
        let good = [elected("a", 5), elected("b", 5), revoked("a", 5), elected("a", 6), revoked("a", 6)];
        assert_eq!(judge(&good), Ok(()));
        assert_eq!(
            judge(&[elected("a", 5), elected("a", 6)]),
            Err("elected before the term before it was over")
        );
        for token in [4, 5] {
            let outputs = [elected("a", 5), revoked("a", 5), elected("a", token)];
            assert_eq!(judge(&outputs), Err("elected with a token that is not greater than the last one"));
        }
        for outputs in [
            vec![revoked("a", 5)],
            vec![elected("b", 5), revoked("a", 5)],
            vec![elected("a", 5), revoked("a", 6)],
            vec![elected("a", 5), revoked("a", 5), revoked("a", 5)],
        ] {
            assert_eq!(judge(&outputs), Err("revoked without having been elected"), "{outputs:?}");
        }
    }
}

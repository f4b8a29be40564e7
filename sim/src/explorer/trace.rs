//! What a run leaves behind: always a fingerprint, and the last lines when somebody wants to read them.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};

use queenright_core::Instant;
use queenright_core::recording::Digest;

/// How many lines a failure shows.
const LINES_MAX: usize = 400;

/// The trace of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    fingerprint: Digest,
    lines: Lines,
}

#[derive(Debug)]
enum Lines {
    Off,
    Last(VecDeque<String>),
    Print,
}

/// Whether lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracing {
    /// Only the fingerprint: the fast way.
    Off,
    /// The last lines are kept.
    Last,
    /// Every line goes to standard output.
    Print,
}

impl Trace {
    pub(crate) fn new(tracing: Tracing) -> Self {
        let lines = match tracing {
            Tracing::Off => Lines::Off,
            Tracing::Last => Lines::Last(VecDeque::new()),
            Tracing::Print => Lines::Print,
        };
        Self { fingerprint: Digest::default(), lines }
    }

    /// Notes that `what` happened: its hash at once, its text only where somebody reads it.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        what: &impl Hash,
        text: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
    ) {
        now.hash(&mut self.fingerprint);
        what.hash(&mut self.fingerprint);
        let line = || {
            let mut line = format!("{now:>14}  ");
            // Writing into a String cannot fail.
            let _ = text(&mut line);
            line
        };
        match &mut self.lines {
            Lines::Off => {}
            Lines::Last(lines) => {
                if lines.len() == LINES_MAX {
                    lines.pop_front();
                }
                lines.push_back(line());
            }
            Lines::Print => println!("{}", line()),
        }
    }

    /// The fingerprint of all that was noted so far.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    /// The last lines; empty when they were not kept.
    pub(crate) fn into_lines(self) -> Vec<String> {
        match self.lines {
            Lines::Off | Lines::Print => Vec::new(),
            Lines::Last(lines) => lines.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_along_does_not_change_the_fingerprint() {
        let run = |tracing| {
            let mut trace = Trace::new(tracing);
            for word in 0..10_u64 {
                trace.note(Instant::from_millis(word), &word, |line| write!(line, "word {word}"));
            }
            (trace.fingerprint(), trace.into_lines())
        };
        let (quiet, none) = run(Tracing::Off);
        let (read, lines) = run(Tracing::Last);
        assert_eq!(quiet, read);
        assert!(none.is_empty());
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[3].trim(), "0.003000s  word 3");
    }
}

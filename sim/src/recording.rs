//! Recordings of nodes in production, lived through again and laid side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use queenright_core::op::{Outcome, Reply, Stat, WriteReply};
use queenright_core::recording::{Heard, NotReplayed, Replayed, Step, replay};
use queenright_core::{Event, Input, Instant, Name, Output, Token, Zxid};

use crate::checkers::Violation;
use crate::explorer::show;

/// The life of one node, lived through again: every output was what the node put out.
#[derive(Debug)]
pub struct Life {
    /// Its node, and its incarnation's first digits: two lives of one node differ in it.
    pub name: String,
    /// How it began and ended.
    pub replayed: Replayed,
    /// Its terms, in order.
    pub beliefs: Vec<Belief>,
    lines: Vec<Line>,
}

/// A term, as a node believed to hold it. Times are since 1970 where the node knew that, and since its clock's origin
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Of which global.
    pub global: Name,
    /// Which term.
    pub token: Token,
    /// From when.
    pub from: Duration,
    /// Until it was over, or until its lease would have run out where the recording ends before.
    pub until: Duration,
}

/// What was told or said, and when.
#[derive(Debug)]
struct Line {
    /// The highest zxid that the node had seen: what orders it among the lines of other nodes, whatever their clocks say.
    zxid: Zxid,
    at: Duration,
    text: String,
}

impl Life {
    /// Lives through a recording.
    ///
    /// # Errors
    /// When it is none, or when what this core says is not what was recorded.
    pub fn new(bytes: &[u8]) -> Result<Self, NotReplayed> {
        let mut lines = Vec::new();
        let mut terms: Vec<Term> = Vec::new();
        let mut zxid = Zxid(0);
        let replayed = replay(bytes, |now, heard| {
            let mut text = String::new();
            // Writing into a String cannot fail.
            let _ = match heard {
                Heard::Told(step) => {
                    zxid = zxid.max(seen(step));
                    told(&mut text, step)
                }
                Heard::Says(output) => {
                    text.push_str("-> ");
                    follow(&mut terms, now, output);
                    show::output(&mut text, output)
                }
            };
            lines.push((zxid, now, text));
        })?;
        let since = |at: Instant| match replayed.begin.wall_clock {
            Some(wall_clock) => wall_clock + at.since(replayed.begin.now),
            None => at.since(Instant::ORIGIN),
        };
        let lines = lines.into_iter().map(|(zxid, at, text)| Line { zxid, at: since(at), text }).collect();
        let beliefs = terms
            .into_iter()
            .map(|Term { global, token, from, until, .. }| Belief {
                global,
                token,
                from: since(from),
                until: since(until),
            })
            .collect();
        let config = &replayed.begin.config;
        let incarnation = config.incarnation.to_string();
        let name = format!("{}/{}", config.node, incarnation.get(..4).unwrap_or(&incarnation));
        Ok(Self { name, replayed, beliefs, lines })
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replayed { begin, steps, outputs, last, is_whole } = &self.replayed;
        let lasted = last.since(begin.now);
        let end = if *is_whole { "ended in good order" } else { "ended without a word" };
        write!(f, "{}: {steps} calls and {outputs} outputs in {lasted:?}, bit by bit; {end}", self.name)
    }
}

/// All lines of several lives in one order: what a node did before it saw a zxid comes before what another did after it.
pub fn merged(lives: &[Life]) -> impl Iterator<Item = String> {
    let mut lines: Vec<_> = lives
        .iter()
        .flat_map(|life| life.lines.iter().enumerate().map(move |(number, line)| (line, number, life)))
        .collect();
    lines.sort_by_key(|(line, number, life)| (line.zxid, line.at, &life.name, *number));
    lines.into_iter().map(|(line, _, life)| {
        format!("{:>17.6}  {:>8}  {}  {}", line.at.as_secs_f64(), line.zxid.to_string(), life.name, line.text)
    })
}

/// Whether the terms of several lives fit together: no token twice, later terms with greater tokens, and none that overlaps
/// another by more than `clock_error`, which is what the nodes' clocks may disagree by: no more than the clock allows is
/// known of several machines.
///
/// # Errors
/// The first two that do not.
pub fn check_terms(lives: &[Life], clock_error: Duration) -> Result<(), Violation> {
    let mut by_global: BTreeMap<&Name, Vec<(&Belief, &str)>> = BTreeMap::new();
    for life in lives {
        for belief in &life.beliefs {
            by_global.entry(&belief.global).or_default().push((belief, &life.name));
        }
    }
    for (global, mut terms) in by_global {
        terms.sort_by_key(|(belief, _)| (belief.token, belief.from));
        let mut before: Option<(&Belief, &str)> = None;
        for (next, whose) in terms {
            if let Some((one, its)) = before {
                let wrong = |property, what: &str| {
                    let terms =
                        format!("{its} with token {}, and {whose} with token {}", one.token, next.token);
                    Err(Violation::new(property, format!("{global}: {terms}, {what}")))
                };
                if one.token == next.token {
                    return wrong("rising tokens", "which is one and the same");
                }
                let overlap = one.until.saturating_sub(next.from);
                if overlap > clock_error {
                    return wrong("exclusive belief", &format!("led at the same time for {overlap:?}"));
                }
            }
            // The one that lasted longest is the one to compare with.
            before = before.filter(|(one, _)| one.until > next.until).or(Some((next, whose)));
        }
    }
    Ok(())
}

fn seen(step: &Step) -> Zxid {
    let Step::Input(input) = step else { return Zxid(0) };
    let shown = match input {
        Input::Response { zxid, outcome, .. } => zxid.or_else(|| told_by(outcome)),
        Input::Watch { event, .. } => event.zxid,
        Input::Session(_) | Input::Host(_) => None,
    };
    shown.unwrap_or(Zxid(0))
}

/// What a stat tells of the time at which it was read, where the client shows no zxids.
fn told_by(outcome: &Outcome) -> Option<Zxid> {
    let of = |stat: &Stat| stat.mzxid.max(stat.czxid).max(stat.pzxid);
    match outcome.as_ref().ok()? {
        Reply::Created { stat, .. }
        | Reply::Set { stat }
        | Reply::Data { stat, .. }
        | Reply::Exists { stat }
        | Reply::Children { stat, .. } => Some(of(stat)),
        Reply::Multi(replies) => replies
            .iter()
            .filter_map(|reply| match reply {
                WriteReply::Set { stat } => Some(of(stat)),
                WriteReply::Created | WriteReply::Deleted | WriteReply::Checked => None,
            })
            .max(),
        Reply::Deleted | Reply::WatchAdded | Reply::WatchRemoved | Reply::Synced => None,
    }
}

fn told(text: &mut String, step: &Step) -> fmt::Result {
    if let Step::Input(input) = step {
        text.push_str("<- ");
        return show::input(text, input);
    }
    if *step == Step::Timeout {
        return text.write_str("a deadline");
    }
    write!(text, "does {step:?}")
}

/// A term on the node's own clock.
#[derive(Debug)]
struct Term {
    global: Name,
    token: Token,
    from: Instant,
    until: Instant,
    /// The lease may still be extended.
    is_open: bool,
}

/// Follows the terms: from being elected to being revoked, and until the lease runs out where nothing more is heard.
fn follow(terms: &mut Vec<Term>, now: Instant, output: &Output) {
    let mut each = |of: &Name, which: Token, end: &dyn Fn(&mut Term)| {
        for term in terms.iter_mut().filter(|term| term.global == *of && term.token == which) {
            end(term);
            term.is_open = false;
        }
    };
    match output {
        Output::Event(Event::Elected { global, token, valid_until, .. }) => {
            let (global, token, until) = (global.clone(), *token, *valid_until);
            terms.push(Term { global, token, from: now, until, is_open: true });
        }
        Output::Event(Event::Extended { valid_until }) => {
            for term in terms.iter_mut().filter(|term| term.is_open) {
                term.until = *valid_until;
            }
        }
        Output::Event(Event::Stop { global, token, deadline, .. }) => {
            each(global, *token, &|term| term.until = *deadline);
        }
        Output::Event(Event::Revoked { global, token }) => {
            each(global, *token, &|term| term.until = term.until.min(now));
        }
        Output::Event(_) | Output::Request(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::recording::Recorder;
    use queenright_core::{Config, Coordinator, Incarnation};

    use super::*;

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    fn recording(node: &str) -> Vec<u8> {
        let config = Config::new(name(node), Incarnation(5 << 112));
        let (now, mut file) = (Instant::from_millis(700), Vec::new());
        let mut core = Coordinator::new(config.clone(), now).unwrap();
        let recorder = Recorder::new(&config, now, Some(Duration::from_secs(1_000)), &mut file);
        let later = now.after(Duration::from_millis(250));
        let step = Step::LookUp(name("boss"));
        recorder.step(later, &step, &mut file);
        core.take(later, step).unwrap();
        file
    }

    fn life(node: &str, beliefs: Vec<Belief>) -> Life {
        Life { name: node.to_owned(), beliefs, ..Life::new(&recording(node)).unwrap() }
    }

    fn belief(token: i64, from: u64, until: u64) -> Belief {
        let (from, until) = (Duration::from_millis(from), Duration::from_millis(until));
        Belief { global: name("boss"), token: Token(Zxid(token)), from, until }
    }

    #[test]
    fn a_life_tells_its_node_and_its_lines_the_wall_clock() {
        let life = Life::new(&recording("n1")).unwrap();
        assert_eq!(
            life.to_string(),
            "n1/0005: 1 calls and 1 outputs in 250ms, bit by bit; ended without a word"
        );
        let lines: Vec<String> = merged(&[life]).collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].starts_with("      1000.250000") && lines[0].contains("does LookUp"), "{lines:#?}");
    }

    #[test]
    fn terms_that_do_not_fit_together_are_found() {
        let none = Duration::ZERO;
        let good = [life("a", vec![belief(5, 0, 10), belief(9, 30, 40)]), life("b", vec![belief(7, 10, 30)])];
        check_terms(&good, none).unwrap();
        let same = [life("a", vec![belief(5, 0, 10)]), life("b", vec![belief(5, 20, 30)])];
        assert_eq!(check_terms(&same, none).unwrap_err().property, "rising tokens");
        let both = [life("a", vec![belief(5, 0, 25)]), life("b", vec![belief(7, 20, 30)])];
        assert_eq!(check_terms(&both, none).unwrap_err().property, "exclusive belief");
        check_terms(&both, Duration::from_millis(5)).unwrap();
        // The one that is hidden behind a short term.
        let long = [life("a", vec![belief(5, 0, 90), belief(6, 90, 91)]), life("b", vec![belief(8, 60, 70)])];
        assert_eq!(check_terms(&long, none).unwrap_err().property, "exclusive belief");
    }
}

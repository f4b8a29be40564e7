//! What the audience sees: a line for each event, in the colour of its player, and the summary.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::chronicle::{Chronicle, Departing, Player};
use crate::voice::{Event, brief};

/// What the players are called.
pub(crate) const NAMES: [&str; 3] = ["amber", "basil", "clover"];

const COLOURS: [&str; 3] = ["33", "32", "35"];
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";

/// Writes to standard output. Whether anybody listens does not matter to the story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scribe {
    colours: Colours,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

impl Scribe {
    /// With colours on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn new() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = match std::io::stdout().is_terminal() && !is_unwanted {
            true => Colours::On,
            false => Colours::Off,
        };
        Self { colours }
    }

    /// The title of an act.
    pub(crate) fn act(self, title: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, title)));
    }

    /// What the narrator has to say.
    pub(crate) fn narrate(self, at: Duration, text: &str) {
        self.line(&format!("{} {:8} {}", self.clock(at), "", self.paint(BOLD, text)));
    }

    /// What a player told, if it is of interest.
    pub(crate) fn event(self, player: Player, at: Duration, event: &Event, chronicle: &Chronicle) {
        let is_of_interest = match event {
            Event::Ready { .. }
            | Event::Elected
            | Event::Delegating { .. }
            | Event::NoWorkforce
            | Event::WorkerLost { .. }
            | Event::Repeated { .. }
            | Event::Doing { .. }
            | Event::Dropped { .. }
            | Event::Trouble { .. }
            | Event::Closing { .. } => true,
            Event::Accepted { .. }
            | Event::Idle
            | Event::Done { .. }
            | Event::FoundBoss { .. }
            | Event::LostBoss { .. }
            | Event::Waiting { .. }
            | Event::Acknowledged { .. } => false,
        };
        if !is_of_interest {
            return;
        }
        let text = event.in_words(|pid| match chronicle.owner(pid) {
            Some(player) => name(player).to_owned(),
            None => brief(pid),
        });
        let text = if *event == Event::Elected { self.paint(BOLD, &text) } else { text };
        self.line(&format!("{} {} {text}", self.clock(at), self.name(player)));
    }

    /// What went wrong.
    pub(crate) fn fault(self, text: &str) {
        self.line(&format!("{} {text}", self.paint(RED, "FAILED:")));
    }

    /// Who did what, and how long it took.
    pub(crate) fn summary(self, chronicle: &Chronicle, lease: Duration) {
        self.act("Summary");
        self.line(&self.paint(DIM, "  who       jobs done   repeats dropped   boss since   left"));
        for player in 0..NAMES.len() {
            let record = chronicle.record(player);
            let since =
                record.boss_since.map_or("never".to_owned(), |at| format!("{:.2} s", at.as_secs_f64()));
            let left = match record.left {
                Some((Departing::Killed, at)) => format!("killed at {:.2} s", at.as_secs_f64()),
                Some((Departing::HandOver, at)) => format!("handed over at {:.2} s", at.as_secs_f64()),
                None => "at the end".to_owned(),
            };
            self.line(&format!(
                "  {}  {:>9}   {:>15}   {since:>10}   {left}",
                self.name(player),
                record.done,
                record.dropped
            ));
        }
        let tally = chronicle.tally();
        self.line(&format!("\n  jobs accepted    {:>6}", tally.accepted));
        self.line(&format!("  of these done    {:>6}", tally.done));
        self.line(&format!(
            "  done repeatedly  {:>6}   {}",
            tally.repeats, "by a worker who could not know that another one had done it"
        ));
        self.line(&format!(
            "  reassigned       {:>6}   {}",
            tally.reassigned, "by a boss whose worker had died"
        ));
        for (how, took) in chronicle.take_overs() {
            let (what, remark) = match how {
                Departing::Killed => ("fail-over", format!("after kill -9, with a lease of {lease:?}")),
                Departing::HandOver => ("hand-over", "after Enter".to_owned()),
            };
            let took = took.map_or("never".to_owned(), |took| format!("{:.3} s", took.as_secs_f64()));
            self.line(&format!("  {what:<13} {took:>9}   {remark}"));
        }
    }

    /// A line of the end.
    pub(crate) fn verdict(self, text: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, text)));
    }

    fn clock(self, at: Duration) -> String {
        self.paint(DIM, &format!("{:7.2} s", at.as_secs_f64()))
    }

    fn name(self, player: Player) -> String {
        let colour = COLOURS.get(player).copied().unwrap_or(DIM);
        self.paint(colour, &format!("{:<8}", name(player)))
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self.colours {
            Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }

    fn line(self, text: &str) {
        let _ = std::io::stdout().write_all(format!("{text}\n").as_bytes());
    }
}

pub(crate) fn name(player: Player) -> &'static str {
    NAMES.get(player).copied().unwrap_or("?")
}

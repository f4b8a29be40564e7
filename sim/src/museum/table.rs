//! All entries, and what `MUSEUM.md` says of them.

use std::fmt::Write;

use super::{
    Entry, State, access, cache, election_liveness, election_safety, misuse, registration, scale, session,
};

/// Entries about one thing.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// In the order in which they are told.
    pub entries: &'static [Entry],
}

/// All entries.
pub const GROUPS: &[Group] = &[
    Group { title: "Election safety", entries: election_safety::ENTRIES },
    Group { title: "Election liveness", entries: election_liveness::ENTRIES },
    Group { title: "Ephemeral registration", entries: registration::ENTRIES },
    Group { title: "Cache and watch", entries: cache::ENTRIES },
    Group { title: "Session and connection", entries: session::ENTRIES },
    Group { title: "Auth, ACL, chroot", entries: access::ENTRIES },
    Group { title: "Scale and limits", entries: scale::ENTRIES },
    Group { title: "API misuse", entries: misuse::ENTRIES },
];

/// All entries, in order.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().flat_map(|group| group.entries)
}

/// The entry called `name`.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

/// The table, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# The museum\n\n\
         Known bugs of libraries that elect, register and discover on ZooKeeper, and what this one makes of them. This file is \
         generated: `UPDATE_MUSEUM=1 cargo test -p queenright-sim --test museum`.\n\n\
         Evidence: **R** reported and fixed, **O** reported and open, **D** documented warning, **S** seen in the code of the \
         library that this one succeeds, **X** derived from source or protocol.\n\n",
    );
    let count = |is_it: fn(&State) -> bool| entries().filter(|entry| is_it(&entry.state)).count();
    let _ = writeln!(
        text,
        "{} entries: {} are played as scenarios, each to this library and to something that fails it; {} cannot occur by \
         construction; {} are not this library's business.",
        entries().count(),
        count(|state| matches!(state, State::Scenario { .. })),
        count(|state| matches!(state, State::ByConstruction { .. })),
        count(|state| matches!(state, State::OutOfScope { .. })),
    );
    for group in GROUPS {
        let _ = writeln!(
            text,
            "\n## {}\n\n| entry | | state | fails under, or why |\n|---|---|---|---|",
            group.title
        );
        for Entry { name, evidence, state } in group.entries {
            let (what, why) = match state {
                State::Scenario { fails_under, breaks, .. } => {
                    ("scenario", format!("{fails_under}: {breaks}"))
                }
                State::ByConstruction { why } => ("by construction", (*why).to_owned()),
                State::OutOfScope { why } => ("out of scope", (*why).to_owned()),
            };
            let _ = writeln!(text, "| {name} | {evidence} | {what} | {why} |");
        }
    }
    text
}

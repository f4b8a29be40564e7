//! The museum of known bugs: every entry that is a scenario is a test here, under its name.

mod access;
mod cache;
mod election_liveness;
mod election_safety;
mod misuse;
mod registration;
mod scale;
mod session;
mod table;

use queenright_sim::museum;

/// Plays an entry to this library, which must pass, and to what must not.
fn play(name: &str) {
    let entry = museum::entry(name).unwrap_or_else(|| panic!("{name} is not in the table"));
    if let Err(violation) = entry.run(Some(|config, mutation| config.mutation = Some(mutation))) {
        panic!("{violation}");
    }
}

/// A test for each entry, and the list of them.
macro_rules! exhibits {
    ($($name:ident),* $(,)?) => {
        pub(crate) const PLAYED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                crate::play(&stringify!($name).replace('_', "-"));
            }
        )*
    };
}
pub(crate) use exhibits;

/// What is played, group by group.
fn played() -> impl Iterator<Item = &'static [&'static str]> {
    [
        election_safety::PLAYED,
        election_liveness::PLAYED,
        registration::PLAYED,
        cache::PLAYED,
        session::PLAYED,
        access::PLAYED,
        scale::PLAYED,
        misuse::PLAYED,
    ]
    .into_iter()
}

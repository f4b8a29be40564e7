//! The model against real servers: the same steps, and the same answers.
//!
//! A step is a line of text, and so is an answer (`golden/README.md` has the notation). Steps are either written by
//! hand, and then stand in `golden/` together with what a real server answered, or drawn from a seed, and then go to
//! a real server and to the model at the same time. What only an ensemble shows is written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "clippy takes the functions of a test crate that are no tests themselves for other code"
)]

mod answers;
mod bytes;
mod differential;
mod generate;
mod golden;
mod model;
mod parse;
mod place;
mod print;
mod quorum;
mod random;
mod real;
#[path = "../../../io/tests/support/relay.rs"]
mod relay;
mod shrink;
mod side;
mod step;
mod trial;
mod words;
#[allow(dead_code, reason = "the live tests of queenright use what is not used here")]
#[path = "../../../io/tests/support/zookeeper.rs"]
mod zookeeper;

#[test]
fn what_is_printed_is_read_back() {
    for seed in 0..300 {
        for step in generate::steps(seed) {
            let line = print::step(&step);
            assert_eq!(parse::step(&line).as_ref(), Ok(&step), "{line}");
        }
    }
}

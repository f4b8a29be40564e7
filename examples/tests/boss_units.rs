//! The unit tests of the example `boss`, which stand beside its code. Cargo builds an example either as a program or
//! as a test; the end-to-end tests need the program.

#![allow(dead_code)]

#[path = "../boss/demo/chronicle.rs"]
mod chronicle;
#[path = "../boss/cli.rs"]
mod cli;
#[path = "../boss/ledger.rs"]
mod ledger;
#[path = "../boss/message.rs"]
mod message;
#[path = "../boss/recall.rs"]
mod recall;
#[path = "../boss/voice.rs"]
mod voice;

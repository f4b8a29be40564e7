//! The tests of the example `simulate_your_service`, which stand beside its code. Cargo builds an example either as a
//! program or as a test, and the end-to-end tests need the programs.

#![allow(dead_code)]

#[path = "../simulate_your_service.rs"]
mod simulate_your_service;

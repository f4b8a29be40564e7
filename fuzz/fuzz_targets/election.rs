//! Bytes as a plan of the explorer: see `queenright_sim::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright_sim::fuzz::election(data));

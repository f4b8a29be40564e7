//! Bytes as what clients do to servers: see `queenright_sim::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright_sim::fuzz::session(data));

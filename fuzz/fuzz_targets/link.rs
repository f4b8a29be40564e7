//! Bytes as what goes between nodes: see `queenright::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright::fuzz::link(data));

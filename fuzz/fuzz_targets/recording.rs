//! Bytes as a recording of a node: see `queenright_core::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright_core::fuzz::recording(data));

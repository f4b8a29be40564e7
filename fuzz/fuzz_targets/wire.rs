//! Bytes as frames: see `queenright_core::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright_core::fuzz::wire(data));

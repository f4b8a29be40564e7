//! Bytes as a tree and what a client is told of it: see `queenright_core::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| queenright_core::fuzz::cache(data));

//! The fuzz target `session` on a stable toolchain: histories of chance, the same ones each time.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Each a history of some hundred steps.
const CASES: u32 = 100;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn sessions_of_chance_break_nothing(data in prop::collection::vec(any::<u8>(), 0..1_500)) {
        queenright_sim::fuzz::session(&data);
    }
}

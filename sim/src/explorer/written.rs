//! How plans are written in files that people read: times as lengths since the beginning (`1s 20ms`), seeds as text,
//! for TOML's numbers end at 2^63.

/// Points in time.
pub(super) mod instant {
    use std::time::Duration;

    use queenright_core::Instant;
    use serde::{Deserializer, Serializer};

    pub(in crate::explorer) fn serialize<S: Serializer>(
        at: &Instant,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        humantime_serde::serialize(&Duration::from_nanos(at.as_nanos()), serializer)
    }

    pub(in crate::explorer) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Instant, D::Error> {
        humantime_serde::deserialize(deserializer).map(|since: Duration| Instant::ORIGIN.after(since))
    }
}

/// Seeds.
pub(super) mod seed {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::explorer::parse_seed;

    pub(in crate::explorer) fn serialize<S: Serializer>(
        seed: &u64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(seed)
    }

    pub(in crate::explorer) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_seed(&text).map_err(D::Error::custom)
    }
}

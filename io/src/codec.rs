//! How messages become bytes. The only module that names bincode.

use std::any::type_name;

use bincode::config::Configuration;
use bincode::enc::write::Writer;
use bincode::error::EncodeError as Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The largest frame, and so the largest message, that can be configured, in bytes.
pub const FRAME_LEN_LIMIT: usize = 64 << 20;

/// Why a value could not be encoded. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The type's `Serialize` said no, or the format cannot express it.
    #[error("a {type_name} cannot be encoded: {reason}")]
    Refused {
        /// The Rust type.
        type_name: &'static str,
        /// In the words of the encoder.
        reason: String,
    },
    /// More bytes than a frame may have.
    #[error("a {type_name} is too large to send: a frame may have {max} bytes (`frame_len_max`)")]
    TooLarge {
        /// The Rust type.
        type_name: &'static str,
        /// The limit, in bytes.
        max: usize,
    },
}

/// Why bytes are not a value of the type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{len} bytes are not a {type_name}: {reason}")]
pub struct DecodeError {
    /// The Rust type.
    pub type_name: &'static str,
    /// How many bytes there were.
    pub len: usize,
    /// In the words of the decoder.
    pub reason: String,
}

/// Appends `value` to `buffer`, which may grow to `len_max` bytes.
///
/// After an error, or a panic of the value's own `Serialize`, the buffer holds a part of the value: the
/// caller cuts it off.
///
/// # Errors
/// When the value cannot be encoded or does not fit.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut Vec<u8>,
    len_max: usize,
) -> Result<(), EncodeError> {
    let mut writer = Limited { buffer, len_max, overflowed: false };
    match bincode::serde::encode_into_writer(value, &mut writer, ENCODING) {
        Ok(()) => Ok(()),
        Err(_) if writer.overflowed => {
            Err(EncodeError::TooLarge { type_name: type_name::<T>(), max: len_max })
        }
        Err(failure) => {
            Err(EncodeError::Refused { type_name: type_name::<T>(), reason: failure.to_string() })
        }
    }
}

/// Decodes all of `bytes`.
///
/// Memory is bounded by the length of `bytes`, not by what they claim: every container is checked against a
/// limit before it is made. (A vector of a type without size costs no memory, but its claimed length costs
/// time: messages should not hold one.)
///
/// # Errors
/// When the bytes are not exactly one value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // The limit is a constant of the decoder's type. Two sizes: most messages are small, and a small one
    // should not be able to ask for much.
    let decoded = if bytes.len() <= SMALL {
        bincode::serde::borrow_decode_from_slice(bytes, ENCODING.with_limit::<{ SMALL * CLAIM_FACTOR }>())
    } else if bytes.len() <= FRAME_LEN_LIMIT {
        bincode::serde::borrow_decode_from_slice(
            bytes,
            ENCODING.with_limit::<{ FRAME_LEN_LIMIT * CLAIM_FACTOR }>(),
        )
    } else {
        return Err(undecodable::<T>(bytes, format!("more than {FRAME_LEN_LIMIT} bytes")));
    };
    match decoded {
        Ok((value, len)) if len == bytes.len() => Ok(value),
        Ok((_, len)) => Err(undecodable::<T>(bytes, format!("only the first {len} belong to it"))),
        Err(failure) => Err(undecodable::<T>(bytes, failure.to_string())),
    }
}

const ENCODING: Configuration = bincode::config::standard();
const SMALL: usize = 64 << 10;
/// The decoder counts a number as its full width against the limit, although one byte can hold it: 16 for a
/// `u128`.
const CLAIM_FACTOR: usize = 16;

struct Limited<'a> {
    buffer: &'a mut Vec<u8>,
    len_max: usize,
    /// The writer's error type cannot carry more than a text, which is for people.
    overflowed: bool,
}

impl Writer for Limited<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.len_max.saturating_sub(self.buffer.len()) < bytes.len() {
            self.overflowed = true;
            return Err(Failure::UnexpectedEnd);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}

fn undecodable<T>(bytes: &[u8], reason: String) -> DecodeError {
    DecodeError { type_name: type_name::<T>(), len: bytes.len(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Empty,
        Wide(u128, i64),
        Nested { name: String, parts: Vec<(u8, Option<String>)> },
    }

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode_into(value, &mut buffer, FRAME_LEN_LIMIT).unwrap();
        buffer
    }

    fn samples() -> impl Strategy<Value = Sample> {
        prop_oneof![
            Just(Sample::Empty),
            (any::<u128>(), any::<i64>()).prop_map(|(a, b)| Sample::Wide(a, b)),
            (".{0,20}", prop::collection::vec((any::<u8>(), prop::option::of(".{0,5}")), 0..20))
                .prop_map(|(name, parts)| Sample::Nested { name, parts }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(sample in samples()) {
            prop_assert_eq!(decode::<Sample>(&encoded(&sample)).unwrap(), sample);
        }

        #[test]
        fn bytes_from_nowhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Sample>(&bytes);
            let _ = decode::<Vec<String>>(&bytes);
        }

        #[test]
        fn the_limit_is_the_length(sample in samples()) {
            let len = encoded(&sample).len();
            let mut buffer = Vec::new();
            prop_assert!(encode_into(&sample, &mut buffer, len).is_ok());
            buffer.clear();
            let refused = matches!(
                encode_into(&sample, &mut buffer, len - 1),
                Err(EncodeError::TooLarge { .. })
            );
            prop_assert!(refused);
        }
    }

    #[test]
    fn a_vector_of_narrow_wide_numbers_is_decoded() {
        // One byte each on the wire, sixteen against the limit.
        for len in [SMALL - 8, SMALL + 8] {
            let numbers = vec![1u128; len];
            assert_eq!(decode::<Vec<u128>>(&encoded(&numbers)).unwrap(), numbers);
        }
    }

    #[test]
    fn a_claimed_length_is_refused() {
        // A string of 2^62 bytes, of which none follow.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&(1u64 << 62).to_le_bytes());
        let error = decode::<String>(&bytes).unwrap_err();
        assert!(error.to_string().contains("9 bytes are not a alloc::string::String"), "{error}");
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encoded(&7u8);
        bytes.push(0);
        assert!(decode::<u8>(&bytes).unwrap_err().reason.contains("first 1"));
    }
}

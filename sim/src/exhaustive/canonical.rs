//! Names for states: the 128 bits that a component comes to, with nothing in it that no future depends on.
//!
//! What is left out, and why two states that differ only in it have the same futures:
//! - *The numbers of requests*, which are replaced by the order in which they first appear. The core compares them for
//!   equality alone, and draws a new one above all before; the order of those in flight is the order in which they appear.
//! - *How many were drawn*, for the same reason, and *configurations*, which no step changes (core leaves out both).
//!
//! Everything else counts as it is: points in time, zxids, versions and session ids are those of the run, so that states
//! are told apart that a bolder abstraction would take for one.

use std::fmt;
use std::hash::Hasher;

use queenright_core::RequestId;
use serde::{Serialize, ser};

/// 128 bits over everything that is written to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64, u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }

    pub(super) fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, 0x9e37_79b9_7f4a_7c15);
        self.1 = fold(self.1.rotate_left(29) ^ word, 0xd6e8_feb8_6659_fd93).wrapping_add(self.0);
    }

    pub(super) const fn finish(self) -> u128 {
        (self.0 as u128) << 64 | self.1 as u128
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0 ^ self.1
    }

    fn write(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.word(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.word(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
}

/// Multiplies into 128 bits and folds the halves. Never zero for ever: the added constant sees to that.
const fn fold(one: u64, other: u64) -> u64 {
    let product = (one as u128 ^ 0xa076_1d64_78bd_642f) * other as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

/// The name of something with requests in it.
pub(super) fn digest(value: &impl Serialize) -> u128 {
    let mut digest = Digest::new();
    encode(value, &mut digest);
    digest.finish()
}

/// Writes all of something with requests in it, but for what a name leaves out.
pub(super) fn encode(value: &impl Serialize, to: &mut impl Hasher) {
    let mut canonical = Canonical { to, requests: Vec::new(), is_request: false };
    match value.serialize(&mut canonical) {
        Ok(()) => {}
        Err(never) => panic!("nothing here fails: {never}"),
    }
}

struct Canonical<'h, H> {
    to: &'h mut H,
    /// The numbers of requests, in the order in which they appeared.
    requests: Vec<u64>,
    /// The next number is that of a request.
    is_request: bool,
}

/// Nothing fails here; serde asks for an error all the same.
#[derive(Debug)]
pub(super) struct Never(String);

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Done = Result<(), Never>;

impl<H: Hasher> Canonical<'_, H> {
    fn bytes(&mut self, bytes: &[u8]) -> Done {
        self.to.write(bytes);
        Ok(())
    }

    fn request(&mut self, number: u64) -> u64 {
        let known = self.requests.iter().position(|known| *known == number);
        let index = known.unwrap_or_else(|| {
            self.requests.push(number);
            self.requests.len() - 1
        });
        index as u64
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        fn $name(self, number: $type) -> Done {
            self.to.write_u64(number as u64);
            Ok(())
        }
    )*};
}

impl<H: Hasher> ser::Serializer for &mut Canonical<'_, H> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_char: char
    }

    fn serialize_u64(self, number: u64) -> Done {
        let number = if std::mem::take(&mut self.is_request) { self.request(number) } else { number };
        self.to.write_u64(number);
        Ok(())
    }

    fn serialize_u128(self, number: u128) -> Done {
        self.to.write_u64(number as u64);
        self.to.write_u64((number >> 64) as u64);
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Done {
        self.to.write_u64(number.to_bits().into());
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Done {
        self.to.write_u64(number.to_bits());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Done {
        self.bytes(text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        self.bytes(bytes)
    }

    fn serialize_none(self) -> Done {
        self.to.write_u64(0);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Done {
        self.to.write_u64(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Done {
        self.to.write_u64(index.into());
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, name: &'static str, value: &T) -> Done {
        self.is_request = name == stringify!(RequestId);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Done {
        self.to.write_u64(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Never> {
        self.to.write_u64(len.map_or(u64::MAX, |len| len as u64));
        Ok(self)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, Never> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, Never> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Never> {
        self.to.write_u64(index.into());
        Ok(self)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self, Never> {
        self.serialize_seq(len)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, Never> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Never> {
        self.to.write_u64(index.into());
        Ok(self)
    }
}

macro_rules! compound {
    ($($trait:ident: $method:ident),*) => {$(
        impl<H: Hasher> ser::$trait for &mut Canonical<'_, H> {
            type Ok = ();
            type Error = Never;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

compound! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl<H: Hasher> ser::$trait for &mut Canonical<'_, H> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, _name: &'static str, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct, SerializeStructVariant }

impl<H: Hasher> ser::SerializeMap for &mut Canonical<'_, H> {
    type Ok = ();
    type Error = Never;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Done {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

/// Ties the name above to the type.
const _: fn(u64) -> RequestId = RequestId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_requests_count_only_by_their_order_of_appearance() {
        let pair = |one, other| digest(&[RequestId(one), RequestId(other), RequestId(one)]);
        assert_eq!(pair(7, 9), pair(1, 2));
        assert_eq!(pair(9, 7), pair(1, 2));
        assert_ne!(pair(7, 7), pair(1, 2));
    }

    #[test]
    fn everything_else_counts() {
        assert_ne!(digest(&7_u64), digest(&8_u64));
        assert_ne!(digest(&Some(0_u8)), digest(&None::<u8>));
        assert_ne!(digest(&("ab", "c")), digest(&("a", "bc")));
        assert_ne!(digest(&vec![1_u8, 2]), digest(&vec![2_u8, 1]));
        assert_ne!(digest(&(7_u64, RequestId(7))), digest(&(8_u64, RequestId(7))));
    }
}

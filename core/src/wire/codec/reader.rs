//! Reading bytes that may be anything.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use super::Record;

/// Bytes that are not the record that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field} at byte {at} cannot be read: {problem}")]
pub struct DecodeError {
    /// The field that could not be read.
    pub field: &'static str,
    /// Where it is, in bytes from the beginning of what was to be decoded.
    pub at: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Why a field cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end before it does.
    #[error("it takes {needed} bytes or more, and {left} are left")]
    Short {
        /// The fewest bytes that it takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// Null where something must be.
    #[error("it is null")]
    Null,
    /// A length below −1.
    #[error("its length is {0}")]
    Length(i32),
    /// A number that stands for nothing here.
    #[error("{0} is not defined")]
    Undefined(i32),
}

/// What is left of the bytes.
pub(in crate::wire) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What an error says until [`Reader::field`] knows better.
const UNNAMED: &str = "a value";

impl<'a> Reader<'a> {
    pub(in crate::wire) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field, which errors call `name`, unless it has named fields itself.
    pub(in crate::wire) fn field<T: Record>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        T::read(self).map_err(|error| match error.field {
            UNNAMED => DecodeError { field: name, ..error },
            _ => error,
        })
    }

    pub(in crate::wire) const fn is_empty(&self) -> bool {
        self.bytes.len() == self.at
    }

    /// All that is left.
    pub(in crate::wire) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], DecodeError> {
        match self.rest().first_chunk() {
            Some(array) => {
                self.at += LEN;
                Ok(*array)
            }
            None => Err(self.short(LEN)),
        }
    }

    /// The bytes of a buffer or a text; `None` for null.
    pub(super) fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let start = self.at;
        let len = i32::from_be_bytes(self.array()?);
        let Ok(len) = usize::try_from(len) else {
            return match len {
                -1 => Ok(None),
                _ => Err(Self::error(start, Problem::Length(len))),
            };
        };
        let Some(bytes) = self.rest().get(..len) else { return Err(self.short(len)) };
        self.at += len;
        Ok(Some(bytes))
    }

    /// The next field, a text for which null and empty are the same.
    pub(super) fn text_or_null(&mut self, name: &'static str) -> Result<String, DecodeError> {
        Ok(self.field::<Option<String>>(name)?.unwrap_or_default())
    }

    /// The items of a vector; `None` for null.
    pub(super) fn vector<T: Record>(&mut self) -> Result<Option<Vec<T>>, DecodeError> {
        let count = i32::from_be_bytes(self.array()?);
        let Ok(count) = usize::try_from(count) else {
            // Real servers read no item of a vector that has less than none, whatever the number.
            return Ok((count != -1).then(Vec::new));
        };
        let needed = count.saturating_mul(T::LEN_MIN);
        if needed > self.rest().len() {
            return Err(self.short(needed));
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(self)?);
        }
        Ok(Some(items))
    }

    /// That the number that was read last, of `len` bytes, stands for nothing.
    pub(super) fn undefined(&self, number: i32) -> DecodeError {
        Self::error(self.at - size_of::<i32>(), Problem::Undefined(number))
    }

    /// That there is no reply to requests of this type.
    pub(super) const fn no_reply(&self, number: i32) -> DecodeError {
        DecodeError { field: "reply", at: self.at, problem: Problem::Undefined(number) }
    }

    /// That the length that was read last was that of null.
    pub(super) fn null(&self) -> DecodeError {
        Self::error(self.at - size_of::<i32>(), Problem::Null)
    }

    fn short(&self, needed: usize) -> DecodeError {
        Self::error(self.at, Problem::Short { needed, left: self.rest().len() })
    }

    const fn error(at: usize, problem: Problem) -> DecodeError {
        DecodeError { field: UNNAMED, at, problem }
    }
}

/// Text as Java reads it: what is not UTF-8 becomes U+FFFD, which no path may have.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! How a recording is written and read. The only module of this crate that names bincode.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use bincode::config::Configuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Digest, Step};
use crate::config::{Config, PAYLOAD_LEN_MAX};
use crate::output::Output;
use crate::time::Instant;

/// The format, in the first entry of each recording. It changes with every change of what is recorded, for what is
/// written here does not describe itself.
pub const FORMAT: u32 = 1;

/// What every recording begins with.
const MAGIC: &[u8; 16] = b"queenright-rec\r\n";
/// No entry is longer: the largest is a listing that ZooKeeper's own limit of a megabyte bounds.
const ENTRY_LEN_MAX: usize = 16 * PAYLOAD_LEN_MAX;
/// The decoder counts a number as its full width against its limit, although one byte can hold it.
const CLAIM_MAX: usize = 16 * ENTRY_LEN_MAX;
const ENCODING: Configuration = bincode::config::standard();

/// How a life began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Always [`FORMAT`].
    pub format: u32,
    /// What the coordinator was made with.
    pub config: Config,
    /// When, on the clock that all the times of this recording are of.
    pub now: Instant,
    /// When, since 1970, where the host knows that: it lays the recordings of several nodes side by side, as well as their
    /// wall clocks agree. Nothing else depends on it.
    pub wall_clock: Option<Duration>,
}

/// What happened next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A call.
    Step {
        /// When.
        now: Instant,
        /// Of what.
        step: Step,
        /// What had been taken from the coordinator before.
        said: Said,
    },
    /// The node ended in good order, or the recording was full.
    End {
        /// When.
        now: Instant,
        /// What had been taken from the coordinator before.
        said: Said,
    },
}

/// An [`Entry`] as it is written, without a copy of the call.
#[derive(Serialize)]
enum Written<'a> {
    Step { now: Instant, step: &'a Step, said: Said },
    End { now: Instant, said: Said },
}

/// The outputs that were taken from a coordinator so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// How many.
    pub outputs: u64,
    /// Their [`Digest`].
    pub digest: u64,
}

/// Writes a recording, into whatever buffers the host hands in.
#[derive(Debug)]
pub struct Recorder {
    outputs: u64,
    digest: Digest,
}

impl Recorder {
    /// Begins a recording: appends its first bytes to `buffer`.
    #[must_use]
    pub fn new(config: &Config, now: Instant, wall_clock: Option<Duration>, buffer: &mut Vec<u8>) -> Self {
        buffer.extend_from_slice(MAGIC);
        append(&Begin { format: FORMAT, config: config.clone(), now, wall_clock }, buffer);
        Self { outputs: 0, digest: Digest::default() }
    }

    /// Appends a call that is about to be made.
    pub fn step(&self, now: Instant, step: &Step, buffer: &mut Vec<u8>) {
        append(&Written::Step { now, step, said: self.said() }, buffer);
    }

    /// Notes what was taken from the coordinator.
    pub fn put_out(&mut self, output: &Output) {
        self.outputs += 1;
        output.hash(&mut self.digest);
    }

    /// Appends the end.
    pub fn end(&self, now: Instant, buffer: &mut Vec<u8>) {
        append(&Written::End { now, said: self.said() }, buffer);
    }

    fn said(&self) -> Said {
        Said { outputs: self.outputs, digest: self.digest.finish() }
    }
}

/// Why bytes are no recording that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Something else.
    #[error("this is no recording of queenright")]
    NoRecording,
    /// Of another version.
    #[error(
        "a recording in format {format}; this version reads format {FORMAT}: use the version that recorded it"
    )]
    OtherFormat {
        /// Its format.
        format: u32,
    },
    /// Not written by a recorder.
    #[error("byte {at}: {reason}")]
    Damaged {
        /// Where the entry begins that cannot be read.
        at: usize,
        /// Why.
        reason: String,
    },
}

/// Reads a recording, entry by entry. An entry that was not written to its end is none.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The beginning of a recording, and a reader of what follows.
    ///
    /// # Errors
    /// When it is none that this version reads.
    pub fn new(bytes: &'a [u8]) -> Result<(Begin, Self), Unreadable> {
        if !bytes.starts_with(MAGIC) {
            return Err(Unreadable::NoRecording);
        }
        let mut reader = Self { bytes, at: MAGIC.len() };
        // The format first: what follows it in another one may look like anything.
        let body = reader.body()?.ok_or(Unreadable::NoRecording)?;
        let (format, _) = bincode::serde::decode_from_slice::<u32, _>(body, ENCODING)
            .map_err(|failure| reader.damaged(&failure))?;
        if format != FORMAT {
            return Err(Unreadable::OtherFormat { format });
        }
        let begin = reader.decode(body)?;
        reader.past(body);
        Ok((begin, reader))
    }

    /// For the fuzz target: entries without a beginning.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn rest(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn body(&self) -> Result<Option<&'a [u8]>, Unreadable> {
        let Some((len, rest)) = self.bytes.get(self.at..).and_then(<[u8]>::split_first_chunk) else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*len) as usize;
        if len > ENTRY_LEN_MAX {
            let reason = alloc::format!("an entry of {len} bytes; none has more than {ENTRY_LEN_MAX}");
            return Err(Unreadable::Damaged { at: self.at, reason });
        }
        Ok(rest.get(..len))
    }

    fn past(&mut self, body: &[u8]) {
        self.at += size_of::<u32>() + body.len();
    }

    fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Unreadable> {
        match bincode::serde::decode_from_slice(body, ENCODING.with_limit::<CLAIM_MAX>()) {
            Ok((value, len)) if len == body.len() => Ok(value),
            Ok((_, len)) => {
                Err(self.damaged(&alloc::format!("only {len} of {} bytes are an entry", body.len())))
            }
            Err(failure) => Err(self.damaged(&failure)),
        }
    }

    fn damaged(&self, reason: &impl ToString) -> Unreadable {
        Unreadable::Damaged { at: self.at, reason: reason.to_string() }
    }
}

/// After an error there is nothing more: whatever is behind the damage is lost.
impl Iterator for Reader<'_> {
    type Item = Result<Entry, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self
            .body()
            .and_then(|body| body.map(|body| self.decode(body).map(|entry| (entry, body))).transpose());
        match entry {
            Ok(Some((entry, body))) => {
                self.past(body);
                Some(Ok(entry))
            }
            Ok(None) => None,
            Err(damaged) => {
                self.at = self.bytes.len();
                Some(Err(damaged))
            }
        }
    }
}

/// Appends a value with its length in front.
fn append(value: &impl Serialize, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; size_of::<u32>()]);
    // Our own types, and memory, cannot refuse; a reader would see an entry without a body.
    if bincode::serde::encode_into_writer(value, Appender(buffer), ENCODING).is_err() {
        buffer.truncate(start);
        return;
    }
    let len = buffer.len() - start - size_of::<u32>();
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(place) = buffer.get_mut(start..start + size_of::<u32>()) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

/// For the fuzz target: an entry as it is written.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn bytes_of(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(entry, &mut bytes);
    bytes
}

/// For the fuzz target: a call that bytes begin with, and what is behind it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn step_in(bytes: &[u8]) -> Option<(Step, &[u8])> {
    let decoded = bincode::serde::decode_from_slice(bytes, ENCODING.with_limit::<CLAIM_MAX>());
    decoded.ok().and_then(|(step, len)| Some((step, bytes.get(len..)?)))
}

struct Appender<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

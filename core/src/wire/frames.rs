//! A stream of bytes as frames.

use alloc::vec::Vec;

use thiserror::Error;

/// The longest frame that a server takes, in bytes without the length itself: `jute.maxbuffer` as it is set by default.
pub const FRAME_LEN_MAX: usize = 0xf_ffff;

/// So much memory is kept for the next bytes when nothing waits: the largest frame of a connection's life is not.
const KEPT: usize = 16 * 1024;

/// The bytes of a frame's length.
const PREFIX: usize = 4;

/// Cuts what comes out of a connection into frames, however it was cut on the way.
///
/// Take all frames after each [`push`](Self::push): then no more is held than the longest frame and one push. Nothing
/// is allocated for bytes that have not come.
///
/// ```
/// use queenright_core::wire::{FRAME_LEN_MAX, Frames};
///
/// let mut frames = Frames::new(FRAME_LEN_MAX);
/// frames.push(&[0, 0, 0, 2, b'a']);
/// assert_eq!(frames.next_frame(), Ok(None));
/// frames.push(&[b'b', 0, 0, 0]);
/// assert_eq!(frames.next_frame(), Ok(Some(&b"ab"[..])));
/// assert_eq!(frames.next_frame(), Ok(None));
/// ```
#[derive(Clone, Debug)]
pub struct Frames {
    len_max: usize,
    received: Vec<u8>,
    /// How many bytes of `received` were given out.
    taken: usize,
}

/// A length that no frame has. Nothing more can be read from this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {len} bytes was announced; 0 to {len_max} are possible: close the connection")]
pub struct FrameError {
    /// What was announced.
    pub len: i32,
    /// The limit.
    pub len_max: usize,
}

impl Frames {
    /// Of a new connection on which frames are at most `len_max` bytes long.
    #[must_use]
    pub const fn new(len_max: usize) -> Self {
        Self { len_max, received: Vec::new(), taken: 0 }
    }

    /// Bytes that came, in any portions.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.extend_from_slice(bytes);
    }

    /// The body of the next frame; `None` until all of it has come.
    ///
    /// # Errors
    /// When its length is negative or over the limit. It stays so.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if self.taken == self.received.len() {
            self.received.clear();
            self.received.shrink_to(KEPT);
            self.taken = 0;
            return Ok(None);
        }
        let Some(prefix) = self.peek() else { return Ok(None) };
        let len = i32::from_be_bytes(prefix);
        let body_len = match usize::try_from(len) {
            Ok(body_len) if body_len <= self.len_max => body_len,
            Ok(_) | Err(_) => return Err(FrameError { len, len_max: self.len_max }),
        };
        let start = self.taken + PREFIX;
        if self.received.len() - start < body_len {
            return Ok(None);
        }
        self.taken = start + body_len;
        Ok(Some(&self.received[start..self.taken]))
    }

    /// The four bytes that come next: a length, or on a new connection a
    /// [`FourLetterWord`](crate::wire::FourLetterWord). `None` until they have come.
    #[must_use]
    pub fn peek(&self) -> Option<[u8; 4]> {
        self.received[self.taken..].first_chunk().copied()
    }
}

/// Appends a frame with the body that `write` appends.
pub(super) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    write(out);
    let len = out.len() - start - PREFIX;
    // A body of 2 GiB does not come from any request: should it, then every server refuses this length.
    let len = i32::try_from(len).unwrap_or(i32::MAX);
    out[start..start + PREFIX].copy_from_slice(&len.to_be_bytes());
}

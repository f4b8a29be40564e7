//! Recordings of a coordinator's life: everything that it was told, and a digest of what it said.
//!
//! A coordinator is deterministic: who makes the same calls at the same times gets the same outputs. So a recording of the
//! calls of a node in production is enough to live through its life again, bit by bit, on a desk.
//!
//! A recording is a [`Begin`], and then one [`Entry`] behind the other, each with its length in front (four bytes, little
//! endian). It can end anywhere: a node that is killed leaves its last entry in part, and a reader ignores that.
//!
//! ```
//! use queenright_core::recording::{Recorder, replay};
//! use queenright_core::{Config, Incarnation, Instant, Name};
//!
//! let mut file = Vec::new();
//! let config = Config::new(Name::new("n1")?, Incarnation(1));
//! let mut recorder = Recorder::new(&config, Instant::ORIGIN, None, &mut file);
//! // For each call of the coordinator: recorder.step(now, &step, &mut file), and recorder.put_out(&output) for what it says.
//! recorder.end(Instant::from_millis(5), &mut file);
//! let replayed = replay(&file, |_, _| ()).expect("a recording");
//! assert_eq!(replayed.steps, 0);
//! assert!(replayed.is_whole);
//! # Ok::<(), queenright_core::InvalidName>(())
//! ```

mod digest;
mod format;
mod replay;
mod step;

pub use digest::Digest;
pub use format::{Begin, Entry, FORMAT, Reader, Recorder, Said, Unreadable};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use format::{bytes_of, step_in};
pub use replay::{Heard, NotReplayed, Replayed, replay};
pub use step::Step;

//! A run as a picture: one HTML file, which needs no network and is the same for the same run.
//!
//! [`Recording`] is what an engine says while a run happens; [`Timeline`] is what can be drawn of it: events with their
//! causes, messages, spans, beliefs and the truth. [`page`] puts it into a page. None of them knows an engine, so that other
//! recordings can be drawn, too.

mod build;
mod model;
#[cfg(feature = "cli")]
mod page;
mod recording;
mod ruler;

pub use build::Heading;
pub use model::{Event, Fate, Kind, Lane, Message, Row, Ruler, Span, Term, Timeline, Truth};
#[cfg(feature = "cli")]
pub use page::page;
pub(crate) use recording::Recorder;
pub use recording::{Belief, Letter, Moment, Recording, Way, What};

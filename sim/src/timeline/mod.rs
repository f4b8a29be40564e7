//! A run as a picture: what there is to draw of it.
//!
//! [`Recording`] is what an engine says while a run happens; [`Timeline`] is what can be drawn of it: events with their
//! causes, messages, spans, beliefs and the truth. Neither knows an engine, so that other recordings can be drawn, too.

mod build;
mod model;
mod recording;
mod ruler;

pub use build::Heading;
pub use model::{Event, Fate, Kind, Lane, Message, Row, Ruler, Span, Term, Timeline, Truth};
pub(crate) use recording::Recorder;
pub use recording::{Belief, Letter, Moment, Recording, Way, What};

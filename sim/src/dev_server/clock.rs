//! The server's clock.

use std::time::{Duration, SystemTime};

use queenright_core::Instant;

/// Gives the model its time: monotonic, and near the wall clock, since the model dates znodes by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started_at: std::time::Instant,
    /// What the wall clock said then. What is done to it later does not matter.
    wall: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        // A wall clock before 1970 makes strange dates, and no other harm.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started_at: std::time::Instant::now(), wall: Instant::ORIGIN.after(wall) }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.wall.after(self.started_at.elapsed())
    }

    /// When it will be `at`, for tokio. Now, when that has passed.
    pub(super) fn to_tokio(self, at: Instant) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.started_at + at.since(self.wall))
    }
}

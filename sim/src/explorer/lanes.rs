//! The ways from the client to the core: each is first in, first out, and one may overtake another as far as the port's
//! contract goes. An event never overtakes a reply that came before it, nor another one that came through the same
//! recursive watch; nothing overtakes a change of state that came before it.

use std::collections::VecDeque;
use std::time::Duration;

use queenright_core::{Input, Instant};

use super::mix::{mix, nanos, scale};
use super::queue::{Due, Queue};

/// One message in so many is held up between client and core.
const LAG_ONE_IN: u64 = 4;

/// A way to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Lane {
    /// Changes of the session's state.
    State,
    /// Replies.
    Replies,
    /// Events of recursive watches: one stream.
    Stream,
    /// Events of one-shot watches.
    OneShots,
}

/// The lanes of one client.
#[derive(Debug)]
pub(super) struct Lanes {
    node: u8,
    life: u32,
    key: u64,
    /// By number. Each entry has a wake-up of its own in the queue, and keeps its place when it was dropped: or its
    /// wake-up would deliver the next one too early.
    waiting: [VecDeque<(Instant, Option<Input>)>; 4],
    pushed_count: u64,
}

impl Lanes {
    pub(super) fn new(node: u8, life: u32, key: u64) -> Self {
        Self { node, life, key, waiting: Default::default(), pushed_count: 0 }
    }

    /// Puts an input on its way; it takes up to `lag_max`.
    pub(super) fn push(
        &mut self,
        now: Instant,
        queue: &mut Queue,
        lane: Lane,
        lag_max: Duration,
        input: Input,
    ) {
        self.pushed_count += 1;
        let word = mix(self.key, self.pushed_count);
        let lag = if word.is_multiple_of(LAG_ONE_IN) { scale(mix(word, 1), nanos(lag_max)) } else { 0 };
        let last = |lane: Lane| self.waiting[lane as usize].back().map_or(now, |(at, _)| *at);
        let not_before = match lane {
            Lane::State | Lane::Replies => last(lane),
            Lane::Stream | Lane::OneShots => last(lane).max(last(Lane::Replies)),
        };
        let not_before = not_before.max(last(Lane::State));
        let at = now.after(Duration::from_nanos(lag)).max(not_before);
        self.waiting[lane as usize].push_back((at, Some(input)));
        queue.at(at, Due::Deliver { node: self.node, life: self.life, lane: lane as u8 });
    }

    /// Whether an event is waiting that came before what comes now.
    pub(super) fn has_waiting_event(&self) -> bool {
        [Lane::Stream, Lane::OneShots].into_iter().any(|lane| !self.waiting[lane as usize].is_empty())
    }

    /// Whether a reply is waiting that came before what comes now.
    pub(super) fn has_waiting_reply(&self) -> bool {
        !self.waiting[Lane::Replies as usize].is_empty()
    }

    /// All replies are due now: a new session begins only after they were delivered.
    pub(super) fn flush_replies(&mut self, now: Instant, queue: &mut Queue) {
        for (at, _) in &mut self.waiting[Lane::Replies as usize] {
            *at = now;
            queue.at(now, Due::Deliver { node: self.node, life: self.life, lane: Lane::Replies as u8 });
        }
    }

    /// The next input of a lane that is due.
    pub(super) fn pop(&mut self, now: Instant, lane: u8) -> Option<Input> {
        let lane = self.waiting.get_mut(usize::from(lane))?;
        if lane.front()?.0 > now {
            return None;
        }
        lane.pop_front().and_then(|(_, input)| input)
    }

    /// The connection whose streams these events came through is gone, and what was missed since will be read. Events of
    /// one-shot watches may still come, later than the port's contract allows: they are hints, and must do no harm.
    pub(super) fn drop_stream(&mut self) {
        for (_, event) in &mut self.waiting[Lane::Stream as usize] {
            *event = None;
        }
    }

    /// Nobody listens any more.
    pub(super) fn clear(&mut self) {
        self.waiting = Default::default();
    }
}

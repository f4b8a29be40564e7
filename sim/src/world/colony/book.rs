//! What everybody writes down, and who looks whether it can be true. A checker each: see the fields.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queenright::{Leadership, Token};

use super::Bounds;
use super::audit::{self, View};
use super::desks::Desks;
use super::leaders::Leaders;
use super::traffic::Traffic;
use crate::checkers::{Life, Violation};

/// Beyond its own timeout, a call may take so long: what it leaves behind has to be cleared away.
const CALL_SLACK: Duration = Duration::from_secs(2);

/// Shared by all lives of all nodes.
pub(super) struct Book {
    pub(super) bounds: Bounds,
    nodes: u8,
    pages: Mutex<Pages>,
}

pub(super) struct Pages {
    /// The first thing that was wrong.
    violation: Option<Violation>,
    /// Messages in order, and monitors once.
    pub(super) traffic: Traffic,
    /// One leader, and rising tokens.
    pub(super) leaders: Leaders,
    /// One process for each global, and who is there.
    pub(super) desks: Desks,
    /// What each node sees.
    pub(super) views: Vec<Option<View>>,
    /// Calls that have not returned: since when, and how long they may take.
    calls: Vec<Option<Call>>,
}

struct Call {
    what: &'static str,
    life: Life,
    begun_at: Duration,
    limit: Duration,
}

/// A call under way; dropping it says that it has returned, or that its node was killed.
pub(super) struct Calling<'a> {
    book: &'a Book,
    number: usize,
}

/// A belief under way; dropping it says that nothing of the term runs any more.
pub(super) struct Believing<'a> {
    book: &'a Book,
    life: Life,
}

impl Book {
    pub(super) fn new(nodes: u8, bounds: Bounds) -> Self {
        let pages = Pages {
            violation: None,
            traffic: Traffic::default(),
            leaders: Leaders::default(),
            desks: Desks::default(),
            views: (0..nodes).map(|_| None).collect(),
            calls: Vec::new(),
        };
        Self { bounds, nodes, pages: Mutex::new(pages) }
    }

    /// Writes something down that must be possible.
    pub(super) fn write(&self, act: impl FnOnce(&mut Pages) -> Result<(), Violation>) {
        let mut pages = self.lock();
        if let Err(violation) = act(&mut pages) {
            pages.violation.get_or_insert(violation);
        }
    }

    /// Does what ZooKeeper has to answer, in time.
    pub(super) async fn call<T>(
        &self,
        life: Life,
        now: Duration,
        (what, limit): (&'static str, Duration),
        call: impl Future<Output = T>,
    ) -> T {
        let number = {
            let mut pages = self.lock();
            let call = Some(Call { what, life, begun_at: now, limit: limit + CALL_SLACK });
            match pages.calls.iter().position(Option::is_none) {
                Some(free) => {
                    pages.calls[free] = call;
                    free
                }
                None => {
                    pages.calls.push(call);
                    pages.calls.len() - 1
                }
            }
        };
        let _calling = Calling { book: self, number };
        call.await
    }

    /// A node leads, and believes it as long as this exists.
    pub(super) fn believe(&self, life: Life, leadership: &Leadership) -> Believing<'_> {
        let leadership = leadership.clone();
        self.write(|pages| pages.leaders.elected(life, Box::new(move || leadership.is_valid())));
        Believing { book: self, life }
    }

    /// A leader does what only one may do, and shows its token.
    pub(super) fn act(&self, life: Life, token: Token, is_valid: bool) {
        self.write(|pages| pages.leaders.acts(life, token, is_valid));
    }

    /// What must be true at any time.
    pub(super) fn check(&self, now: Duration) -> Result<(), Violation> {
        let mut pages = self.lock();
        if let Some(violation) = pages.violation.take() {
            return Err(violation);
        }
        pages.leaders.check()?;
        let late = pages.calls.iter().flatten().find(|call| now > call.begun_at + call.limit);
        match late {
            Some(Call { what, life, begun_at, limit }) => Err(Violation::new(
                "completion",
                format!("{life} waits for {what} since {begun_at:?}, which is longer than {limit:?}"),
            )),
            None => Ok(()),
        }
    }

    /// What must be true when nothing has been wrong for long enough.
    pub(super) fn conclude(&self, now: Duration) -> Result<(), Violation> {
        let pages = self.lock();
        audit::conclude(now, self.nodes, &pages, &self.bounds)
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.book.lock().calls[self.number] = None;
    }
}

impl Drop for Believing<'_> {
    fn drop(&mut self) {
        // Outside of the lock: to let go of a leadership has effects.
        let belief = self.book.lock().leaders.stopped(self.life);
        drop(belief);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn a_call_that_does_not_return_is_seen_and_one_whose_node_was_killed_is_not() {
        let second = Duration::from_secs(1);
        let bounds = Bounds { lease: second, session_timeout: second, call: second, heartbeat: second };
        let book = Book::new(1, bounds);
        let life = Life { node: 0, number: 0 };
        let mut call = Box::pin(book.call(life, second, ("an answer", 3 * second), pending::<()>()));
        let waits = call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(waits.is_pending());
        book.check(second + 3 * second + CALL_SLACK).unwrap();
        assert_eq!(book.check(5 * second + CALL_SLACK).unwrap_err().property, "completion");
        drop(call);
        book.check(5 * second + CALL_SLACK).unwrap();
    }

    #[test]
    fn the_first_violation_is_told_once() {
        let second = Duration::from_secs(1);
        let book =
            Book::new(1, Bounds { lease: second, session_timeout: second, call: second, heartbeat: second });
        book.write(|_| Err(Violation::new("caches", "first")));
        book.write(|_| Err(Violation::new("leaders", "second")));
        assert_eq!(book.check(second).unwrap_err().detail, "first");
        book.check(second).unwrap();
    }
}

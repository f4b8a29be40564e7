//! A term of leadership, as its holder sees it.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use queenright_core::op::{ErrorCode, OpError, Reply, Version, Write, WriteReply};
use queenright_core::output::StopReason;
use queenright_core::{Instant, Name, Path, Token};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::handle::{Farewell, Handle, NotSent};
use crate::mutation::{Guards, Mutation};
use crate::port::Host;

/// Until when this node may believe that it leads whatever it leads: one number for all terms, so that a beat costs
/// one store, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Belief(AtomicU64);

impl Belief {
    pub(crate) fn extend(&self, until: Instant) {
        self.0.store(until.as_nanos(), Ordering::Release);
    }

    fn until(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// A term that this node holds or held.
pub(crate) struct Term {
    pub(crate) global: Name,
    pub(crate) token: Token,
    /// Where the term record is, and its version during the term.
    record: Path,
    version: i32,
    payload: Arc<[u8]>,
    belief: Arc<Belief>,
    /// A deadline that nothing extends, for this term alone; [`Instant::FAR_FUTURE`] until there is one.
    frozen: AtomicU64,
    stopping: CancellationToken,
    reason: OnceLock<StopReason>,
    host: Arc<dyn Host>,
    guards: Guards,
}

/// What an election gave.
pub(crate) struct Won {
    pub(crate) global: Name,
    pub(crate) token: Token,
    pub(crate) record: Path,
    pub(crate) version: i32,
    pub(crate) payload: Arc<[u8]>,
}

/// The proof that this node leads a global, for one term.
///
/// It answers from memory, and by the clock *at the call*: a process that was paused, or cut off, finds itself
/// deposed even if nobody could tell it. What it cannot know is how long an effect takes to arrive. Where two leaders
/// would do harm, send [`token`](Self::token) along and let the receiver refuse lower ones, or write to ZooKeeper
/// through [`guard`](Self::guard).
///
/// Clones stand for the same term. Dropping the last one ends the term: it is released, and another node may lead at
/// once. Keep it until everything that runs under it has stopped.
#[derive(Clone)]
#[must_use = "dropping a leadership gives it up"]
pub struct Leadership(Arc<Holding>);

/// Says that the application has stopped when the last clone goes.
struct Holding {
    term: Arc<Term>,
    handle: Handle,
}

/// Why a leader's write was not applied, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The term is over. Nothing was written.
    #[error("not written: the term is over")]
    NotLeading,
    /// ZooKeeper says that the term is over, and now the leadership does, too. Nothing was written.
    #[error("not written: somebody else has held the term record since")]
    Fenced,
    /// There is no connection. Nothing was written.
    #[error("not written: there is no connection to ZooKeeper")]
    NotConnected,
    /// ZooKeeper refused one of the writes, so nothing was written.
    #[error("not written: ZooKeeper refused write {index}: {}", crate::error::explain(*.code))]
    Refused {
        /// Which of the writes, from 0.
        index: usize,
        /// Why.
        code: ErrorCode,
    },
    /// ZooKeeper refused all of it.
    #[error("not written: ZooKeeper refused the transaction: {}", crate::error::explain(*.code))]
    RefusedWhole {
        /// Why.
        code: ErrorCode,
    },
    /// The connection broke first. It may have been written, and if so, then within the term.
    #[error("the connection broke before the answer came: it may have been written or not")]
    Unknown,
}

/// The term ended before the work did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the leadership ended before the work was done")]
pub struct Deposed;

impl Leadership {
    pub(crate) fn new(term: Arc<Term>, handle: Handle) -> Self {
        Self(Arc::new(Holding { term, handle }))
    }

    /// The term itself: it tells whether it is valid, and does not keep it.
    pub(crate) fn term(&self) -> Arc<Term> {
        Arc::clone(&self.0.term)
    }

    /// Which global.
    #[must_use]
    pub fn global(&self) -> &str {
        self.0.term.global.as_str()
    }

    /// The fencing token: greater than that of every earlier term of this global.
    #[must_use]
    pub fn token(&self) -> Token {
        self.0.term.token
    }

    /// The payload of the campaign that won this term.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.0.term.payload
    }

    /// Whether this node leads, by the clock now. Once false, it stays false.
    ///
    /// Costs two loads and a look at the clock.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.0.term.is_valid()
    }

    /// How long this node may go on leading if nothing is heard of ZooKeeper any more; zero when it does not lead.
    #[must_use]
    pub fn valid_for(&self) -> Duration {
        if self.is_valid() { self.0.term.until().since(self.0.term.host.now()) } else { Duration::ZERO }
    }

    /// Cancelled when the holder must stop: what runs under it should be over, and every clone of this dropped, before
    /// [`valid_for`](Self::valid_for) is zero.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.term.stopping
    }

    /// Why it must stop; `None` while it need not.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.0.term.reason.get().copied()
    }

    /// Does `work` as long as this node leads: the future is polled only while the term is valid, and dropped when it
    /// must stop.
    ///
    /// # Errors
    /// [`Deposed`] when the term ended first.
    ///
    /// Cancel-safe if `work` is: dropping this drops it.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Deposed> {
        let mut work = pin!(work);
        let mut stopping = pin!(self.stopping().cancelled());
        std::future::poll_fn(|cx| {
            if stopping.as_mut().poll(cx).is_ready() || !self.is_valid() {
                return Poll::Ready(Err(Deposed));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Applies `writes` to ZooKeeper, all or none, if and only if this term is not over when they are applied.
    ///
    /// The check is ZooKeeper's own, on the term record: it holds however late the writes arrive. Paths are below the
    /// chroot of the connect string.
    ///
    /// # Errors
    /// See [`GuardError`]. All but [`GuardError::Unknown`] mean that nothing was written.
    ///
    /// Not cancel-safe: who drops the future does not know whether it was written.
    pub async fn guard(&self, writes: Vec<Write>) -> Result<Vec<WriteReply>, GuardError> {
        let Holding { term, handle } = &*self.0;
        let Ok(_permit) = handle.hub.guarded.acquire().await else { return Err(GuardError::NotConnected) };
        if !term.is_valid() {
            return Err(GuardError::NotLeading);
        }
        let mut guarded =
            vec![Write::Check { path: term.record.clone(), version: Version::Exactly(term.version) }];
        guarded.extend(writes);
        match handle.write(guarded).await {
            Err(NotSent) => Err(GuardError::NotConnected),
            Ok(Ok(Reply::Multi(mut replies))) if !replies.is_empty() => {
                replies.remove(0);
                Ok(replies)
            }
            // Only a transaction was asked for.
            Ok(Ok(_)) | Ok(Err(OpError::Unknown)) => Err(GuardError::Unknown),
            Ok(Err(OpError::RefusedAt { index: 0, code: ErrorCode::BadVersion | ErrorCode::NoNode })) => {
                // ZooKeeper knows better than the clock: nobody should go on who was told so.
                term.end();
                Err(GuardError::Fenced)
            }
            Ok(Err(OpError::RefusedAt { index, code })) => match (index as usize).checked_sub(1) {
                Some(index) => Err(GuardError::Refused { index, code }),
                None => Err(GuardError::RefusedWhole { code }),
            },
            Ok(Err(OpError::Refused(code))) => Err(GuardError::RefusedWhole { code }),
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.term.end();
        let (global, token) = (self.term.global.clone(), self.term.token);
        self.handle.bid(Farewell::Stopped { global, token });
    }
}

impl Term {
    pub(crate) fn new(won: Won, belief: Arc<Belief>, host: Arc<dyn Host>, guards: Guards) -> Self {
        let Won { global, token, record, version, payload } = won;
        Self {
            global,
            token,
            record,
            version,
            payload,
            belief,
            frozen: AtomicU64::new(Instant::FAR_FUTURE.as_nanos()),
            stopping: CancellationToken::new(),
            reason: OnceLock::new(),
            host,
            guards,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        // The deadline first: one that was published after the clock was read could only be later.
        let until = self.until();
        if self.host.now() < until {
            return true;
        }
        // The driver may have heard of an extension that was not published yet; a holder that was told "no" once is
        // told so for ever, and must stop.
        self.end();
        false
    }

    /// Nothing extends the term beyond `deadline` any more; the application must stop.
    pub(crate) fn stop(&self, deadline: Instant, reason: StopReason) {
        self.frozen.fetch_min(deadline.as_nanos(), Ordering::AcqRel);
        let _ = self.reason.set(reason);
        self.stopping.cancel();
    }

    /// The term is over.
    pub(crate) fn end(&self) {
        self.frozen.store(Instant::ORIGIN.as_nanos(), Ordering::Release);
        self.stopping.cancel();
    }

    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    fn until(&self) -> Instant {
        if self.guards.lack(Mutation::EndlessTerm) {
            return Instant::FAR_FUTURE;
        }
        self.belief.until().min(Instant::from_nanos(self.frozen.load(Ordering::Acquire)))
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership")
            .field("global", &self.0.term.global)
            .field("token", &self.0.term.token)
            .field("stop_reason", &self.stop_reason())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queenright_core::Zxid;

    #[derive(Default)]
    struct Clock(AtomicU64);

    impl Host for Clock {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0.load(Ordering::Relaxed))
        }

        fn entropy(&self) -> u128 {
            0
        }
    }

    fn won(global: &str, belief: &Arc<Belief>, clock: &Arc<Clock>) -> Term {
        let won = Won {
            global: Name::new(global).unwrap(),
            token: Token(Zxid(1)),
            record: Path::root(),
            version: 1,
            payload: Arc::from(&b""[..]),
        };
        Term::new(won, Arc::clone(belief), Arc::clone(clock) as Arc<dyn Host>, Guards::default())
    }

    fn term() -> (Term, Arc<Belief>, Arc<Clock>) {
        let (belief, clock) = (Arc::new(Belief::default()), Arc::new(Clock::default()));
        let term = won("g", &belief, &clock);
        belief.extend(Instant::from_millis(100));
        (term, belief, clock)
    }

    #[test]
    fn validity_ends_by_the_clock_and_never_comes_back() {
        let (term, belief, clock) = term();
        clock.0.store(99, Ordering::Relaxed);
        assert!(term.is_valid());
        belief.extend(Instant::from_millis(200));
        clock.0.store(199, Ordering::Relaxed);
        assert!(term.is_valid());
        clock.0.store(200, Ordering::Relaxed);
        assert!(!term.is_valid());
        assert!(term.stopping.is_cancelled(), "who was told no must stop");
        belief.extend(Instant::from_millis(300));
        assert!(!term.is_valid(), "a late extension does not revive it");
    }

    #[test]
    fn a_frozen_deadline_is_final_and_concerns_one_term() {
        let (one, belief, clock) = term();
        let other = won("h", &belief, &clock);
        one.stop(Instant::from_millis(100), StopReason::Resigned);
        belief.extend(Instant::from_millis(200));
        clock.0.store(99, Ordering::Relaxed);
        assert!(one.is_valid() && one.stopping.is_cancelled());
        assert_eq!(one.stop_reason(), Some(StopReason::Resigned));
        clock.0.store(150, Ordering::Relaxed);
        assert!(!one.is_valid());
        assert!(other.is_valid() && !other.stopping.is_cancelled());
    }
}

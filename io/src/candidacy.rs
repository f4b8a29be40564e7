//! Standing for a global.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use queenright_core::{Name, Terms, Token};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::handle::{Command, Farewell, Handle};
use crate::leadership::{Leadership, Term};
use crate::lock::lock;
use crate::registration::Registration;

/// A candidacy for a global: it stays, term after term, until it is dropped or [`resign`](Self::resign)ed.
///
/// After a term that was lost, or that was given up by dropping its [`Leadership`], the client queues again.
#[must_use = "dropping a candidacy resigns"]
pub struct Candidacy {
    global: Name,
    terms: Terms,
    candidature: Arc<Candidature>,
    news: watch::Receiver<()>,
    /// The term of which [`Candidacy::next`] told.
    told: Option<Token>,
    timeout: Duration,
    handle: Handle,
    _membership: Arc<Registration>,
}

/// What happens to a candidate.
#[derive(Clone, Debug)]
pub enum CandidacyEvent {
    /// It leads. Dropping the leadership ends the term.
    Elected(Leadership),
    /// The term of which [`CandidacyEvent::Elected`] told is over.
    Revoked {
        /// Which term.
        token: Token,
    },
}

/// What the driver tells a candidacy. A level and not a queue: a term that nobody took before it ended leaves no trace.
pub(crate) struct Candidature {
    state: Mutex<State>,
    news: watch::Sender<()>,
    /// Its handle is gone.
    abandoned: CancellationToken,
}

enum State {
    Standing,
    /// Elected, and nobody took the leadership yet.
    Offered(Arc<Term>),
    Taken(Arc<Term>),
    /// Over for good.
    Withdrawn,
}

/// Whether somebody will say when the application has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answerable {
    Yes,
    Nobody,
}

impl Candidacy {
    pub(crate) fn new(
        global: Name,
        terms: Terms,
        candidature: Arc<Candidature>,
        timeout: Duration,
        handle: Handle,
        membership: Arc<Registration>,
    ) -> Self {
        let news = candidature.news.subscribe();
        Self { global, terms, candidature, news, told: None, timeout, handle, _membership: membership }
    }

    /// For which global.
    #[must_use]
    pub fn global(&self) -> &str {
        self.global.as_str()
    }

    /// The next event; `None` after the client was closed. [`CandidacyEvent::Elected`] and
    /// [`CandidacyEvent::Revoked`] alternate.
    ///
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<CandidacyEvent> {
        loop {
            self.news.borrow_and_update();
            let (event, is_over) = self.look();
            if event.is_some() || is_over {
                return event;
            }
            self.news.changed().await.ok()?;
        }
    }

    /// Waits until this client leads, as long as that takes.
    ///
    /// # Errors
    /// [`Error::Closed`] after the client was closed.
    ///
    /// Cancel-safe.
    pub async fn elected(&mut self) -> Result<Leadership, Error> {
        loop {
            match self.next().await {
                Some(CandidacyEvent::Elected(leadership)) => return Ok(leadership),
                Some(CandidacyEvent::Revoked { .. }) => {}
                None => return Err(Error::Closed),
            }
        }
    }

    /// The same as a stream; dropping it resigns.
    pub fn into_stream(self) -> impl Stream<Item = CandidacyEvent> + Send {
        stream::unfold(self, |mut candidacy| async move {
            let event = candidacy.next().await?;
            Some((event, candidacy))
        })
    }

    /// Replaces the payload, for the next term: a term under way, or a claim, keeps its own.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a payload that is too large, and when the candidacy is over; [`Error::Closed`] after the
    /// client was closed.
    pub async fn update(&self, payload: impl Into<Vec<u8>>) -> Result<(), Error> {
        let (global, payload, terms) = (self.global.clone(), payload.into(), self.terms);
        let candidature = Arc::clone(&self.candidature);
        self.handle.ask(|reply| Command::Recampaign { global, candidature, payload, terms, reply }).await
    }

    /// Resigns, and returns once nothing of the candidacy is left.
    ///
    /// If this client leads, [`Leadership::stopping`] is cancelled; the global is released when every clone of the
    /// leadership has been dropped, or at the latest when its deadline has passed.
    ///
    /// # Errors
    /// [`Error::Timeout`] when ZooKeeper did not confirm it in time; it is pursued all the same.
    pub async fn resign(self) -> Result<(), Error> {
        let (candidature, handle) = (Arc::clone(&self.candidature), self.handle.clone());
        let (global, limit) = (self.global.clone(), self.timeout);
        drop(self);
        match timeout(limit, candidature.withdrawn()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Timeout {
                what: format!("resigning as {global}"),
                timeout: limit,
                trouble: handle.trouble(),
            }),
        }
    }

    /// What there is to tell, and whether it is the last.
    fn look(&mut self) -> (Option<CandidacyEvent>, bool) {
        let mut state = lock(&self.candidature.state);
        let current = match &*state {
            State::Offered(term) | State::Taken(term) => Some(Arc::clone(term)),
            State::Standing | State::Withdrawn => None,
        };
        if let Some(token) = self.told
            && current.as_ref().is_none_or(|term| term.token != token)
        {
            self.told = None;
            return (Some(CandidacyEvent::Revoked { token }), false);
        }
        if let State::Offered(term) = &*state {
            let term = Arc::clone(term);
            self.told = Some(term.token);
            *state = State::Taken(Arc::clone(&term));
            return (Some(CandidacyEvent::Elected(Leadership::new(term, self.handle.clone()))), false);
        }
        (None, matches!(*state, State::Withdrawn))
    }
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        self.candidature.abandon();
        self.handle.bid(Farewell::Resign(self.global.clone(), Arc::clone(&self.candidature)));
    }
}

impl Candidature {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::Standing),
            news: watch::Sender::new(()),
            abandoned: CancellationToken::new(),
        }
    }

    pub(crate) fn elected(&self, term: Arc<Term>) {
        self.set(State::Offered(term));
    }

    /// The application must stop. Says whether anybody has it.
    pub(crate) fn stop(&self) -> Answerable {
        let mut state = lock(&self.state);
        match &*state {
            State::Taken(_) => Answerable::Yes,
            State::Offered(term) => {
                term.end();
                *state = State::Standing;
                Answerable::Nobody
            }
            State::Standing | State::Withdrawn => Answerable::Nobody,
        }
    }

    pub(crate) fn revoked(&self) {
        self.set(State::Standing);
    }

    pub(crate) fn withdraw(&self) {
        self.set(State::Withdrawn);
    }

    /// Nobody wants it any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.cancel();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.is_cancelled()
    }

    pub(crate) async fn withdrawn(&self) {
        let mut news = self.news.subscribe();
        while !matches!(*lock(&self.state), State::Withdrawn) {
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    fn set(&self, next: State) {
        let mut state = lock(&self.state);
        let current = std::mem::replace(&mut *state, next);
        drop(state);
        match current {
            State::Offered(term) | State::Taken(term) => term.end(),
            State::Standing | State::Withdrawn => {}
        }
        self.news.send_replace(());
    }
}

impl fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidacy").field("global", &self.global).finish_non_exhaustive()
    }
}

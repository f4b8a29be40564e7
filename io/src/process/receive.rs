use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::time::Duration;

use super::handle::{Process, held};
use super::inbox::Inbox;
use super::message::{Envelope, Fit, Message};

/// One case of a selective receive: which messages it takes, and what it makes of them.
pub struct Match<'a, R>(Box<dyn Case<R> + Send + 'a>);

impl<'a, R: 'a> Match<'a, R> {
    /// Takes any `T`.
    pub fn on<T: Message>(handle: impl FnMut(T) -> R + Send + 'a) -> Self {
        Self::when(|_: &T| true, handle)
    }

    /// Takes a `T` that `accept` likes.
    pub fn when<T: Message>(
        accept: impl FnMut(&T) -> bool + Send + 'a,
        handle: impl FnMut(T) -> R + Send + 'a,
    ) -> Self {
        Self(Box::new(Typed { accept, handle, of: PhantomData }))
    }

    /// Takes whatever it is, and drops it.
    pub fn any(handle: impl FnMut() -> R + Send + 'a) -> Self {
        Self(Box::new(Anything(handle)))
    }
}

impl Process {
    /// The next `T` in the mailbox; waits for one. Other messages stay where they are. Cancel-safe.
    pub async fn expect<T: Message>(&mut self) -> T {
        let take_any = |envelope: &mut Envelope| match envelope.is::<T>() {
            true => Look::Take(()),
            false => Look::Leave,
        };
        loop {
            let (envelope, ()) = self.first(take_any).await;
            // Decoded only here, so that it need not be put anywhere in between. What was spoiled is gone.
            if let Some(message) = envelope.into_message() {
                return message;
            }
        }
    }

    /// As [`expect`](Self::expect), for at most `timeout`; zero looks at what is there.
    pub async fn expect_timeout<T: Message>(&mut self, timeout: Duration) -> Option<T> {
        tokio::time::timeout(timeout, self.expect()).await.ok()
    }

    /// The first message in the mailbox that fits one of the cases, which are tried in their order; waits for
    /// one. Other messages stay where they are. Cancel-safe.
    ///
    /// ```no_run
    /// # use queenright::{Match, Process, ProcessMonitorNotification};
    /// enum News {
    ///     Job(String),
    ///     Died(ProcessMonitorNotification),
    /// }
    ///
    /// # async fn example(mut process: Process) {
    /// match process.receive_wait([Match::on(News::Job), Match::on(News::Died)]).await {
    ///     News::Job(text) => process.say(text),
    ///     News::Died(notice) => process.say(notice.reason),
    /// }
    /// # }
    /// ```
    pub async fn receive_wait<'a, R: 'a>(&mut self, mut cases: impl AsMut<[Match<'a, R>]> + Send) -> R {
        let cases = cases.as_mut();
        let (envelope, chosen) = self.first(|envelope| choose(cases, envelope)).await;
        cases[chosen].0.handle(envelope)
    }

    /// As [`receive_wait`](Self::receive_wait), for at most `timeout`; zero looks at what is there.
    pub async fn receive_timeout<'a, R: 'a>(
        &mut self,
        timeout: Duration,
        cases: impl AsMut<[Match<'a, R>]> + Send,
    ) -> Option<R> {
        tokio::time::timeout(timeout, self.receive_wait(cases)).await.ok()
    }

    /// The first envelope that `look` takes. Each is looked at once.
    async fn first<K>(&mut self, mut look: impl FnMut(&mut Envelope) -> Look<K>) -> (Envelope, K) {
        self.checkpoint().await;
        let inbox = &self.cell.inbox;
        let held = held(&mut self.held);
        let mut looked_at = 0;
        loop {
            while let Some(envelope) = held.get_mut(looked_at) {
                let key = match look(envelope) {
                    Look::Take(key) => Some(key),
                    Look::Leave => {
                        looked_at += 1;
                        continue;
                    }
                    Look::Discard => None,
                };
                let Some(envelope) = held.remove(looked_at) else { continue };
                inbox.received(envelope.charge());
                if held.is_empty() && held.capacity() > KEEP {
                    *held = VecDeque::new();
                }
                if let Some(key) = key {
                    return (envelope, key);
                }
            }
            wait(inbox, held).await;
        }
    }
}

/// What becomes of an envelope that a receive looked at.
enum Look<K> {
    Take(K),
    Leave,
    Discard,
}

impl<K> Look<K> {
    fn from_fit(fit: Fit, key: K) -> Self {
        match fit {
            Fit::Yes => Self::Take(key),
            Fit::No => Self::Leave,
            Fit::Spoiled => Self::Discard,
        }
    }
}

trait Case<R> {
    fn fit(&mut self, envelope: &mut Envelope) -> Fit;

    /// After [`Fit::Yes`] for this envelope.
    fn handle(&mut self, envelope: Envelope) -> R;
}

struct Typed<T, A, H> {
    accept: A,
    handle: H,
    of: PhantomData<fn(T)>,
}

impl<T: Message, R, A: FnMut(&T) -> bool, H: FnMut(T) -> R> Case<R> for Typed<T, A, H> {
    fn fit(&mut self, envelope: &mut Envelope) -> Fit {
        envelope.fit(&mut self.accept)
    }

    fn handle(&mut self, envelope: Envelope) -> R {
        (self.handle)(opened(envelope))
    }
}

struct Anything<H>(H);

impl<R, H: FnMut() -> R> Case<R> for Anything<H> {
    fn fit(&mut self, _: &mut Envelope) -> Fit {
        Fit::Yes
    }

    fn handle(&mut self, _: Envelope) -> R {
        (self.0)()
    }
}

/// An empty queue of more envelopes than this is given back.
const KEEP: usize = 1 << 10;

fn choose<R>(cases: &mut [Match<'_, R>], envelope: &mut Envelope) -> Look<usize> {
    for (key, case) in cases.iter_mut().enumerate() {
        match Look::from_fit(case.0.fit(envelope), key) {
            Look::Leave => {}
            look @ (Look::Take(_) | Look::Discard) => return look,
        }
    }
    Look::Leave
}

/// The message of an envelope that was found to fit.
fn opened<T: Message>(envelope: Envelope) -> T {
    match envelope.into_message() {
        Some(message) => message,
        None => unreachable!("it was looked at as a {}", std::any::type_name::<T>()),
    }
}

/// Until something arrives; for ever when the process is over.
async fn wait(inbox: &Inbox, held: &mut VecDeque<Envelope>) {
    if !poll_fn(|cx| inbox.poll_take(cx, held)).await {
        std::future::pending().await
    }
}

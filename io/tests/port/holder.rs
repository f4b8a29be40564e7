//! A port with its session, as a core would hold it.

#![allow(dead_code)] // Another test binary includes this file and uses a part of it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use queenright::port::ZooKeeper;
use queenright_core::op::{Change, Outcome, WatchEvent};
use queenright_core::{Input, Op, Path, Request, RequestId, SessionEpoch, SessionEvent, SessionId};
use tokio::time::timeout;

/// However busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// After so long nothing more is on its way.
const QUIET: Duration = Duration::from_millis(300);

pub(crate) struct Holder {
    port: Box<dyn ZooKeeper>,
    pub(crate) epoch: SessionEpoch,
    pub(crate) session: SessionId,
    next_request: u64,
    /// What came in while something else was waited for.
    aside: VecDeque<Input>,
}

impl Holder {
    pub(crate) async fn connect(port: Box<dyn ZooKeeper>) -> Self {
        let (epoch, session) = (SessionEpoch(0), SessionId(0));
        let mut holder = Self { port, epoch, session, next_request: 0, aside: VecDeque::new() };
        holder.connected().await;
        holder
    }

    pub(crate) async fn connected(&mut self) {
        match self.session_event().await {
            SessionEvent::Connected { session_epoch, session } => {
                assert!(session_epoch > self.epoch);
                (self.epoch, self.session) = (session_epoch, session);
            }
            other => panic!("{other:?} instead of a session"),
        }
    }

    /// The next input, whatever it is.
    pub(crate) async fn input(&mut self) -> Input {
        assert!(self.aside.is_empty(), "waited for before: {:?}", self.aside);
        self.fresh_input().await
    }

    /// Lets the port go on until there is an input, which is kept for later.
    pub(crate) async fn peek(&mut self) {
        let input = self.fresh_input().await;
        self.aside.push_back(input);
    }

    async fn fresh_input(&mut self) -> Input {
        timeout(PATIENCE, poll_fn(|cx| self.port.poll_input(cx))).await.expect("no input in time")
    }

    pub(crate) async fn session_event(&mut self) -> SessionEvent {
        self.find(|input| match input {
            Input::Session(event) => Some(*event),
            _ => None,
        })
        .await
    }

    /// The next event; servers before 3.9 tell no zxid of it.
    pub(crate) async fn watch_event(&mut self) -> (Change, Path) {
        self.find(|input| match input {
            Input::Watch { event: WatchEvent { change, path, .. }, .. } => Some((*change, path.clone())),
            _ => None,
        })
        .await
    }

    pub(crate) async fn response(&mut self, id: RequestId) -> Outcome {
        self.find(|input| match input {
            Input::Response { request, outcome, .. } if *request == id => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    async fn find<T>(&mut self, wanted: impl Fn(&Input) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.aside.iter().enumerate().find_map(|(at, input)| Some((at, wanted(input)?)))
        {
            self.aside.remove(at);
            return found;
        }
        loop {
            let input = self.fresh_input().await;
            match wanted(&input) {
                Some(found) => return found,
                None => self.aside.push_back(input),
            }
        }
    }

    /// Everything that comes until nothing does.
    pub(crate) async fn rest(&mut self) -> Vec<Input> {
        let mut rest = Vec::from(std::mem::take(&mut self.aside));
        while let Ok(input) = timeout(QUIET, poll_fn(|cx| self.port.poll_input(cx))).await {
            rest.push(input);
        }
        rest
    }

    /// Nothing more comes.
    pub(crate) async fn silence(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "{rest:?}");
    }

    pub(crate) fn submit(&mut self, op: Op) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.port.submit(Request { id, session_epoch: self.epoch, op });
        id
    }

    pub(crate) async fn call(&mut self, op: Op) -> Outcome {
        let id = self.submit(op);
        self.response(id).await
    }

    pub(crate) async fn close(mut self) {
        timeout(PATIENCE, poll_fn(|cx| self.port.poll_close(cx))).await.expect("no close in time");
    }
}

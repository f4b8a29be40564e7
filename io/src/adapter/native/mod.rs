//! The ZooKeeper port on the core's own client: its machine on a [`Network`], and nothing decided here.
//!
//! It runs wherever its network and its host do: in production, in a simulated network, on a paused clock.

mod link;
mod setup;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use queenright_core::wire::client::{Break, Client, Output};
use queenright_core::{Input, Instant, Request};
use tokio::time::{Sleep, sleep};
use tracing::debug;

use self::link::{Link, Progress};
use super::LastFailure;
use crate::config::Config;
use crate::error::Error;
use crate::port::{Host, Network, ZooKeeper};

/// The longest sleep: tokio's clock stops while the machine is suspended, and the host's does not.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// ZooKeeper through the core's own client.
///
/// It delivers replies and events in the order of the wire, shows the zxid of replies, answers at once while there is
/// no connection, and arms recursive watches again by itself.
pub struct NativeClient {
    machine: Client,
    /// Of the machine's servers, by their numbers.
    servers: Vec<String>,
    network: Arc<dyn Network>,
    host: Arc<dyn Host>,
    link: Option<Link>,
    /// Found, and not yet delivered.
    inputs: VecDeque<Input>,
    alarm: Alarm,
    /// Whom to wake when something was submitted that is to be written.
    waker: Option<Waker>,
    last_failure: LastFailure,
}

impl NativeClient {
    /// A port that connects when it is first polled, within a tokio runtime with time.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(config: &Config, network: Arc<dyn Network>, host: Arc<dyn Host>) -> Result<Self, Error> {
        config.check()?;
        let entropy = host.entropy();
        let servers = setup::servers(config, entropy)?;
        let machine = Client::new(host.now(), setup::machine(config, entropy, servers.len())?);
        Ok(Self {
            machine,
            servers,
            network,
            host,
            link: None,
            inputs: VecDeque::new(),
            alarm: Alarm { sleep: Box::pin(sleep(SLEEP_MAX)), at: None },
            waker: None,
            last_failure: LastFailure::default(),
        })
    }

    pub(crate) fn last_failure(&self) -> LastFailure {
        Arc::clone(&self.last_failure)
    }

    /// Carries out what the machine wants done. `trouble` is what the network said.
    fn carry_out(&mut self, trouble: Option<&str>) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect { server, request } => {
                    let address = self.servers.get(server).cloned().unwrap_or_default();
                    self.link = Some(Link::dial(Arc::clone(&self.network), address, &request));
                }
                Output::Send { xid, request } => {
                    if let Some(link) = &mut self.link {
                        link.send(xid, &request);
                    }
                }
                Output::Disconnect { reason } => self.disconnect(reason, trouble),
                Output::Input(input) => {
                    if let Input::Session(event) = &input {
                        debug!(?event);
                        if self.machine.is_up() {
                            self.last_failure.store(None);
                        }
                    }
                    self.inputs.push_back(input);
                }
                Output::Closed => {}
            }
        }
    }

    fn disconnect(&mut self, reason: Break, trouble: Option<&str>) {
        let Some(link) = self.link.take() else { return };
        let failure = match trouble {
            Some(trouble) => format!("{}: {reason}: {trouble}", link.address()),
            None => format!("{}: {reason}", link.address()),
        };
        debug!(%failure, "left a server");
        self.last_failure.store(Some(Arc::new(failure)));
    }

    /// Goes on until nothing can: whether something was done.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.host.now();
        // What came before a deadline is heard before it, however late this is polled.
        if let Some(link) = &mut self.link {
            match link.poll(cx) {
                Progress::None => {}
                Progress::Read => {
                    while self.link.as_mut().is_some_and(|link| link.deliver(now, &mut self.machine)) {
                        self.carry_out(None);
                    }
                    return true;
                }
                Progress::Broken(error) => {
                    self.machine.handle_break(now, Break::Transport);
                    self.carry_out(Some(&error.to_string()));
                    return true;
                }
            }
        }
        let Some(deadline) = self.machine.poll_timeout() else { return false };
        if deadline <= now {
            self.machine.handle_timeout(now);
            self.carry_out(None);
            return true;
        }
        self.alarm.poll(cx, now, deadline)
    }
}

impl ZooKeeper for NativeClient {
    fn submit(&mut self, request: Request) {
        self.machine.submit(self.host.now(), request);
        self.carry_out(None);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        loop {
            // What was submitted leaves before what came is dealt with.
            if let Some(link) = &mut self.link {
                link.poll_write(cx);
            }
            if let Some(input) = self.inputs.pop_front() {
                return Poll::Ready(input);
            }
            if !self.advance(cx) {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// What is in flight is carried out, and not answered any more.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.machine.close(self.host.now());
        self.carry_out(None);
        loop {
            self.inputs.clear();
            if self.machine.is_closed() {
                return Poll::Ready(());
            }
            if !self.advance(cx) {
                return Poll::Pending;
            }
        }
    }
}

/// A sleep that is set anew only when a deadline comes closer: one that comes too early does no harm.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it rings.
    at: Option<Instant>,
}

impl Alarm {
    /// Whether it rang.
    fn poll(&mut self, cx: &mut Context<'_>, now: Instant, deadline: Instant) -> bool {
        if self.at.is_none_or(|at| at > deadline || at <= now) {
            let pause = deadline.since(now).min(SLEEP_MAX);
            self.sleep.as_mut().reset(tokio::time::Instant::now() + pause);
            self.at = Some(now.after(pause));
        }
        let rang = self.sleep.as_mut().poll(cx).is_ready();
        if rang {
            self.at = None;
        }
        rang
    }
}

impl fmt::Debug for NativeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeClient")
            .field("servers", &self.servers)
            .field("session_epoch", &self.machine.session_epoch())
            .finish_non_exhaustive()
    }
}

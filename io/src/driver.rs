//! The only loop: it moves data between the core, the ports and the handles, and decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use queenright_core::op::{OpError, Outcome, Write};
use queenright_core::recording::Step;
use queenright_core::{
    Event, HostEvent, Input, Instant, Misuse, Op, Output, Request, RequestId, SessionEpoch, SessionEvent,
    Timer,
};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};
use tracing::{debug, trace};

use crate::handle::{Command, Farewell, Inbox, NotSent, Standing};
use crate::port::{Host, ZooKeeper};
use crate::publisher::Publisher;
use crate::recording::Recorded;

/// The longest sleep. Tokio's clock stops while the machine is suspended and the host's does not, so after waking up
/// a deadline may be much nearer than it was when the sleep began.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// A coordinator and what surrounds it.
pub(crate) struct Driver {
    core: Recorded,
    zookeeper: Box<dyn ZooKeeper>,
    host: Arc<dyn Host>,
    inbox: Inbox,
    publisher: Publisher,
    writes: Writes,
    close_timeout: Duration,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// The core was told to close; commands are refused by it, or nobody is left to give any.
    Closing,
    Closed,
}

/// What the driver woke up for.
enum Wake {
    Deadline,
    Farewell(Farewell),
    Command(Option<Command>),
    Input(Input),
}

impl Driver {
    pub(crate) fn new(
        core: Recorded,
        zookeeper: Box<dyn ZooKeeper>,
        host: Arc<dyn Host>,
        inbox: Inbox,
        publisher: Publisher,
    ) -> Self {
        let close_timeout = core.machine().config().close_timeout;
        let (writes, phase) = (Writes::default(), Phase::Running);
        Self { core, zookeeper, host, inbox, publisher, writes, close_timeout, phase }
    }

    /// Runs until it was told to close, or until nobody holds a handle any more, and then closes in good order.
    pub(crate) async fn run(mut self) {
        let mut alarm = Alarm::new(Arc::clone(&self.host));
        loop {
            self.settle();
            if self.phase == Phase::Closed {
                break;
            }
            // Inputs that are always ready must not starve the runtime, nor the timers, which are polled with it.
            tokio::task::consume_budget().await;
            let deadline = self.core.machine().poll_timeout().map(|(at, _)| at);
            let wake = tokio::select! {
                biased;
                () = alarm.at(deadline) => Wake::Deadline,
                Some(farewell) = self.inbox.farewells.recv() => Wake::Farewell(farewell),
                command = self.inbox.commands.recv(), if self.phase == Phase::Running => Wake::Command(command),
                input = poll_fn(|cx| self.zookeeper.poll_input(cx)) => Wake::Input(input),
            };
            // After the input was received, or a belief could outlive a pause between the two (election rule 1).
            let now = self.host.now();
            match wake {
                Wake::Deadline => self.handle_deadline(now),
                Wake::Farewell(farewell) => self.handle_farewell(now, farewell),
                Wake::Command(Some(command)) => self.handle_command(now, command),
                Wake::Command(None) => self.close(now),
                Wake::Input(input) => self.handle_input(now, input),
            }
        }
        self.core.end(self.host.now()).await;
        let closed = timeout(self.close_timeout, poll_fn(|cx| self.zookeeper.poll_close(cx))).await;
        debug!(in_time = closed.is_ok(), "closed");
    }

    /// Carries out everything that the core wants done.
    fn settle(&mut self) {
        let mut answers = VecDeque::new();
        loop {
            while let Some(output) = self.core.poll_output() {
                trace!(?output);
                self.host.observe(&output);
                match output {
                    Output::Request(request) => self.zookeeper.submit(request),
                    Output::Event(Event::Closed) => self.phase = Phase::Closed,
                    Output::Event(event) => {
                        answers.extend(self.publisher.publish(event, self.core.machine()))
                    }
                }
            }
            match answers.pop_front() {
                Some(answer) => self.tell(self.host.now(), Step::Input(answer)),
                None => return,
            }
        }
    }

    fn handle_deadline(&mut self, now: Instant) {
        if let Some((_, Timer::Idle)) = self.core.machine().poll_timeout() {
            // Lookups do not enter the driver, so it asks what was looked at.
            let (directories, globals) = self.publisher.take_used();
            for directory in directories {
                self.tell(now, Step::Touch(directory));
            }
            for global in globals {
                self.tell(now, Step::TouchGlobal(global));
            }
        }
        self.tell(now, Step::Timeout);
    }

    fn handle_input(&mut self, now: Instant, input: Input) {
        trace!(%now, ?input);
        if let Some(input) = self.writes.take(input) {
            self.tell(now, Step::Input(input));
        }
    }

    /// Calls of the core that it does not refuse.
    fn tell(&mut self, now: Instant, step: Step) {
        drop(self.core.take(now, step));
    }

    fn handle_farewell(&mut self, now: Instant, farewell: Farewell) {
        match farewell {
            // After closing began it is withdrawn already.
            Farewell::Unregister(id) => self.tell(now, Step::Unregister(id)),
            Farewell::Resign(global, candidature) => {
                if self.publisher.is_current(&global, &candidature) {
                    // An error means that the core is withdrawing it already, and will say when it is done.
                    self.tell(now, Step::Resign(global));
                }
            }
            Farewell::Stopped { global, token } => {
                self.tell(now, Step::Input(Input::Host(HostEvent::Stopped { global, token })));
            }
            Farewell::Close => self.close(now),
        }
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Register { directory, instance, payload, reply } => {
                match self.core.take(now, Step::Register { directory, instance, payload }) {
                    Ok(None) => {}
                    Ok(Some(id)) => {
                        let registered = Ok((id, self.publisher.add_registration(id)));
                        if reply.send(registered).is_err() {
                            self.tell(now, Step::Unregister(id));
                        }
                    }
                    Err(misuse) => drop(reply.send(Err(misuse))),
                }
            }
            Command::Update { id, payload, reply } => {
                let result = self.core.take(now, Step::Update { id, payload }).map(drop);
                // Its status first: the caller waits for the next "registered", not for the last one.
                self.settle();
                let _ = reply.send(result);
            }
            Command::Subscribe { directory, reply } => {
                let published = self.publisher.open_directory(&directory);
                // Following before subscribing: it counts as use from the first moment.
                let life = published.follow();
                let result = self.core.take(now, Step::Subscribe(directory));
                let _ = reply.send(result.map(|_| (published, life)));
            }
            Command::LookUp { global, reply } => {
                let published = self.publisher.open_holder(&global);
                let life = published.follow();
                let result = self.core.take(now, Step::LookUp(global));
                let _ = reply.send(result.map(|_| (published, life)));
            }
            Command::Campaign { global, payload, terms, candidature, reply } => {
                // Farewells overtake commands: the caller may be gone, and have said so.
                if candidature.is_abandoned() {
                    return;
                }
                if let Some(candidature) = self.publisher.candidature(&global) {
                    let _ = reply.send(Ok(Standing::Taken(candidature)));
                    return;
                }
                self.publisher.open_candidature(global.clone(), candidature);
                let result = self.core.take(now, Step::Campaign { global: global.clone(), payload, terms });
                if result.is_err() {
                    self.publisher.close_candidature(&global);
                }
                let _ = reply.send(result.map(|_| Standing::New));
            }
            Command::Recampaign { global, candidature, payload, terms, reply } => {
                let stands = self.publisher.is_current(&global, &candidature) && !candidature.is_abandoned();
                let result = if stands {
                    self.core.take(now, Step::Campaign { global, payload, terms }).map(drop)
                } else {
                    Err(Misuse::NotCandidate { global })
                };
                let _ = reply.send(result);
            }
            Command::Write { writes, reply } => self.writes.submit(&mut *self.zookeeper, writes, reply),
        }
    }

    fn close(&mut self, now: Instant) {
        self.phase = Phase::Closing;
        self.tell(now, Step::Close);
    }
}

/// Leaders' own writes, which pass by the core: they decide nothing in it.
#[derive(Default)]
struct Writes {
    link: Link,
    count: u64,
    in_flight: BTreeMap<RequestId, oneshot::Sender<Result<Outcome, NotSent>>>,
}

#[derive(Clone, Copy, Default)]
enum Link {
    #[default]
    None,
    Up(SessionEpoch),
    Down(SessionEpoch),
}

impl Writes {
    fn submit(
        &mut self,
        zookeeper: &mut dyn ZooKeeper,
        writes: Vec<Write>,
        reply: oneshot::Sender<Result<Outcome, NotSent>>,
    ) {
        // While the connection is down a request would wait in the client for who knows how long.
        let Link::Up(session_epoch) = self.link else {
            let _ = reply.send(Err(NotSent));
            return;
        };
        self.count += 1;
        // The core counts from below, and will never come here.
        let id = RequestId(u64::MAX - self.count);
        self.in_flight.insert(id, reply);
        zookeeper.submit(Request { id, session_epoch, op: Op::Multi(writes) });
    }

    /// Takes an answer to a write out of the inputs.
    fn take(&mut self, input: Input) -> Option<Input> {
        match input {
            Input::Response { request, outcome, .. } if self.in_flight.contains_key(&request) => {
                if let Some(reply) = self.in_flight.remove(&request) {
                    let _ = reply.send(Ok(outcome));
                }
                None
            }
            Input::Session(event) => {
                self.link = match (event, self.link) {
                    (SessionEvent::Connected { session_epoch, .. }, _) => Link::Up(session_epoch),
                    (SessionEvent::Suspended, Link::Up(epoch) | Link::Down(epoch)) => Link::Down(epoch),
                    (SessionEvent::Reconnected, Link::Up(epoch) | Link::Down(epoch)) => Link::Up(epoch),
                    (SessionEvent::Suspended | SessionEvent::Reconnected, Link::None)
                    | (SessionEvent::Lost, _) => Link::None,
                };
                Some(Input::Session(event))
            }
            Input::Response { .. } | Input::Watch { .. } | Input::Host(_) => Some(input),
        }
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        for (_, reply) in std::mem::take(&mut self.in_flight) {
            let _ = reply.send(Ok(Err(OpError::Unknown)));
        }
    }
}

/// Sleeps until a point of the host's clock.
struct Alarm {
    host: Arc<dyn Host>,
    sleep: Pin<Box<Sleep>>,
    /// For which deadline the sleep is set.
    set_for: Option<Instant>,
}

impl Alarm {
    fn new(host: Arc<dyn Host>) -> Self {
        Self { host, sleep: Box::pin(sleep(SLEEP_MAX)), set_for: None }
    }

    async fn at(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        loop {
            let now = self.host.now();
            if now >= deadline {
                self.set_for = None;
                return;
            }
            if self.set_for != Some(deadline) || self.sleep.is_elapsed() {
                let pause = deadline.since(now).min(SLEEP_MAX);
                self.sleep.as_mut().reset(tokio::time::Instant::now() + pause);
                self.set_for = Some(deadline);
            }
            self.sleep.as_mut().await;
        }
    }
}

#[cfg(test)]
mod tests;

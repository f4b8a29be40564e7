//! The loop on a fake ZooKeeper and a fake clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use queenright_core::Coordinator;
use queenright_core::op::{Reply, Version, WriteReply};
use queenright_core::output::SessionStatus;
use queenright_core::{Config, Directory, Incarnation, Name, Path, SessionId, Terms};
use tokio::sync::mpsc;

use super::*;
use crate::candidacy::Candidature;
use crate::handle::{Handle, Hub};
use crate::lock::lock;
use crate::mutation::Guards;
use crate::published::Life;

/// Tokio's clock, which tests pause, and what they add to it.
struct Clock {
    origin: tokio::time::Instant,
    suspended_millis: AtomicU64,
}

impl Host for Clock {
    fn now(&self) -> Instant {
        let suspended = Duration::from_millis(self.suspended_millis.load(Ordering::Relaxed));
        Instant::ORIGIN.after(self.origin.elapsed() + suspended)
    }

    fn entropy(&self) -> u128 {
        7
    }
}

/// Answers nothing by itself.
struct Fake {
    seen: Arc<Mutex<Seen>>,
    inputs: mpsc::UnboundedReceiver<Input>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    is_closed: bool,
}

impl ZooKeeper for Fake {
    fn submit(&mut self, request: Request) {
        lock(&self.seen).requests.push(request);
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        match self.inputs.poll_recv(cx) {
            Poll::Ready(Some(input)) => Poll::Ready(input),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        lock(&self.seen).is_closed = true;
        Poll::Ready(())
    }
}

struct World {
    handle: Handle,
    hub: Arc<Hub>,
    clock: Arc<Clock>,
    seen: Arc<Mutex<Seen>>,
    inputs: mpsc::UnboundedSender<Input>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn start() -> World {
    let clock = Arc::new(Clock { origin: tokio::time::Instant::now(), suspended_millis: AtomicU64::new(0) });
    let host: Arc<dyn Host> = Arc::clone(&clock) as Arc<dyn Host>;
    let hub = Arc::new(Hub::new(Arc::clone(&host), Guards::default()));
    let (handle, inbox) = Handle::new(Arc::clone(&hub));
    let (inputs, fake_inputs) = mpsc::unbounded_channel();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let fake = Fake { seen: Arc::clone(&seen), inputs: fake_inputs };
    let core = Coordinator::new(Config::new(name("node"), Incarnation(7)), host.now()).unwrap();
    let publisher = Publisher::new(Arc::clone(&hub));
    tokio::spawn(Driver::new(Recorded::without(core), Box::new(fake), host, inbox, publisher).run());
    World { handle, hub, clock, seen, inputs }
}

impl World {
    fn input(&self, event: SessionEvent) {
        self.inputs.send(Input::Session(event)).unwrap();
    }

    async fn connect(&self) {
        self.input(SessionEvent::Connected { session_epoch: SessionEpoch(1), session: SessionId(1) });
        self.session(|status| matches!(status, SessionStatus::Connected { .. })).await;
    }

    async fn session(&self, wanted: impl Fn(SessionStatus) -> bool) {
        let mut session = self.hub.session.subscribe();
        session.wait_for(|status| status.is_some_and(&wanted)).await.unwrap();
    }

    /// Lets the driver do what it can without time passing.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn count(&self, wanted: impl Fn(&Op) -> bool) -> usize {
        lock(&self.seen).requests.iter().filter(|request| wanted(&request.op)).count()
    }

    fn last(&self) -> Request {
        lock(&self.seen).requests.last().unwrap().clone()
    }
}

fn register(directory: &str, reply: crate::handle::Reply<Registered>) -> Command {
    let directory = Directory::Service(name(directory));
    Command::Register { directory, instance: name("i"), payload: vec![1], reply }
}

type Registered = (
    queenright_core::RegistrationId,
    tokio::sync::watch::Receiver<queenright_core::output::RegistrationStatus>,
);

fn is_create(op: &Op) -> bool {
    matches!(op, Op::Create { path, .. } if path.as_str().ends_with("/i+"))
}

#[tokio::test(start_paused = true)]
async fn what_was_done_for_a_caller_that_is_gone_is_undone() {
    let world = start();
    world.connect().await;
    // Dropped before the driver answers: nothing is ever created.
    let mut asking = Box::pin(world.handle.ask(|reply| register("s", reply)));
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    drop(asking);
    world.settle().await;
    let registered = world.handle.ask(|reply| register("s", reply)).await;
    assert!(
        matches!(registered, Err(crate::Error::Misuse(_))),
        "the first one is being withdrawn, so the name is not free yet: {registered:?}"
    );
    assert!(world.handle.ask(|reply| register("other", reply)).await.is_ok());
    world.settle().await;
    assert_eq!(world.count(is_create), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_to_a_caller_that_is_gone_by_then_is_undone() {
    let world = start();
    let begin = || {
        let (directory, limit) = (Directory::Service(name("s")), Duration::from_secs(1));
        crate::registration::Registration::begin(&world.handle, directory, name("i"), vec![1], limit)
    };
    let mut beginning = Box::pin(begin());
    assert!(futures_util::poll!(beginning.as_mut()).is_pending());
    // The driver has answered, and the answer is not looked at.
    world.settle().await;
    drop(beginning);
    world.settle().await;
    assert!(begin().await.is_ok(), "the name is free");
}

fn campaign(candidature: &Arc<Candidature>) -> impl FnOnce(crate::handle::Reply<Standing>) -> Command {
    let (global, payload, candidature) = (name("boss"), b"me".to_vec(), Arc::clone(candidature));
    move |reply| Command::Campaign { global, payload, terms: Terms::One, candidature, reply }
}

#[tokio::test(start_paused = true)]
async fn a_good_bye_is_to_the_candidacy_that_it_names_and_to_no_later_one() {
    let world = start();
    let (first, second) = (Arc::new(Candidature::new()), Arc::new(Candidature::new()));
    assert!(matches!(world.handle.ask(campaign(&first)).await, Ok(Standing::New)));
    assert!(matches!(world.handle.ask(campaign(&second)).await, Ok(Standing::Taken(_))));
    world.handle.bid(Farewell::Resign(name("boss"), Arc::clone(&first)));
    first.withdrawn().await;

    assert!(matches!(world.handle.ask(campaign(&second)).await, Ok(Standing::New)));
    world.handle.bid(Farewell::Resign(name("boss"), Arc::clone(&first)));
    world.settle().await;
    assert!(futures_util::poll!(Box::pin(second.withdrawn())).is_pending());
    let update = |candidature| {
        let (global, payload) = (name("boss"), b"you".to_vec());
        world.handle.ask(|reply| Command::Recampaign {
            global,
            candidature,
            payload,
            terms: Terms::One,
            reply,
        })
    };
    assert!(matches!(update(Arc::clone(&first)).await, Err(crate::Error::Misuse(_))), "it is over");
    assert!(update(second).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_candidacy_of_a_caller_that_is_gone_never_stands() {
    let world = start();
    let (gone, other) = (Arc::new(Candidature::new()), Arc::new(Candidature::new()));
    let mut asking = Box::pin(world.handle.ask(campaign(&gone)));
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    // Good-byes overtake commands.
    drop(asking);
    gone.abandon();
    world.handle.bid(Farewell::Resign(name("boss"), gone));
    world.settle().await;
    assert!(matches!(world.handle.ask(campaign(&other)).await, Ok(Standing::New)));
}

#[tokio::test(start_paused = true)]
async fn the_loop_ends_when_nobody_holds_a_handle_any_more() {
    let world = start();
    let World { handle, hub, seen, .. } = world;
    let mut life = hub.life.subscribe();
    drop(handle);
    life.wait_for(|life| *life == Life::Over).await.unwrap();
    assert!(lock(&seen).is_closed);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_runtime_tells_every_handle() {
    let world = start();
    world.connect().await;
    let subscribe = |reply| Command::Subscribe { directory: Directory::Nodes, reply };
    let (_, mut life) = world.handle.ask(subscribe).await.unwrap();
    world.handle.bid(Farewell::Close);
    life.wait_for(|life| *life == Life::Over).await.unwrap();
    assert!(matches!(world.handle.ask(subscribe).await, Err(crate::Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn inputs_that_never_end_starve_neither_commands_nor_deadlines() {
    let world = start();
    world.connect().await;
    let (inputs, stop) = (world.inputs.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let flood = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            for _ in 0..1_000 {
                let _ = inputs.send(Input::Session(SessionEvent::Reconnected));
            }
            tokio::task::yield_now().await;
        }
    });
    let asked = timeout(Duration::from_secs(5), world.handle.ask(|reply| register("s", reply))).await;
    assert!(asked.is_ok());
    stop.store(true, Ordering::Relaxed);
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leaders_write_passes_by_the_core_and_is_answered_once() {
    let world = start();
    let write = || vec![Write::Delete { path: Path::new("/x").unwrap(), version: Version::Any }];
    assert!(world.handle.write(write()).await.is_err(), "no connection, not sent");
    world.connect().await;
    let handle = world.handle.clone();
    let writing = tokio::spawn(async move { handle.write(write()).await });
    world.settle().await;
    let request = world.last();
    assert_eq!((request.session_epoch, &request.op), (SessionEpoch(1), &Op::Multi(write())));
    let outcome = Ok(Reply::Multi(vec![WriteReply::Deleted]));
    let (session_epoch, request) = (SessionEpoch(1), request.id);
    world
        .inputs
        .send(Input::Response { session_epoch, request, zxid: None, outcome: outcome.clone() })
        .unwrap();
    assert!(writing.await.unwrap().is_ok_and(|answer| answer == outcome));

    world.input(SessionEvent::Suspended);
    world.session(|status| status == SessionStatus::Suspended).await;
    assert!(world.handle.write(write()).await.is_err(), "the connection is down, not sent");
    world.input(SessionEvent::Reconnected);
    world.session(|status| status == SessionStatus::Reconnected).await;
    let handle = world.handle.clone();
    let writing = tokio::spawn(async move { handle.write(write()).await });
    world.settle().await;
    world.handle.bid(Farewell::Close);
    let answer = writing.await.unwrap();
    assert!(answer.is_ok_and(|answer| answer == Err(OpError::Unknown)), "sent, and never answered");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_met_by_the_hosts_clock_after_a_suspension() {
    let clock = Arc::new(Clock { origin: tokio::time::Instant::now(), suspended_millis: AtomicU64::new(0) });
    let mut alarm = Alarm::new(Arc::clone(&clock) as Arc<dyn Host>);
    let deadline = clock.now().after(Duration::from_secs(3_600));
    let started = tokio::time::Instant::now();
    let waiting = tokio::spawn(async move { alarm.at(Some(deadline)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The machine sleeps for an hour; tokio's clock does not notice.
    clock.suspended_millis.store(3_600_000, Ordering::Relaxed);
    waiting.await.unwrap();
    assert!(started.elapsed() <= SLEEP_MAX + Duration::from_millis(2), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn idle_caches_are_dropped_unless_they_were_used() {
    let world = start();
    world.connect().await;
    let open = |service: &str| Directory::Service(name(service));
    for service in ["used", "unused"] {
        let directory = open(service);
        let (published, life) =
            world.handle.ask(|reply| Command::Subscribe { directory, reply }).await.unwrap();
        drop((published, life));
    }
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.hub.services.load("used").unwrap();
    }
    assert!(world.hub.services.get("used").is_some());
    assert!(world.hub.services.get("unused").is_none(), "the next lookup begins anew");
    assert!(world.clock.now() > Instant::from_millis(600_000));
}

//! A worker for benchmarks beside other libraries: commands are lines on standard input, events are lines of JSON on
//! standard output. Whoever drives it starts several, of several libraries, against one ZooKeeper, and compares.
//!
//! ```text
//! cargo run --release --example peer_worker -- ours 127.0.0.1:2181 1000
//! ```
//!
//! | command | effect, and events |
//! |---|---|
//! | `poll 1` | from now on leaders ask all the time whether they lead, and write down when they did |
//! | `elect ID PATH` | a candidate with a session of its own: `lead`, `unlead` |
//! | `resign ID` | it steps down, and keeps the session: `resigned` |
//! | `actions ID T` | what it wrote down since: `actions` |
//! | `register SERVICE N seq\|par` | N instances with 230 bytes each, one after the other or all at once: `registered` |
//! | `watch SERVICE`, `expect N` | follow it: `watching`; tell when N are there: `visible` |
//! | `lookup N` | so many lookups: `lookup`, `lookups_done` |
//! | `quit` | close everything |
//!
//! Times are those of the monotonic clock, in nanoseconds, which all processes of a machine share.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use futures_util::{StreamExt, future};
use queenright::{Candidacy, CandidacyEvent, Client, Config, Error, Leadership, Registration, pick};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{oneshot, watch};

/// Leases are no longer than this, however long sessions are.
const LEASE_MAX: Duration = Duration::from_secs(3);
/// A client may have 5,000 registrations, and no more.
const REGISTRATIONS_EACH: usize = 5_000;
const PAYLOAD: [u8; 230] = [b'x'; 230];
/// How often a leader acts.
const ACTION_EVERY: Duration = Duration::from_micros(200);

/// A worker for benchmarks beside other libraries: it takes commands from standard input.
#[derive(Parser)]
#[command(name = "peer_worker")]
struct Cli {
    /// Which way of doing it; there is one.
    variant: String,
    /// host:port of ZooKeeper.
    server: String,
    /// The session timeout in milliseconds.
    session_ms: u64,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.variant != "ours" {
        eprintln!("peer_worker: the variant is \"ours\", not {:?}", cli.variant);
        return ExitCode::from(2);
    }
    let mut worker = Worker { cli, is_polling: false, candidates: HashMap::new(), directory: None };
    tell(json!({ "ev": "ready", "t": now() }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words == ["quit"] {
            break;
        }
        if let Err(error) = worker.take(&words).await {
            tell(json!({ "ev": "error", "what": format!("{line}: {error}") }));
        }
    }
    worker.close().await;
    ExitCode::SUCCESS
}

struct Worker {
    cli: Cli,
    is_polling: bool,
    candidates: HashMap<String, Candidate>,
    directory: Option<Directory>,
}

struct Candidate {
    client: Client,
    actions: Arc<Mutex<Vec<u64>>>,
    resign: Option<oneshot::Sender<()>>,
}

struct Directory {
    client: Client,
    /// Beside that one: clients for more registrations than one may have.
    more: Vec<Client>,
    registered: Arc<Mutex<Vec<Registration>>>,
    made: usize,
    /// The service that is followed.
    service: String,
    expected: watch::Sender<Option<usize>>,
}

impl Worker {
    async fn take(&mut self, words: &[&str]) -> Result<(), Failure> {
        match *words {
            ["poll", on] => self.is_polling = on == "1",
            ["elect", id, path] => self.elect(id, path).await?,
            ["resign", id] => {
                let candidate = self.candidates.get_mut(id).ok_or("there is no such candidate")?;
                let resign = candidate.resign.take().ok_or("it does not stand")?;
                // When it is over already, that is what it was told to do.
                let _ = resign.send(());
            }
            ["actions", id, since] => {
                let since: u64 = since.parse()?;
                let candidate = self.candidates.get(id).ok_or("there is no such candidate")?;
                let actions = lock(&candidate.actions);
                let mut later = actions.iter().copied().filter(|at| *at >= since);
                let (first, count) = (later.next(), actions.iter().filter(|at| **at >= since).count());
                let last = actions.last().filter(|_| first.is_some());
                tell(
                    json!({ "ev": "actions", "n": count, "first": first.unwrap_or(0), "last": last.unwrap_or(&0) }),
                );
            }
            ["register", service, count, mode] => {
                self.register(service, count.parse()?, mode == "par").await?
            }
            ["watch", service] => self.watch(service).await?,
            ["expect", count] => {
                let count = count.parse()?;
                self.directory().await?.expected.send_replace(Some(count));
            }
            ["lookup", count] => {
                let count = count.parse()?;
                look_up(self.directory().await?, count).await?;
            }
            _ => return Err("there is no such command".into()),
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let session = Duration::from_millis(self.cli.session_ms);
        let config =
            Config::new(&self.cli.server).with_session_timeout(session).with_lease(session.min(LEASE_MAX));
        Ok(Client::connect(config).await?)
    }

    async fn directory(&mut self) -> Result<&mut Directory, Failure> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory {
                client: self.connect().await?,
                more: Vec::new(),
                registered: Arc::default(),
                made: 0,
                service: String::new(),
                expected: watch::Sender::new(None),
            },
        };
        Ok(self.directory.insert(directory))
    }

    async fn elect(&mut self, id: &str, path: &str) -> Result<(), Failure> {
        if !self.candidates.contains_key(id) {
            let candidate =
                Candidate { client: self.connect().await?, actions: Arc::default(), resign: None };
            self.candidates.insert(id.to_owned(), candidate);
        }
        let is_polling = self.is_polling;
        let candidate = self.candidates.get_mut(id).ok_or("it was just made")?;
        let candidacy = candidate.client.campaign(&path.replace('/', "-"), id).await?;
        let (resign, resigned) = oneshot::channel();
        candidate.resign = Some(resign);
        let actions = is_polling.then(|| Arc::clone(&candidate.actions));
        tokio::spawn(stand(id.to_owned(), candidacy, resigned, actions));
        Ok(())
    }

    async fn register(&mut self, service: &str, count: usize, at_once: bool) -> Result<(), Failure> {
        let first = self.directory().await?.made;
        let needed = (first + count).div_ceil(REGISTRATIONS_EACH);
        while self.directory().await?.more.len() + 1 < needed {
            let another = self.connect().await?;
            self.directory().await?.more.push(another);
        }
        let directory = self.directory().await?;
        directory.made += count;
        let clients: Vec<_> = [&directory.client].into_iter().chain(&directory.more).cloned().collect();
        let registered = Arc::clone(&directory.registered);
        let service = service.to_owned();
        tokio::spawn(async move {
            let process = std::process::id();
            let names: Vec<_> = (first..first + count)
                .map(|number| (number, format!("{process:08x}-aaaa-bbbb-cccc-{number:012x}")))
                .collect();
            let register = |(number, name): (usize, String)| {
                let (client, service) = (&clients[number / REGISTRATIONS_EACH], &service);
                async move { client.register(service, Some(&name), PAYLOAD).await }
            };
            let begun = now();
            let all = if at_once {
                future::try_join_all(names.into_iter().map(register)).await
            } else {
                futures_util::stream::iter(names)
                    .then(register)
                    .collect::<Vec<_>>()
                    .await
                    .into_iter()
                    .collect()
            };
            match all {
                Ok(all) => {
                    tell(json!({ "ev": "registered", "n": count, "t0": begun, "t1": now() }));
                    lock(&registered).extend(all);
                }
                Err(error) => tell(json!({ "ev": "error", "what": error.to_string() })),
            }
        });
        Ok(())
    }

    async fn watch(&mut self, service: &str) -> Result<(), Failure> {
        let directory = self.directory().await?;
        directory.service = service.to_owned();
        let mut follow = directory.client.follow(service).await?;
        let client = directory.client.clone();
        let mut expected = directory.expected.subscribe();
        let (expectation, service) = (directory.expected.clone(), service.to_owned());
        tell(json!({ "ev": "watching", "t": now() }));
        tokio::spawn(async move {
            loop {
                let known = match client.get_capable(&service).await {
                    Ok(snapshot) => snapshot.instances().len(),
                    Err(Error::Closed) => return,
                    Err(error) => return tell(json!({ "ev": "error", "what": error.to_string() })),
                };
                let is_met = expectation
                    .send_if_modified(|expected| expected.take_if(|count| known >= *count).is_some());
                if is_met {
                    tell(json!({ "ev": "visible", "n": known, "t": now() }));
                }
                tokio::select! {
                    biased;
                    next = follow.next() => if next.is_none() { return },
                    changed = expected.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(())
    }

    async fn close(self) {
        let candidates = self.candidates.into_values().map(|candidate| candidate.client);
        let directory = self.directory.into_iter().flat_map(|directory| {
            lock(&directory.registered).clear();
            [directory.client].into_iter().chain(directory.more)
        });
        future::join_all(candidates.chain(directory).map(Client::close)).await;
    }
}

/// One candidacy, until it is told to resign.
async fn stand(
    id: String,
    mut candidacy: Candidacy,
    mut resigned: oneshot::Receiver<()>,
    actions: Option<Arc<Mutex<Vec<u64>>>>,
) {
    let mut leadership: Option<Leadership> = None;
    loop {
        let stopping = leadership.as_ref().map(|leadership| leadership.stopping().clone());
        tokio::select! {
            biased;
            _ = &mut resigned => {
                let begun = now();
                // Its application does nothing any more.
                drop(leadership.take());
                match candidacy.resign().await {
                    Ok(()) => tell(json!({ "ev": "resigned", "id": id, "t0": begun, "t1": now() })),
                    Err(error) => tell(json!({ "ev": "error", "what": error.to_string() })),
                }
                return;
            }
            () = async { match &stopping { Some(stopping) => stopping.cancelled().await, None => future::pending().await } } => {
                tell(json!({ "ev": "unlead", "id": id, "t": now() }));
                leadership = None;
            }
            next = candidacy.next() => match next {
                Some(CandidacyEvent::Elected(elected)) => {
                    tell(json!({ "ev": "lead", "id": id, "t": now() }));
                    if let Some(actions) = actions.clone() {
                        act(elected.clone(), actions);
                    }
                    leadership = Some(elected);
                }
                Some(CandidacyEvent::Revoked { .. }) => {}
                None => return,
            },
        }
    }
}

/// Asks all the time whether it leads, in a thread of its own, and writes down each yes.
fn act(leadership: Leadership, actions: Arc<Mutex<Vec<u64>>>) {
    std::thread::spawn(move || {
        while leadership.is_valid() && !leadership.stopping().is_cancelled() {
            lock(&actions).push(now());
            std::thread::sleep(ACTION_EVERY);
        }
    });
}

async fn look_up(directory: &Directory, count: u32) -> Result<(), Failure> {
    let (client, service) = (&directory.client, directory.service.as_str());
    let told = |what: &str, begun: u64| {
        #[allow(clippy::cast_precision_loss)] // For people.
        let each = (now() - begun) as f64 / f64::from(count);
        tell(json!({ "ev": "lookup", "what": what, "ns": each }));
    };
    let begun = now();
    for _ in 0..count {
        black_box(client.get_capable(black_box(service)).await?.instances().len());
    }
    told("list: get_capable", begun);
    let begun = now();
    for turn in 0..count {
        let found = client.get_capable(black_box(service)).await?;
        black_box(
            pick::round_robin(found.instances(), turn.into()).map(|instance| instance.name.as_str().len()),
        );
    }
    told("pick one: get_capable, round robin", begun);
    tell(json!({ "ev": "lookups_done" }));
    Ok(())
}

/// The monotonic clock, which all processes of a machine share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn tell(event: Value) {
    println!("{event}");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

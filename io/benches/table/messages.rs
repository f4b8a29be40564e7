//! Messages between two nodes in two OS processes, beside the same by raw TCP.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use queenright::{Node, ProcessId};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::measure::{Row, Target, median};
use crate::nowhere;
use crate::raw::{Raw, decoded};

/// The argument by which this program becomes the other OS process.
pub(crate) const PEER: &str = "peer";

/// How many processes, or mailboxes, the other end has.
const MEMBERS: usize = 100;
const SLICES: usize = 9;
/// About how long one slice of throughput takes.
const SLICE: Duration = Duration::from_millis(300);

/// Bytes that are copied as a whole: serde takes a plain `Vec<u8>` for a list of numbers.
#[derive(Clone)]
struct Blob(Vec<u8>);

#[derive(Clone, Serialize, Deserialize)]
enum Question<From> {
    Ping(From, Blob),
    Data(Blob),
    Count(From),
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Pong(Blob),
    Count(usize),
}

/// What both ways of sending can do.
trait Way: Clone + Send + Sync + 'static {
    /// To the other end and back `rounds` times; the times in microseconds.
    fn ping(&self, rounds: usize) -> impl Future<Output = Vec<f64>> + Send;
    /// One to each of 100 and one from each, `rounds` times; the times in microseconds.
    fn fan_out(&self, rounds: usize) -> impl Future<Output = Vec<f64>> + Send;
    /// `count` messages of `len` bytes to the member `to`, and its count; how long it took.
    fn blast(&self, to: usize, count: usize, len: usize) -> impl Future<Output = Duration> + Send;
}

#[derive(Clone)]
struct Ours {
    node: Node,
    members: Vec<ProcessId>,
}

#[derive(Clone)]
struct Theirs(Raw);

pub(crate) async fn rows(wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let one = "64 B between nodes, one way, 1→1";
    let eight = "64 B between nodes, one way, 8→8";
    let large = "16 KiB between nodes, one way";
    let ping = "ping-pong of 64 B, p50";
    let hundred = "100 pids, out and back, p50";
    let mut rows = Vec::new();
    if ![one, eight, large, ping, hundred].into_iter().any(&wanted) {
        return rows;
    }
    let (mut peer, raw_address, members) = spawn_peer();
    let ours = Ours { node: nowhere::node().await.expect("a node"), members };
    let stream = TcpStream::connect(raw_address).await.expect("the other end listens");
    let theirs = Theirs(Raw::start(stream).expect("a socket"));
    if wanted(ping) {
        let mut row = Row::new(ping, "µs", Target::AtMost(1.3));
        let _ = (ours.ping(2000).await, theirs.ping(2000).await);
        for _ in 0..SLICES {
            row.ours.push(median(&ours.ping(3000).await));
            row.limit.push(median(&theirs.ping(3000).await));
        }
        rows.push(row);
    }
    if wanted(hundred) {
        let mut row = Row::new(hundred, "µs", Target::AtMost(2.0));
        let _ = (ours.fan_out(50).await, theirs.fan_out(50).await);
        for _ in 0..SLICES {
            row.ours.push(median(&ours.fan_out(200).await));
            row.limit.push(median(&theirs.fan_out(200).await));
        }
        rows.push(row);
    }
    for (what, pairs, len, target) in [(one, 1, 64, 0.5), (eight, 8, 64, 0.5), (large, 1, 16 << 10, 0.6)] {
        if !wanted(what) {
            continue;
        }
        let per_second = len < 1000;
        let mut row = Row::new(what, if per_second { "msg/s" } else { "MB/s" }, Target::AtLeast(target));
        let trial = if per_second { 80_000 } else { 4_000 };
        let figure = |rate: f64| if per_second { rate } else { rate * len as f64 / 1e6 };
        let (ours_count, theirs_count) =
            (slice_of(&ours, pairs, trial, len).await, slice_of(&theirs, pairs, trial, len).await);
        for _ in 0..SLICES {
            row.ours.push(figure(rate(&ours, pairs, ours_count, len).await));
            row.limit.push(figure(rate(&theirs, pairs, theirs_count, len).await));
        }
        rows.push(row);
    }
    let _ = peer.kill();
    let _ = peer.wait();
    rows
}

/// How many messages fill a slice.
async fn slice_of<W: Way>(way: &W, pairs: usize, trial: usize, len: usize) -> usize {
    let warm = rate(way, pairs, trial, len).await.max(rate(way, pairs, trial, len).await);
    ((warm * SLICE.as_secs_f64()) as usize).max(pairs)
}

/// Messages a second.
async fn rate<W: Way>(way: &W, pairs: usize, count: usize, len: usize) -> f64 {
    let each = count / pairs;
    let begun = Instant::now();
    let mut blasts = tokio::task::JoinSet::new();
    for to in 0..pairs {
        let way = way.clone();
        blasts.spawn(async move { way.blast(to, each, len).await });
    }
    while let Some(done) = blasts.join_next().await {
        done.expect("a sender lives");
    }
    (each * pairs) as f64 / begun.elapsed().as_secs_f64()
}

impl Ours {
    async fn within<R, F, Fut>(&self, body: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(queenright::Process) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        self.node.run(body).await.expect("a process that ends by itself")
    }
}

impl Way for Ours {
    async fn ping(&self, rounds: usize) -> Vec<f64> {
        let target = self.members[0].clone();
        self.within(move |mut process| async move {
            let (me, blob) = (process.self_pid().clone(), Blob(vec![7; 64]));
            let mut times = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                let question = Question::Ping(me.clone(), blob.clone());
                process.send(&target, question).await.expect("it can be encoded");
                process.expect::<Answer>().await;
                times.push(micros(sent));
            }
            times
        })
        .await
    }

    async fn fan_out(&self, rounds: usize) -> Vec<f64> {
        let members = self.members.clone();
        self.within(move |mut process| async move {
            let (me, blob) = (process.self_pid().clone(), Blob(vec![7; 64]));
            let mut times = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                for member in &members {
                    let question = Question::Ping(me.clone(), blob.clone());
                    process.send(member, question).await.expect("it can be encoded");
                }
                for _ in &members {
                    process.expect::<Answer>().await;
                }
                times.push(micros(sent));
            }
            times
        })
        .await
    }

    async fn blast(&self, to: usize, count: usize, len: usize) -> Duration {
        let target = self.members[to].clone();
        self.within(move |mut process| async move {
            let (me, begun) = (process.self_pid().clone(), Instant::now());
            let blob = Blob(vec![7; len]);
            for _ in 0..count {
                let data = Question::<ProcessId>::Data(blob.clone());
                process.send(&target, data).await.expect("it can be encoded");
            }
            process.send(&target, Question::Count(me)).await.expect("it can be encoded");
            let Answer::Count(arrived) = process.expect().await else { panic!("a count was asked for") };
            assert_eq!(arrived, count);
            begun.elapsed()
        })
        .await
    }
}

/// Above the numbers of the members.
const BACK: u64 = 1000;

impl Way for Theirs {
    async fn ping(&self, rounds: usize) -> Vec<f64> {
        let raw = self.0.clone();
        let ping = async move {
            let (mut answers, blob) = (raw.mailbox(BACK), Blob(vec![7; 64]));
            let mut times = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                raw.send(0, &Question::Ping(BACK, blob.clone())).await;
                decoded::<Answer>(&answers.recv().await.expect("the other end lives"));
                times.push(micros(sent));
            }
            times
        };
        tokio::spawn(ping).await.expect("it does not panic")
    }

    async fn fan_out(&self, rounds: usize) -> Vec<f64> {
        let raw = self.0.clone();
        let fan_out = async move {
            let (mut answers, blob) = (raw.mailbox(BACK), Blob(vec![7; 64]));
            let mut times = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                for to in 0..MEMBERS as u64 {
                    raw.send(to, &Question::Ping(BACK, blob.clone())).await;
                }
                for _ in 0..MEMBERS {
                    decoded::<Answer>(&answers.recv().await.expect("the other end lives"));
                }
                times.push(micros(sent));
            }
            times
        };
        tokio::spawn(fan_out).await.expect("it does not panic")
    }

    async fn blast(&self, to: usize, count: usize, len: usize) -> Duration {
        let raw = self.0.clone();
        let blast = async move {
            let (back, begun) = (BACK + to as u64, Instant::now());
            let (mut answers, blob) = (raw.mailbox(back), Blob(vec![7; len]));
            for _ in 0..count {
                raw.send(to as u64, &Question::<u64>::Data(blob.clone())).await;
            }
            raw.send(to as u64, &Question::Count(back)).await;
            let answer = decoded(&answers.recv().await.expect("the other end lives"));
            let Answer::Count(arrived) = answer else { panic!("a count was asked for") };
            assert_eq!(arrived, count);
            begun.elapsed()
        };
        tokio::spawn(blast).await.expect("it does not panic")
    }
}

/// The other OS process: a node with members, and mailboxes behind a socket. Ends with its parent.
pub(crate) async fn peer() {
    let node = nowhere::node().await.expect("a node");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut line = listener.local_addr().expect("it is bound").to_string();
    for _ in 0..MEMBERS {
        line = format!("{line} {}", node.spawn(member));
    }
    println!("{line}");
    std::io::stdout().flush().expect("the parent reads");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("the parent dials");
        let raw = Raw::start(stream).expect("a socket");
        for number in 0..MEMBERS as u64 {
            tokio::spawn(raw_member(raw.clone(), number));
        }
    });
    let (ended, parent) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lines().next();
        let _ = ended.send(());
    });
    let _ = parent.await;
}

async fn member(mut process: queenright::Process) {
    let mut count = 0;
    loop {
        let (from, answer) = match process.expect().await {
            Question::Ping(from, blob) => (from, Answer::Pong(blob)),
            Question::Data(_) => {
                count += 1;
                continue;
            }
            Question::Count(from) => (from, Answer::Count(std::mem::take(&mut count))),
        };
        let from: ProcessId = from;
        process.send(&from, answer).await.expect("it can be encoded");
    }
}

async fn raw_member(raw: Raw, number: u64) {
    let (mut questions, mut count) = (raw.mailbox(number), 0);
    while let Some(question) = questions.recv().await {
        match decoded(&question) {
            Question::Ping(from, blob) => raw.send(from, &Answer::Pong(blob)).await,
            Question::Data(_) => count += 1,
            Question::Count(from) => raw.send(from, &Answer::Count(std::mem::take(&mut count))).await,
        }
    }
}

fn spawn_peer() -> (Child, String, Vec<ProcessId>) {
    let mut peer = Command::new(std::env::current_exe().expect("our own path"))
        .arg(PEER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the other OS process");
    let mut line = String::new();
    let stdout = peer.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("its greeting");
    let mut words = line.split_whitespace();
    let address = words.next().expect("an address").to_owned();
    (peer, address, words.map(|pid| pid.parse().expect("a pid")).collect())
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64 / 1e3
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

//! What processes cost within one node.

use std::time::Instant;

use queenright::Node;
use tokio::sync::{mpsc, oneshot};

use crate::measure::{Row, Target};
use crate::nowhere;

const SLICES: usize = 9;
const MESSAGES: u64 = 500_000;
const PROCESSES: usize = 100_000;

pub(crate) async fn rows(wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let (send, spawn, memory) =
        ("local send and receive of 64 B, beside tokio mpsc", "spawn, beside a plain task", "idle process");
    let mut rows = Vec::new();
    if wanted(send) {
        let node = nowhere::node().await.expect("a node");
        let mut row = Row::new(send, "msg/s", Target::AtLeast(0.9));
        for _ in 0..SLICES {
            row.ours.push(ours(&node).await);
            row.limit.push(theirs().await);
        }
        rows.push(row);
        node.close().await;
    }
    if wanted(spawn) || wanted(memory) {
        let mut time = Row::new(format!("{spawn}, each"), "µs", Target::None);
        let mut bound = Row::new("spawn", "µs", Target::AtMost(4.0));
        let mut bytes = Row::new(format!("{memory}, beside a task with an mpsc"), "B", Target::None);
        let mut bytes_bound = Row::new(memory, "B", Target::AtMost(1024.0));
        for _ in 0..5 {
            let (took, size) = spawned().await;
            let (task_took, task_size) = tasks().await;
            time.ours.push(took);
            bound.ours.push(took);
            time.limit.push(task_took);
            bytes.ours.push(size);
            bytes_bound.ours.push(size);
            bytes.limit.push(task_size);
        }
        rows.extend([bound, time, bytes_bound, bytes]);
    }
    rows
}

async fn ours(node: &Node) -> f64 {
    let (done, received) = oneshot::channel();
    let sink = node.spawn(|mut process| async move {
        for _ in 0..MESSAGES {
            process.expect::<Vec<u8>>().await;
        }
        let _ = done.send(());
    });
    let begun = Instant::now();
    node.spawn(|process| async move {
        for _ in 0..MESSAGES {
            process.send(&sink, vec![7u8; 64]).await.expect("within a node nothing is encoded");
        }
    });
    received.await.expect("the receiver lives");
    MESSAGES as f64 / begun.elapsed().as_secs_f64()
}

async fn theirs() -> f64 {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    let begun = Instant::now();
    let received = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    tokio::spawn(async move {
        for _ in 0..MESSAGES {
            // As fair to others as a process is.
            tokio::task::consume_budget().await;
            sender.send(vec![7u8; 64]).expect("the receiver lives");
        }
    });
    received.await.expect("it does not panic");
    MESSAGES as f64 / begun.elapsed().as_secs_f64()
}

/// Microseconds and bytes for each.
async fn spawned() -> (f64, f64) {
    let node = nowhere::node().await.expect("a node");
    // The table of processes and the runtime's own have grown.
    let before = crate::allocated();
    let begun = Instant::now();
    for _ in 0..PROCESSES {
        node.spawn(|mut process| async move {
            process.expect::<()>().await;
        });
    }
    let took = begun.elapsed().as_nanos() as f64 / 1e3 / PROCESSES as f64;
    settled().await;
    let size = (crate::allocated() - before) as f64 / PROCESSES as f64;
    node.close().await;
    settled().await;
    (took, size)
}

async fn tasks() -> (f64, f64) {
    let before = crate::allocated();
    let mut senders = Vec::with_capacity(PROCESSES);
    let begun = Instant::now();
    for _ in 0..PROCESSES {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        senders.push(sender);
        tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    }
    let took = begun.elapsed().as_nanos() as f64 / 1e3 / PROCESSES as f64;
    settled().await;
    let size = (crate::allocated() - before) as f64 / PROCESSES as f64;
    drop(senders);
    settled().await;
    (took, size)
}

/// Every task was polled.
async fn settled() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}

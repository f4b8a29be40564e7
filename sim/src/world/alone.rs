//! One simulation at a time in a process, each in the same circumstances.
//!
//! tokio numbers tasks, and it numbers those of a whole process. A runtime keeps its tasks in a few lists, by their numbers, and
//! drops them list by list when it ends, as that of a crashed node does: so in which order a node's tasks are dropped, and
//! its connections closed, would depend on how many tasks there were before, in other simulations and in other threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

static SIMULATING: Mutex<()> = Mutex::new(());

/// A runtime has a power of two of lists, at most this many; four for one thread, as of tokio 1.54.
const LISTS_MAX: u64 = 64;

/// Held for as long as a simulation runs.
pub(super) struct Alone(#[expect(dead_code, reason = "it is a lock")] MutexGuard<'static, ()>);

/// Waits until no other simulation runs in this process.
pub(super) fn begin() -> Alone {
    // A simulation that panicked leaves nothing behind.
    let alone = Alone(SIMULATING.lock().unwrap_or_else(PoisonError::into_inner));
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() {
        let next = || runtime.block_on(async { tokio::spawn(async {}).id() });
        let number = |id: tokio::task::Id| id.to_string().parse::<u64>().unwrap_or(0);
        while number(next()) % LISTS_MAX != 0 {}
    }
    alone
}

//! The table of figures: each row ours ÷ limit, both measured in this run, in turn.
//!
//! ```sh
//! cargo bench -p queenright --bench table              # all of it
//! cargo bench -p queenright --bench table -- ping spawn  # the rows whose names contain one of these
//! ```

mod local;
mod measure;
mod messages;
mod nowhere;
mod raw;
mod step;
mod zookeeper;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Builder;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if arguments.iter().any(|argument| argument == messages::PEER) {
        return runtime.block_on(messages::peer());
    }
    if arguments.iter().any(|argument| argument == zookeeper::SERVER) {
        return runtime.block_on(zookeeper::serve());
    }
    let wanted = |row: &str| arguments.is_empty() || arguments.iter().any(|part| row.contains(part.as_str()));
    let rows = runtime.block_on(async {
        let mut rows = messages::rows(wanted).await;
        rows.extend(local::rows(wanted).await);
        rows.extend(step::rows(wanted));
        rows.extend(zookeeper::rows(&wanted).await);
        rows
    });
    print!("{}", measure::table(&rows));
}

/// Bytes that are allocated now.
fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// The system's allocator, and a count.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

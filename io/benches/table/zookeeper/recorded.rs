//! What a recording costs: the processor time of a busy node that records, beside one that does not.

use std::path::Path;
use std::time::Duration;

use futures_util::future;
use queenright::{Client, Config};
use rustix::time::{ClockId, clock_gettime};

use super::namespace;
use super::server::Server;
use crate::measure::{Row, Target};

const REGISTRATIONS: usize = 500;
/// How often all of them come and go in a slice.
const ROUNDS: usize = 4;
const SLICES: usize = 15;
/// Enough for a slice.
const RECORDING_LEN_MAX: u64 = 1 << 30;

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let what = format!(
        "processor time of {REGISTRATIONS} registrations that come and go, recorded, beside the same unrecorded"
    );
    if !wanted(&what) {
        return Vec::new();
    }
    let mut row = Row::new(what, "ms", Target::AtMost(1.02));
    let directory = std::env::temp_dir().join(format!("queenright-bench-{}", std::process::id()));
    for slice in 0..=SLICES {
        let limit = busy(server.address(), None).await;
        let ours = busy(server.address(), Some(&directory)).await;
        if slice > 0 {
            row.ours.push(ours.as_secs_f64() * 1e3);
            row.limit.push(limit.as_secs_f64() * 1e3);
        }
    }
    eprintln!("a slice's recording: {} B", len(&directory) / (SLICES as u64 + 1));
    std::fs::remove_dir_all(&directory).expect("it was made");
    vec![row]
}

/// A node that does nothing but talk to ZooKeeper, as fast as it can.
async fn busy(address: &str, recordings: Option<&Path>) -> Duration {
    let mut config = Config::new(address).with_namespace(namespace());
    if let Some(directory) = recordings {
        config = config.with_recordings(directory, RECORDING_LEN_MAX);
    }
    let client = Client::connect(config).await.expect("the server answers");
    // The directories are there.
    let first = client.register("web", None, Vec::new()).await.expect("it is registered");
    let begun = processor_time();
    for _ in 0..ROUNDS {
        let registered = (0..REGISTRATIONS).map(|_| client.register("web", None, vec![b'x'; 230]));
        let registered = future::try_join_all(registered).await.expect("they are registered");
        let withdrawn = registered.into_iter().map(|registration| registration.unregister());
        future::try_join_all(withdrawn).await.expect("they are withdrawn");
    }
    let took = processor_time() - begun;
    drop(first);
    client.close().await;
    took
}

/// Of all threads of this program.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.expect("it is not negative"), nanos.expect("it is below a second"))
}

fn len(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).expect("recordings are there");
    files.map(|file| file.expect("a file").metadata().expect("it has a length").len()).sum()
}

//! What costs requests, or the time of a processor: lookups, registrations, elections, recordings, and many nodes, on a ZooKeeper that is not this program.
//!
//! It is the development server, run by this program as another OS process; `QUEENRIGHT_ZOOKEEPER=host:port` names another.

mod changes;
mod counted;
mod crowd;
mod elections;
mod growth;
mod lookups;
mod recorded;
mod server;

use std::sync::atomic::{AtomicU32, Ordering};

use queenright::{Client, Config};
use zookeeper_client as zk;

use crate::measure::Row;
pub(crate) use server::{SERVER, serve};

/// What the znodes of the hand-written limits are created with.
const OPEN: zk::Acls<'static> = zk::Acls::anyone_all();

pub(crate) async fn rows(wanted: impl Fn(&str) -> bool + Copy) -> Vec<Row> {
    // Started when a row needs it.
    let server = server::Server::default();
    let mut rows = lookups::rows(&server, wanted).await;
    rows.extend(changes::rows(&server, wanted).await);
    rows.extend(elections::rows(&server, wanted).await);
    rows.extend(recorded::rows(&server, wanted).await);
    rows.extend(crowd::rows(&server, wanted).await);
    rows.extend(growth::rows(&server, wanted).await);
    rows
}

/// A client in a namespace where nothing was before: runs on one server do not meet.
async fn client(address: &str, namespace: &str) -> Client {
    let config = Config::new(address).with_namespace(namespace);
    Client::connect(config).await.expect("the server answers")
}

/// As long as the usual one: paths are counted.
fn namespace() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Of other runs on the same server.
    let run = std::process::id() & 0xf_ffff;
    format!("/b{run:05x}-{:03x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Somebody's own code on the client library.
async fn plain(address: &str) -> zk::Client {
    zk::Client::connect(address).await.expect("the server answers")
}

//! The znodes of one demo: below a root of its own, so that two demos do not disturb each other.

use std::process;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

/// How long the removal may take. What it leaves disturbs nobody.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

/// A root that no other run has: it is named after the time and this process.
pub(crate) fn unique(prefix: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-demo-{}-{}", prefix.trim_end_matches('/'), now.as_millis(), process::id())
}

/// Deletes `root` and everything below it.
///
/// # Errors
/// What went wrong, for people.
pub(crate) async fn remove(zookeeper: &str, root: &str) -> Result<(), String> {
    match timeout(REMOVE_LIMIT, delete_below(zookeeper, root)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("ZooKeeper took longer than {REMOVE_LIMIT:?}")),
    }
}

async fn delete_below(zookeeper: &str, root: &str) -> Result<(), zookeeper_client::Error> {
    // queenright deletes nothing but its own; this does what `deleteall` does in ZooKeeper's shell.
    let client = zookeeper_client::Client::connect(zookeeper).await?;
    let mut listed = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = listed.get(next).cloned() {
        match client.list_children(&path).await {
            Ok(children) => listed.extend(children.iter().map(|child| format!("{path}/{child}"))),
            Err(zookeeper_client::Error::NoNode) => {}
            Err(error) => return Err(error),
        }
        next += 1;
    }
    // Children stand behind their parents.
    for path in listed.iter().rev() {
        match client.delete(path, None).await {
            Ok(()) | Err(zookeeper_client::Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

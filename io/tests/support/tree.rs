//! The tree of a real server, seen and written past the library.

use std::net::SocketAddr;
use std::time::Duration;

use queenright::Holder;
use zookeeper_client::{Acls, Client, CreateMode, Error, Stat};

/// A session of the test's own.
#[derive(Clone)]
pub(crate) struct Tree(Client);

/// A lease record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) path: String,
    /// How many heartbeats it has had.
    pub(crate) version: i32,
    /// When the server decided the last of them, in milliseconds of its wall clock, which is ours.
    pub(crate) mtime: i64,
}

impl Tree {
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        let connector = Client::connector().with_session_timeout(Duration::from_secs(30));
        Self(connector.connect(&server.to_string()).await.unwrap())
    }

    /// Creates a persistent znode, and its parents.
    pub(crate) async fn create(&self, path: &str, data: &[u8]) {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let parent = path.rsplit_once('/').unwrap().0;
        if !parent.is_empty() {
            self.0.mkdir(parent, &options).await.unwrap();
        }
        self.0.create(path, data, &options).await.unwrap();
    }

    pub(crate) async fn set(&self, path: &str, data: &[u8]) {
        self.0.set_data(path, data, None).await.unwrap();
    }

    /// Deletes a znode, whoever it belongs to.
    pub(crate) async fn delete(&self, path: &str) {
        self.0.delete(path, None).await.unwrap();
    }

    /// The names of the children; none when there is no such znode.
    pub(crate) async fn children(&self, path: &str) -> Vec<String> {
        match self.0.list_children(path).await {
            Ok(mut children) => {
                children.sort();
                children
            }
            Err(Error::NoNode) => Vec::new(),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<(Vec<u8>, Stat)> {
        match self.0.get_data(path).await {
            Ok(found) => Some(found),
            Err(Error::NoNode) => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Whether the server does not let strangers read it.
    pub(crate) async fn is_refused(&self, path: &str) -> bool {
        matches!(self.0.list_children(path).await, Err(Error::NoAuth))
    }

    /// The lease records that there are.
    pub(crate) async fn leases(&self) -> Vec<Lease> {
        let mut leases = Vec::new();
        for name in self.children("/queenright/leases").await {
            leases.extend(self.lease(&format!("/queenright/leases/{name}")).await);
        }
        leases
    }

    /// A lease record; `None` when there is none of that path.
    pub(crate) async fn lease(&self, path: &str) -> Option<Lease> {
        let (_, stat) = self.get(path).await?;
        Some(Lease { path: path.to_owned(), version: stat.version, mtime: stat.mtime })
    }
}

/// The payload of a held global.
pub(crate) fn payload_of(holder: &Holder) -> Option<&[u8]> {
    match holder {
        Holder::Held { payload, .. } => Some(payload),
        Holder::Vacant | Holder::Unknown => None,
    }
}

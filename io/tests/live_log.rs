//! What is logged. Alone in its binary: the receiver of events is one for the whole process.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::sync::{Arc, Mutex};

use queenright::{Client, Config};

use crate::support::zookeeper::ZooKeeper;

/// The levels of all events of this crate, and their texts.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(tracing::Level, String)>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("queenright")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
#[ignore = "needs ZooKeeper: make live"]
fn a_clean_shutdown_logs_nothing_above_debug() {
    let zookeeper = ZooKeeper::start();
    let log = Log::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::dispatcher::set_global_default(tracing::Dispatch::new(log.clone())).unwrap();
    runtime.block_on(async {
        let client = Client::connect(Config::new(zookeeper.connect_string())).await.unwrap();
        let _registration = client.register("s", None, Vec::new()).await.unwrap();
        let mut candidacy = client.campaign("g", "me").await.unwrap();
        let leadership = candidacy.elected().await.unwrap();
        let before = std::mem::take(&mut *log.0.lock().unwrap());
        let info: Vec<_> = before.iter().filter(|(level, _)| *level <= tracing::Level::INFO).collect();
        assert_eq!(info.len(), 2, "the session and the role: {info:?}");
        assert!(info[1].1.contains("global=g") && info[1].1.contains("token="), "{info:?}");
        let close = tokio::spawn(client.close());
        leadership.stopping().cancelled().await;
        drop(leadership);
        close.await.unwrap();
    });
    let after = log.0.lock().unwrap();
    assert!(!after.is_empty());
    let loud: Vec<_> = after.iter().filter(|(level, _)| *level <= tracing::Level::INFO).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

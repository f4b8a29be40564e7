use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::cell::Cell;
use super::node::Inner;
use super::reason::{DiedReason, bounded};

/// A process's task: its future, polled while the process may live.
///
/// Whatever way it ends, the future is dropped first, and then everybody is told.
pub(crate) struct Run {
    node: Arc<Inner>,
    cell: Arc<Cell>,
    stage: Stage,
    /// Told last.
    ended: Option<oneshot::Sender<DiedReason>>,
}

enum Stage {
    Running(Pin<Box<dyn Future<Output = ()> + Send>>),
    Ended,
}

impl Run {
    pub(crate) fn new(
        node: Arc<Inner>,
        cell: Arc<Cell>,
        future: Pin<Box<dyn Future<Output = ()> + Send>>,
        ended: Option<oneshot::Sender<DiedReason>>,
    ) -> Self {
        Self { node, cell, stage: Stage::Running(future), ended }
    }

    fn end(&mut self, reason: DiedReason) {
        let future = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Running(future) => future,
            Stage::Ended => return,
        };
        // The process's own values may panic when they are dropped; that must not hide its death.
        if catch_unwind(AssertUnwindSafe(|| drop(future))).is_err() {
            tracing::warn!(pid = %self.cell.pid(), "a process panicked while its future was dropped");
        }
        tracing::debug!(pid = %self.cell.pid(), %reason, "a process ended");
        self.node.died(&self.cell, &reason);
        if let Some(ended) = self.ended.take() {
            // Nobody may be waiting.
            let _ = ended.send(reason);
        }
    }
}

impl Future for Run {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Before the look, so that a doom between both wakes us.
        this.cell.task.register(cx.waker());
        if let Some(reason) = this.cell.verdict() {
            this.end(reason);
            return Poll::Ready(());
        }
        let future = match &mut this.stage {
            Stage::Running(future) => future,
            Stage::Ended => return Poll::Ready(()),
        };
        let reason = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => DiedReason::Normal,
            Err(panic) => DiedReason::Exception(bounded(text_of(&*panic))),
        };
        this.end(reason);
        Poll::Ready(())
    }
}

/// The runtime was shut down, or dropped with its tasks.
impl Drop for Run {
    fn drop(&mut self) {
        self.end(DiedReason::Killed("its runtime was shut down".into()));
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        format!("panicked: {text}")
    } else if let Some(text) = panic.downcast_ref::<String>() {
        format!("panicked: {text}")
    } else {
        "panicked".into()
    }
}

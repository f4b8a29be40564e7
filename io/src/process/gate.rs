use std::fmt;
use std::sync::Arc;

/// The condition under which a process may act: for an elected one, that its term is valid.
///
/// It is asked before every poll and every send, so it must be cheap; once closed it should stay closed.
#[derive(Clone)]
pub(crate) struct Gate(Arc<dyn Fn() -> bool + Send + Sync>);

impl Gate {
    pub(crate) fn new(is_open: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    pub(crate) fn is_open(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_open() { "Gate(open)" } else { "Gate(closed)" })
    }
}

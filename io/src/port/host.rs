use queenright_core::{Instant, Output};

/// Clock and entropy, and an ear for what is decided.
pub trait Host: Send + Sync {
    /// Now, on a monotonic clock that counts the time during which the machine was suspended.
    fn now(&self) -> Instant;

    /// 128 fresh random bits.
    fn entropy(&self) -> u128;

    /// Hears everything that the core of a client puts out, as it takes effect: for pictures and counts. Must not wait.
    fn observe(&self, output: &Output) {
        let _ = output;
    }
}

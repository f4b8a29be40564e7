use queenright_core::Instant;

/// Clock and entropy.
pub trait Host: Send + Sync {
    /// Now, on a monotonic clock that counts the time during which the machine was suspended.
    fn now(&self) -> Instant;

    /// 128 fresh random bits.
    fn entropy(&self) -> u128;
}

//! The bytes of a fuzzer as choices.

/// What is left of them. Whoever asks for more than there is gets zeros.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// A number below `end`.
    pub(super) fn up_to(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.up_to(count) == count - 1
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.up_to(from.len())]
    }

    /// At most `len_max` bytes; how many is a byte's choice.
    pub(super) fn take(&mut self, len_max: usize) -> &'a [u8] {
        let len = self.up_to(len_max + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// From 0 to `len_max` of what `make` makes.
    pub(super) fn several<T>(&mut self, len_max: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.up_to(len_max + 1)).map(|_| make(self)).collect()
    }
}

//! A digest of what was said: the same on every machine, whatever its width and byte order.

use core::hash::Hasher;

/// A cheap hash of everything that was written into it, in order. Not for cryptography.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

// Every width goes through `word` by value: the default implementations feed native-endian bytes.
impl Hasher for Digest {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.word(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_u128(&mut self, n: u128) {
        let [low, high] = [n as u64, (n >> 64) as u64];
        self.word(low);
        self.word(high);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use core::hash::{Hash, Hasher};

    use super::Digest;

    fn of(parts: &[&dyn Fn(&mut Digest)]) -> u64 {
        let mut digest = Digest::default();
        for part in parts {
            part(&mut digest);
        }
        digest.finish()
    }

    #[test]
    fn order_length_and_width_count() {
        let bytes = |bytes: &'static [u8]| move |digest: &mut Digest| digest.write(bytes);
        assert_ne!(of(&[&bytes(b"ab"), &bytes(b"c")]), of(&[&bytes(b"a"), &bytes(b"bc")]));
        assert_ne!(of(&[&bytes(b"a"), &bytes(b"b")]), of(&[&bytes(b"b"), &bytes(b"a")]));
        assert_ne!(of(&[&bytes(b"a")]), of(&[&bytes(b"a\0")]));
        let wide = |word: u128| of(&[&|digest| word.hash(digest)]);
        assert_ne!(wide(1), wide(1 << 64));
        assert_ne!(wide(0), wide(1 << 64));
    }

    #[test]
    fn the_value_is_pinned_for_recordings_are_read_on_other_machines() {
        let value = of(&[&|digest| ("queenright", -7_i32, 3_usize, Some(1_u16)).hash(digest)]);
        assert_eq!(value, 16_351_691_804_491_266_185);
    }
}

//! Seeds as people give them.

/// The seed that `text` stands for: a number, or the hash of a commit, so that every commit is tried with seeds of its own.
///
/// # Errors
/// When it is neither.
pub fn parse_seed(text: &str) -> Result<u64, NotASeed> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let is_hash = HASH_LEN.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let head = text.get(..text.len().min(16)).filter(|_| is_hash);
    head.and_then(|head| u64::from_str_radix(head, 16).ok()).ok_or_else(|| NotASeed { text: text.to_owned() })
}

/// A text that is no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no seed: a seed is a number below 2^64, or the hash of a commit (7 to 64 hexadecimal digits)"
)]
pub struct NotASeed {
    text: String,
}

const HASH_LEN: std::ops::RangeInclusive<usize> = 7..=64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hashes_are_seeds() {
        assert_eq!(parse_seed("4711"), Ok(4711));
        assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_seed("6b2698b"), Ok(0x6b2_698b));
        assert_eq!(parse_seed("6b2698b27dcca66baed6e9edc7b65ee84cb6b87e"), Ok(0x6b26_98b2_7dcc_a66b));
    }

    #[test]
    fn what_is_no_seed_is_told_what_one_is() {
        for text in ["", "-1", "abc", "HEAD", "18446744073709551616x", "6b2698g"] {
            let error = parse_seed(text).unwrap_err();
            assert!(error.to_string().contains("the hash of a commit"), "{text:?}: {error}");
        }
    }
}

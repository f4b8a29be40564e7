//! The identities that passwords prove.

use sha1::{Digest, Sha1};

/// The identity that `proof`, a `user:password`, stands for: the user, a colon, and the SHA-1 of the whole in base 64.
pub(crate) fn identity(proof: &str) -> String {
    let user = proof.split(':').next().unwrap_or_default();
    format!("{user}:{}", base64(&Sha1::digest(proof)))
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, i| number << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let index = (number >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_those_of_a_real_server() {
        // As getACL of ZooKeeper 3.8.0 showed them.
        assert_eq!(identity("u:p"), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
        assert_eq!(identity("bob:pw"), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
        assert_eq!(identity("bobpw"), "bobpw:KXV5lfOmXj1HOy0eE1tRGdIyUHw=");
        assert_eq!(identity(""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    }

    #[test]
    fn base64_pads_to_groups_of_four() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}

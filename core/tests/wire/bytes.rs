//! Bytes for people.

/// The bytes that `text` writes in hexadecimal, spaces aside.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    assert_eq!(digits.len() % 2, 0, "half a byte: {text}");
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// The body of the one frame that `encode` appends.
pub(crate) fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    // It appends, whatever is there.
    let mut out = vec![0xaa];
    encode(&mut out);
    let len = out.len() as u32 - 5;
    assert_eq!(out[1..5], len.to_be_bytes());
    out.split_off(5)
}

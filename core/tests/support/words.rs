//! The words of a step: bare ones, `"texts"` and `{records}`.

use std::time::Duration;

use queenright_core::op::{ErrorCode, Version};
use queenright_core::{Incarnation, Name, Path, SessionId, Zxid};

use super::records;

/// Whom the transcripts know. Names of leases and candidates begin with 32 hexadecimal digits in truth, and
/// with one of these for the reader.
pub(crate) const INCARNATIONS: [(&str, Incarnation); 5] = [
    ("me", Incarnation(0x1111_1111_1111_1111_1111_1111_1111_1111)),
    ("ann", Incarnation(0xaaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa)),
    ("bob", Incarnation(0xbbbb_bbbb_bbbb_bbbb_bbbb_bbbb_bbbb_bbbb)),
    ("cat", Incarnation(0xcccc_cccc_cccc_cccc_cccc_cccc_cccc_cccc)),
    ("dan", Incarnation(0xdddd_dddd_dddd_dddd_dddd_dddd_dddd_dddd)),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Bare(String),
    Text(String),
    Record(String),
}

/// The words of one step, taken from the front. Every complaint is a panic: transcripts are part of the tests.
pub(crate) struct Words {
    step: String,
    rest: std::vec::IntoIter<Word>,
}

impl Words {
    pub(crate) fn new(step: &str) -> Self {
        Self { step: step.into(), rest: split(step).into_iter() }
    }

    pub(crate) fn next(&mut self) -> Option<Word> {
        self.rest.next()
    }

    pub(crate) fn peek(&self) -> Option<&Word> {
        self.rest.as_slice().first()
    }

    /// The next bare word; the empty text when there is none.
    pub(crate) fn word(&mut self) -> String {
        match self.next() {
            Some(Word::Bare(word)) => word,
            None => String::new(),
            Some(other) => self.fail(&format!("a word, not {other:?}")),
        }
    }

    /// Takes the next word if it is this one.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(&Word::Bare(word.into()));
        if is_next {
            self.next();
        }
        is_next
    }

    /// The value behind a key, if the key comes next.
    pub(crate) fn after(&mut self, key: &str) -> Option<String> {
        self.take(key).then(|| self.word())
    }

    pub(crate) fn name(&mut self) -> Name {
        let word = self.word();
        Name::new(&word).unwrap_or_else(|error| self.fail(&format!("a name: {error}")))
    }

    pub(crate) fn path(&mut self) -> Path {
        let word = expand(&self.word());
        Path::new(&word).unwrap_or_else(|error| self.fail(&format!("a path: {error}")))
    }

    pub(crate) fn duration(&mut self) -> Duration {
        let word = self.word();
        duration(&word).unwrap_or_else(|| self.fail(&format!("a duration such as 1.5s, not {word}")))
    }

    pub(crate) fn number(&mut self) -> i64 {
        let word = self.word();
        number(&word).unwrap_or_else(|| self.fail(&format!("a number, not {word}")))
    }

    pub(crate) fn session(&mut self) -> SessionId {
        SessionId(self.number())
    }

    pub(crate) fn zxid(&mut self) -> Option<Zxid> {
        let Some(Word::Bare(word)) = self.peek() else { return None };
        let zxid = word.starts_with("0x").then(|| number(word))??;
        self.next();
        Some(Zxid(zxid))
    }

    /// `v7`.
    pub(crate) fn version(&mut self) -> Option<i32> {
        let Some(Word::Bare(word)) = self.peek() else { return None };
        let version = word.strip_prefix('v')?.parse().ok()?;
        self.next();
        Some(version)
    }

    /// `v7`, or nothing for any.
    pub(crate) fn condition(&mut self) -> Version {
        self.version().map_or(Version::Any, Version::Exactly)
    }

    /// A text or a record; the empty data when there is neither.
    pub(crate) fn data(&mut self) -> Vec<u8> {
        match self.peek() {
            Some(Word::Text(_) | Word::Record(_)) => {}
            Some(Word::Bare(_)) | None => return Vec::new(),
        }
        match self.next() {
            Some(Word::Text(text)) => text.into_bytes(),
            Some(Word::Record(record)) => self.record(&record),
            Some(Word::Bare(_)) | None => unreachable!("it was peeked at"),
        }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(word) = self.next() {
            self.fail(&format!("nothing more, not {word:?}"));
        }
    }

    pub(crate) fn fail(&self, expected: &str) -> ! {
        panic!("cannot read `> {}`: expected {expected}", self.step)
    }

    fn record(&self, record: &str) -> Vec<u8> {
        let mut words = Words::new(record);
        let data = match words.word().as_str() {
            "lease" => {
                let length = words.duration();
                assert!(words.take("of"), "a lease record is {{lease 3s of NODE}}");
                records::lease(length, &words.word())
            }
            "vacant" => records::vacant(),
            "held" => {
                assert!(words.take("by"), "a term record is {{held by LEASE \"payload\"}}");
                let lease = expand(&words.word());
                records::held(&lease, &words.data())
            }
            "bytes" => {
                let mut bytes = Vec::new();
                while words.peek().is_some() {
                    bytes.push(u8::try_from(words.number()).expect("bytes are below 256"));
                }
                bytes
            }
            _ => self.fail("one of the records {lease …}, {vacant}, {held by …} and {bytes …}"),
        };
        words.finish();
        data
    }
}

/// Incarnations as their 32 digits.
pub(crate) fn expand(text: &str) -> String {
    let mut expanded = text.to_owned();
    for (alias, incarnation) in INCARNATIONS {
        if let Some(rest) = expanded.strip_prefix(&format!("{alias}.")) {
            expanded = format!("{incarnation}.{rest}");
        }
        expanded = expanded.replace(&format!("/{alias}."), &format!("/{incarnation}."));
    }
    expanded
}

/// Incarnations as their names.
pub(crate) fn abbreviate(text: &str) -> String {
    INCARNATIONS
        .iter()
        .fold(text.to_owned(), |text, (alias, incarnation)| text.replace(&incarnation.to_string(), alias))
}

pub(crate) fn error_code(word: &str) -> Option<ErrorCode> {
    use ErrorCode::*;
    [BadArguments, NoNode, NoAuth, BadVersion, NodeExists, NotEmpty, NoWatcher, Throttled, Unimplemented]
        .into_iter()
        .find(|code| format!("{code:?}") == word)
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn duration(word: &str) -> Option<Duration> {
    let (digits, unit) = match word.strip_suffix("ms") {
        Some(digits) => (digits, 1_000_000),
        None => (word.strip_suffix('s')?, 1_000_000_000),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut nanos = whole.parse::<u64>().ok()? * unit;
    let mut weight = unit;
    for digit in fraction.chars() {
        weight /= 10;
        nanos += u64::from(digit.to_digit(10)?) * weight;
    }
    Some(Duration::from_nanos(nanos))
}

fn split(step: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = step.trim();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '"' => {
                let (text, behind) = rest[1..].split_once('"').expect("a text ends with a quotation mark");
                (Word::Text(text.into()), behind)
            }
            '{' => {
                let (record, behind) = rest[1..].split_once('}').expect("a record ends with a brace");
                (Word::Record(record.into()), behind)
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (Word::Bare(rest[..end].into()), &rest[end..])
            }
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

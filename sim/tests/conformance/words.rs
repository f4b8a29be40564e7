//! A line as words.

/// A word of a line, and whether it stood in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) is_quoted: bool,
}

/// The words that were not read yet.
#[derive(Debug)]
pub(crate) struct Words {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
}

impl Words {
    /// The words of `line`: between blanks, or in quotes, with Rust's escapes.
    pub(crate) fn new(line: &str) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ' ' => {}
                '"' => words.push(Word { text: quoted(&mut chars)?, is_quoted: true }),
                c => {
                    let mut text = String::from(c);
                    while let Some(c) = chars.next_if(|c| *c != ' ') {
                        text.push(c);
                    }
                    words.push(Word { text, is_quoted: false });
                }
            }
        }
        Ok(Self { words: words.into_iter().peekable() })
    }

    /// The next word, whatever it is; `what` says what should stand there.
    pub(crate) fn text(&mut self, what: &str) -> Result<String, String> {
        self.words.next().map(|word| word.text).ok_or_else(|| format!("{what} is missing"))
    }

    /// A number, behind nothing else.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let text = self.text(what)?;
        text.parse().map_err(|_| format!("{text} is no number, where {what} should stand"))
    }

    /// Data: in quotes, or `null`.
    pub(crate) fn data(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.words.next() {
            Some(Word { text, is_quoted: true }) => Ok(Some(text.into_bytes())),
            Some(Word { text, .. }) if text == "null" => Ok(None),
            other => Err(format!("data in quotes, or null, should stand where {other:?} is")),
        }
    }

    /// Whether data come next.
    pub(crate) fn has_data(&mut self) -> bool {
        self.words.peek().is_some_and(|word| word.is_quoted || word.text == "null")
    }

    /// Takes the next word when it is `word`, and tells whether it was.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        self.words.next_if(|next| !next.is_quoted && next.text == word).is_some()
    }

    /// The next word, when it stands in `table`: what belongs to it there.
    pub(crate) fn one_of<T: Copy>(&mut self, table: &[(T, &str)]) -> Option<T> {
        let next = self.words.peek()?;
        let (value, _) = table.iter().find(|(_, word)| !next.is_quoted && next.text == *word)?;
        self.words.next();
        Some(*value)
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.words.peek().is_none()
    }

    /// The next word, for a complaint.
    pub(crate) fn next_text(&mut self) -> Option<&str> {
        self.words.peek().map(|word| word.text.as_str())
    }
}

/// What stands between quotes; the first is taken already.
fn quoted(chars: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(text),
            '\\' => text.push(escaped(chars)?),
            c => text.push(c),
        }
    }
    Err("the quotes do not end".into())
}

fn escaped(chars: &mut impl Iterator<Item = char>) -> Result<char, String> {
    match chars.next() {
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('0') => Ok('\0'),
        Some(c @ ('\\' | '"' | '\'')) => Ok(c),
        Some('u') => {
            let digits: String = chars.skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
            let code = u32::from_str_radix(&digits, 16).ok();
            code.and_then(char::from_u32).ok_or_else(|| format!("\\u{{{digits}}} is no character"))
        }
        other => Err(format!("no escape: {other:?}")),
    }
}

//! Znode paths, and the names that make them up.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::error::InvalidName;

/// The longest name accepted, in bytes: a service, an instance, a global or a node.
pub const NAME_LEN_MAX: usize = 512;

/// A validated path element: what users name services, instances and globals with.
///
/// Refused are: the empty name, `.` and `..`, a `/`, more than [`NAME_LEN_MAX`] bytes, and the characters
/// that ZooKeeper refuses in paths (control characters, U+D800–F8FF, U+FFF0–FFFF, and everything beyond U+FFFF).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// An absolute znode path, as the server of a chroot-less client sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Arc<str>);

impl Name {
    /// Validates `name`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = name.as_ref();
        check(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Path {
    /// The root of the tree.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Validates an absolute path such as `/queenright`.
    ///
    /// # Errors
    /// When it does not begin with `/`, ends with one, or has an element that is not a [`Name`].
    pub fn new(path: impl AsRef<str>) -> Result<Self, InvalidName> {
        let path = path.as_ref();
        if path == "/" {
            return Ok(Self::root());
        }
        let Some(elements) = path.strip_prefix('/') else {
            return Err(InvalidName::NotAbsolute { path: path.into() });
        };
        for element in elements.split('/') {
            check(element)?;
        }
        Ok(Self(path.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The child of this path called `name`.
    #[must_use]
    pub fn child(&self, name: &Name) -> Self {
        self.join(name.as_str())
    }

    /// The parent; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.0.rsplit_once('/')?;
        match (parent, name) {
            ("", "") => None,
            ("", _) => Some(Self::root()),
            (parent, _) => Some(Self(parent.into())),
        }
    }

    /// The last element; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The path of the parent, and the last element. Of the root both are empty, and nobody asks.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or_default()
    }

    /// The rest of this path below `ancestor` (no leading slash), or `None` when it is not below it.
    #[must_use]
    pub fn below<'a>(&'a self, ancestor: &Path) -> Option<&'a str> {
        let rest = if ancestor.as_str() == "/" {
            self.0.strip_prefix('/')?
        } else {
            self.0.strip_prefix(ancestor.as_str())?.strip_prefix('/')?
        };
        (!rest.is_empty()).then_some(rest)
    }

    /// What the paths below this one begin with, and no others; they are neighbours in order.
    pub(crate) fn prefix(&self) -> String {
        [self.stem(), "/"].concat()
    }

    /// What stands before the slash in the paths below this one.
    fn stem(&self) -> &str {
        if self.as_str() == "/" { "" } else { self.as_str() }
    }

    /// Appends an element that this crate made and knows to be valid.
    pub(crate) fn join(&self, element: &str) -> Self {
        // Its length aside: the names of znodes are names with something behind them.
        debug_assert!(!element.is_empty() && !element.contains('/'), "not an element: {element:?}");
        Self([self.stem(), "/", element].concat().into())
    }
}

fn check(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name == "." || name == ".." {
        return Err(InvalidName::Relative { name: name.into() });
    }
    if name.len() > NAME_LEN_MAX {
        return Err(InvalidName::TooLong { len: name.len(), max: NAME_LEN_MAX });
    }
    // Nearly all names are plain, and every event brings some.
    if name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'/') {
        return Ok(());
    }
    match name.chars().find(|&c| !is_allowed(c)) {
        Some(character) => Err(InvalidName::Character { name: name.into(), character }),
        None => Ok(()),
    }
}

/// ZooKeeper's `PathUtils.validatePath`, and no slash. It looks at UTF-16, where a character beyond U+FFFF is two of
/// U+D800–DFFF: seen refused by 3.8.0.
fn is_allowed(c: char) -> bool {
    !matches!(c, '/' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}')
}

macro_rules! text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
        impl From<$type> for String {
            fn from(text: $type) -> Self {
                text.as_str().into()
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl core::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl core::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}
text!(Name);
text!(Path);

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_zookeeper_would_refuse_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\0", "a\u{1}", "a\u{7f}", "a\u{e000}", "a\u{fff0}", "a😀"] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "...", "a.b", "127.0.0.1:4000", "[::1]:80@0", "räksmörgås", "a b"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        assert!(Name::new("x".repeat(NAME_LEN_MAX)).is_ok());
        assert!(Name::new("x".repeat(NAME_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn paths_know_their_relatives() {
        let path = Path::new("/a/b").unwrap();
        assert_eq!(path.parent(), Some(Path::new("/a").unwrap()));
        assert_eq!(Path::new("/a").unwrap().parent(), Some(Path::root()));
        assert_eq!(Path::root().parent(), None);
        assert_eq!(path.file_name(), "b");
        assert_eq!(path.below(&Path::new("/a").unwrap()), Some("b"));
        assert_eq!(path.below(&Path::root()), Some("a/b"));
        assert_eq!(path.below(&path), None);
        assert_eq!(Path::new("/ab").unwrap().below(&Path::new("/a").unwrap()), None);
        assert_eq!(Path::root().child(&Name::new("x").unwrap()).as_str(), "/x");
        for bad in ["", "a", "/a/", "//", "/a//b", "/a/../b"] {
            assert!(Path::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_makes_a_path_is_found_in_it(names in prop::collection::vec("[a-zé.+:@ -]{3,9}", 1..6), split in 0..6_usize) {
            let names: Vec<Name> = names.iter().map(|name| Name::new(name).unwrap()).collect();
            let split = split.min(names.len());
            let down = |from: Path, names: &[Name]| names.iter().fold(from, |path, name| path.child(name));
            let ancestor = down(Path::root(), &names[..split]);
            let path = down(ancestor.clone(), &names[split..]);
            prop_assert_eq!(Path::new(path.as_str()), Ok(path.clone()));
            prop_assert_eq!(path.file_name(), names[names.len() - 1].as_str());
            prop_assert_eq!(path.parent(), Some(down(Path::root(), &names[..names.len() - 1])));
            let rest: Vec<&str> = names[split..].iter().map(Name::as_str).collect();
            let rest = rest.join("/");
            prop_assert_eq!(path.below(&ancestor), (!rest.is_empty()).then_some(&rest[..]));
            prop_assert_eq!(ancestor.below(&path), None);
        }

        /// Of any text: a path that is taken is made of names that are taken.
        #[test]
        fn a_path_is_as_good_as_its_elements(text in "[/a.\u{0}\u{1f}\u{80}é]{0,9}") {
            let elements: Vec<&str> = text.split('/').collect();
            let is_good = text == "/" || (elements.len() > 1 && elements[0].is_empty()
                && elements[1..].iter().all(|element| Name::new(element).is_ok()));
            prop_assert_eq!(Path::new(&text).is_ok(), is_good, "{:?}", text);
        }
    }
}

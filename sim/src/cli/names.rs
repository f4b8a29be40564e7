//! Arguments that are names of something known.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// How alike two names must be, from 0 to 1, for one to be told in place of the other.
const ALIKE_MIN: f64 = 0.75;
/// How many are told.
const ALIKE_MAX: usize = 3;

/// One of so many names. Another one is refused with those that are nearest to it, and shells complete them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneOf {
    /// What has these names.
    pub(crate) what: &'static str,
    /// Where all of them are told.
    pub(crate) listed: &'static str,
    pub(crate) names: fn() -> Vec<&'static str>,
}

impl TypedValueParser for OneOf {
    type Value = &'static str;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        let wanted = value.to_string_lossy();
        let known = (self.names)();
        if let Some(name) = known.iter().find(|name| **name == wanted) {
            return Ok(name);
        }
        let near = match near(&wanted, &known).as_slice() {
            [] => String::new(),
            names => format!("; did you mean {}?", names.join(" or ")),
        };
        let Self { what, listed, .. } = self;
        let message = format!("there is no {what} called {wanted:?}{near}\nAll of them: {listed}\n");
        Err(Error::raw(ErrorKind::InvalidValue, message).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// The names that somebody may have meant, the nearest first.
fn near(wanted: &str, known: &[&'static str]) -> Vec<&'static str> {
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    let wanted = plain(wanted);
    let likeness = |name: &str| {
        let name = plain(name);
        let is_part = wanted.len() > 2 && name.contains(&wanted);
        if is_part { 1.0 } else { strsim::jaro_winkler(&name, &wanted) }
    };
    let mut near: Vec<_> = known.iter().map(|name| (likeness(name), *name)).collect();
    near.retain(|(likeness, _)| *likeness >= ALIKE_MIN);
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(ALIKE_MAX).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_told_and_nothing_else() {
        let known = ["handover-overlap", "requeue-lost", "NoWait", "NoFloor"];
        assert_eq!(near("handover-overlp", &known).first(), Some(&"handover-overlap"));
        assert_eq!(near("nowait", &known).first(), Some(&"NoWait"));
        assert_eq!(near("overlap", &known), ["handover-overlap"]);
        assert!(near("zzz", &known).is_empty());
    }
}

//! A plan in a file: what a failure leaves behind, and what a pull request carries so that it never comes back.

use queenright_core::mutation::Mutation;
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Table};

use super::plan::Plan;

/// The format of the files; raised when older ones can no longer be read.
const FORMAT: u32 = 1;

/// A run that shows something, to be played again.
///
/// The text is TOML, and meant to be read and edited: faults and actions can be taken out or moved.
///
/// ```
/// use queenright_sim::explorer::{Plan, Repro};
///
/// let repro = Repro::new(Plan::from_seed(7));
/// let text = repro.to_toml();
/// assert!(text.contains("lease = "));
/// assert_eq!(Repro::from_toml(&text), Ok(repro));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repro {
    format: u32,
    /// The property that did not hold when it was written; `None` when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violates: Option<String>,
    /// The guard that was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<Mutation>,
    /// The run.
    pub plan: Plan,
}

/// Why a file is no repro.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRepro {
    /// It cannot be read; the text says where and why.
    #[error("this is no repro file: {0}")]
    Unreadable(String),
    /// It was written by another version.
    #[error("this is a repro file of format {found}, and this program reads format {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// Its plan names a node, a global or a service that it does not have.
    #[error("the plan of this file contradicts itself: {0}")]
    Plan(String),
}

impl Repro {
    /// A plan as it is.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self { format: FORMAT, violates: None, mutation: None, plan }
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: a plan has nothing in it that TOML could not write.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = toml_edit::ser::to_string_pretty(self);
        let text = text.unwrap_or_else(|error| panic!("a plan that cannot be written: {error}"));
        let document = text.parse::<DocumentMut>();
        let mut document =
            document.unwrap_or_else(|error| panic!("what was written cannot be read: {error}"));
        if let Some(plan) = document["plan"].as_table_mut() {
            write_by_line(plan, "faults");
            write_by_line(plan, "actions");
            let nodes = plan["nodes"].as_array_of_tables_mut();
            for node in nodes.into_iter().flat_map(|nodes| nodes.iter_mut()) {
                write_by_line(node, "profile");
            }
        }
        document.to_string()
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it cannot be read, was written by another version, or names what it does not have.
    pub fn from_toml(text: &str) -> Result<Self, BadRepro> {
        let unreadable = |error: toml_edit::de::Error| BadRepro::Unreadable(error.to_string());
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        // First of all, for a file of another format need not look like this one's.
        let Head { format: found } = toml_edit::de::from_str(text).map_err(unreadable)?;
        if found != FORMAT {
            return Err(BadRepro::Format { found });
        }
        let repro: Self = toml_edit::de::from_str(text).map_err(unreadable)?;
        repro.plan.check().map_err(BadRepro::Plan)?;
        Ok(repro)
    }
}

/// Turns a list of tables into one with an element a line: so it is read, and so lines are taken out.
fn write_by_line(table: &mut Table, list: &str) {
    if let Some(mut key) = table.key_mut(list) {
        key.leaf_decor_mut().clear();
    }
    table[list].make_value();
    let Some(array) = table[list].as_array_mut() else { return };
    let indent = "\n    ";
    for value in array.iter_mut() {
        value.decor_mut().set_prefix(indent);
    }
    if !array.is_empty() {
        array.set_trailing_comma(true);
        array.set_trailing("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_can_be_written_and_read() {
        for seed in 0..300 {
            let mut repro = Repro::new(Plan::from_seed(seed));
            repro.mutation = Some(Mutation::ALL[usize::try_from(seed).unwrap() % Mutation::ALL.len()]);
            repro.violates = seed.is_multiple_of(2).then(|| "caches".to_owned());
            let text = repro.to_toml();
            assert_eq!(Repro::from_toml(&text), Ok(repro), "{text}");
        }
    }

    #[test]
    fn bad_files_are_told_what_is_wrong() {
        let good = Repro::new(Plan::from_seed(3)).to_toml();
        let of = |text: &str| Repro::from_toml(text).unwrap_err().to_string();
        assert!(of("").contains("missing field `format`"));
        assert!(of("format = 9").contains("format 9"), "{}", of("format = 9"));
        assert!(of(&good.replace("lease = ", "lese = ")).contains("lese"));
        assert!(of(&good.replace("globals = ", "globals = 0 #")).contains("global"), "{good}");
    }
}

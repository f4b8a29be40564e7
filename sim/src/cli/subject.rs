//! What a command is about: a seed, or a file with a plan.

use std::fs;
use std::path::{Path, PathBuf};

use queenright_core::Config;
use queenright_core::mutation::Mutation;
use queenright_sim::explorer::{Plan, Repro, parse_seed};

/// A run that somebody asked for.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) repro: Repro,
    /// Where its shrunk plan belongs.
    pub(crate) file: PathBuf,
}

impl Subject {
    /// What `text` names: a file if there is one, otherwise a seed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.exists() {
            let contents =
                fs::read_to_string(path).map_err(|error| format!("cannot read {text}: {error}"))?;
            let repro = Repro::from_toml(&contents).map_err(|error| format!("{text}: {error}"))?;
            return Ok(Self { repro, file: path.to_owned() });
        }
        let seed = parse_seed(text).map_err(|error| format!("there is no file {text}, and {error}"))?;
        Ok(Self { repro: Repro::new(Plan::from_seed(seed)), file: repro_file(seed) })
    }
}

/// Where the shrunk plan of a seed that failed goes.
pub(crate) fn repro_file(seed: u64) -> PathBuf {
    format!("seed-{seed}.repro.toml").into()
}

/// Writes a file, or says why not.
pub(crate) fn write(path: &Path, contents: &str) -> Result<(), String> {
    fs::write(path, contents).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// What takes `mutation` out of every coordinator.
#[cfg(feature = "mutations")]
pub(crate) fn configure(mutation: Option<Mutation>) -> Result<impl Fn(&mut Config) + Sync, String> {
    Ok(move |config: &mut Config| config.mutation = mutation)
}

/// What takes `mutation` out of every coordinator: nothing can, in this build.
#[cfg(not(feature = "mutations"))]
pub(crate) fn configure(mutation: Option<Mutation>) -> Result<impl Fn(&mut Config) + Sync, String> {
    match mutation {
        None => Ok(|_: &mut Config| ()),
        Some(mutation) => Err(format!(
            "{mutation:?} is a guard taken out, and this program was built without the means to do so: build it with \
             --features mutations"
        )),
    }
}

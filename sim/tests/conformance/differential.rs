//! Random steps against the model and against a real server.

use queenright_sim::zookeeper::Mutation;

use crate::model::Model;
use crate::real::Real;
use crate::shrink::shrink;
use crate::side::{Kind, Side};
use crate::step::Step;
use crate::{generate, print, trial};

/// How many seeds are tried, unless `QUEENRIGHT_SEEDS` says it.
const SEEDS: u64 = 500;
const SEED_COUNT: &str = "QUEENRIGHT_SEEDS";
/// A broken rule shows within so many.
const MUTATION_SEEDS: u64 = 100;
const SEED: &str = "QUEENRIGHT_SEED";

/// The first step after which the two differ, with what each of them said.
struct Difference {
    at: usize,
    model: Vec<String>,
    real: Vec<String>,
}

#[test]
#[ignore = "needs ZooKeeper: make live"]
fn the_model_answers_as_a_real_server_does() {
    let mut real = Real::start(Kind::Shared);
    for seed in 0..number(SEED_COUNT, SEEDS) {
        let steps = generate::steps(seed);
        if difference(&mut Model::new(Kind::Shared), &mut real, &steps).is_some() {
            panic!("{}", report(seed, steps, &mut Model::new(Kind::Shared), &mut real));
        }
    }
}

/// The comparison itself: a model that is wrong is found.
#[test]
#[ignore = "needs ZooKeeper: make live"]
fn every_mutation_of_the_model_is_found() {
    let mut real = Real::start(Kind::Shared);
    for mutation in Mutation::ALL {
        let mut model = Model::broken(Kind::Shared, mutation);
        let mut seeds = 0..MUTATION_SEEDS;
        let found = seeds.find(|seed| difference(&mut model, &mut real, &generate::steps(*seed)).is_some());
        let seed = found.unwrap_or_else(|| panic!("{mutation:?} is not found"));
        println!("{mutation:?}, {}", report(seed, generate::steps(seed), &mut model, &mut real));
    }
}

/// Plays the seed of a failure again, and shows what was said.
#[test]
#[ignore = "needs ZooKeeper: make live"]
fn replay() {
    let seed = number(SEED, 0);
    let (mut model, mut real) = (Model::new(Kind::Shared), Real::start(Kind::Shared));
    let steps = generate::steps(seed);
    for (step, lines) in steps.iter().zip(trial::run(&mut real, &steps)) {
        println!("> {}", print::step(step));
        lines.iter().for_each(|line| println!("  {line}"));
    }
    if difference(&mut model, &mut real, &steps).is_some() {
        panic!("{}", report(seed, steps, &mut model, &mut real));
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

fn difference(model: &mut Model, real: &mut dyn Side, steps: &[Step]) -> Option<Difference> {
    let (ours, theirs) = (trial::run(model, steps), trial::run(real, steps));
    let mut pairs = ours.into_iter().zip(theirs).enumerate();
    let (at, (model, real)) = pairs.find(|(_, (model, real))| model != real)?;
    Some(Difference { at, model, real })
}

/// The shortest steps that show the difference, in the notation of `golden/`, and the command that shows it again.
fn report(seed: u64, steps: Vec<Step>, model: &mut Model, real: &mut Real) -> String {
    let steps = shrink(steps, |steps| difference(model, real, steps).is_some());
    let mut text = format!("the model differs from a real server, seed {seed}:\n\n");
    let Some(Difference { at, model, real }) = difference(model, real, &steps) else {
        return text + "but not any more: the real server does not always answer the same";
    };
    for step in &steps[..=at] {
        text += &format!("> {}\n", print::step(step));
    }
    for (mark, lines) in [("- real ", real), ("+ model", model)] {
        lines.iter().for_each(|line| text += &format!("{mark}  {line}\n"));
    }
    text + &format!(
        "\n{SEED}={seed} cargo test -p queenright-sim --test conformance differential::replay -- \
         --ignored --exact --nocapture"
    )
}

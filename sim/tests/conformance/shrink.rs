//! Makes a list of steps that fails shorter.

use queenright_core::wire::Request;

use crate::step::{Ask, Query, Step};

/// How often the steps are tried at most.
const TRIALS_MAX: usize = 400;

/// Fewer and smaller steps of which `fails` is still true: none of them can be left out.
pub(crate) fn shrink(steps: Vec<Step>, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut left = TRIALS_MAX;
    let mut fails = |steps: &[Step]| {
        left = left.saturating_sub(1);
        left > 0 && fails(steps)
    };
    let mut steps = steps;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let before = steps.len();
        let mut at = 0;
        while at < steps.len() {
            let end = (at + chunk).min(steps.len());
            let without: Vec<Step> = steps[..at].iter().chain(&steps[end..]).cloned().collect();
            if fails(&without) {
                steps = without;
            } else {
                at = end;
            }
        }
        // What could not go before may go now.
        if chunk > 1 || steps.len() == before {
            chunk /= 2;
        }
    }
    for at in 0..steps.len() {
        while let Some(smaller) = smaller(&steps[at]).into_iter().find(|smaller| {
            let mut steps = steps.clone();
            steps[at] = smaller.clone();
            fails(&steps)
        }) {
            steps[at] = smaller;
        }
    }
    steps
}

/// The step with one request less, or one part of a multi.
fn smaller(step: &Step) -> Vec<Step> {
    let Step::Ask { client, asks } = step else { return Vec::new() };
    let step = |asks| Step::Ask { client: *client, asks };
    let mut smaller = Vec::new();
    if asks.len() > 1 {
        smaller.extend((0..asks.len()).map(|at| step(without(asks, at))));
    }
    for (at, ask) in asks.iter().enumerate() {
        for query in smaller_queries(&ask.query) {
            let mut asks = asks.clone();
            asks[at] = Ask { query, cut: ask.cut };
            smaller.push(step(asks));
        }
    }
    smaller
}

fn smaller_queries(query: &Query) -> Vec<Query> {
    match query {
        Query::Request(Request::Multi(parts)) => {
            (0..parts.len()).map(|at| Query::Request(Request::Multi(without(parts, at)))).collect()
        }
        Query::Request(Request::MultiRead(parts)) => {
            (0..parts.len()).map(|at| Query::Request(Request::MultiRead(without(parts, at)))).collect()
        }
        Query::Request(_) | Query::Mixed { .. } | Query::Raw { .. } => Vec::new(),
    }
}

fn without<T: Clone>(items: &[T], at: usize) -> Vec<T> {
    items[..at].iter().chain(&items[at + 1..]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, print};

    #[test]
    fn what_matters_is_left() {
        let lines = [
            "a connect",
            "b connect",
            "a ping | get / | who-am-i",
            "b drop",
            "b multi [ delete /x ; delete /y ]",
        ];
        let steps: Vec<Step> = lines.iter().map(|line| parse::step(line).unwrap()).collect();
        let text = |steps: &[Step]| steps.iter().map(print::step).collect::<Vec<_>>().join("\n");
        let fails =
            |steps: &[Step]| ["a connect", "get /", "/y"].iter().all(|part| text(steps).contains(part));
        assert_eq!(text(&shrink(steps, fails)), "a connect\na get /\nb multi [ delete /y ]");
    }
}

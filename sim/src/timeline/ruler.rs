//! Belief against truth.

use super::model::{Ruler, Term, Truth};

type Stretch = (u64, u64);

/// When a belief held, from what was said of its end.
pub(super) fn held(points: &[Stretch], revoked: Option<u64>) -> Vec<Stretch> {
    let mut held: Vec<Stretch> = Vec::new();
    for (index, (at, until)) in points.iter().enumerate() {
        let next = points.get(index + 1).map(|(next, _)| *next).or(revoked);
        let to = next.map_or(*until, |next| (*until).min(next));
        match held.last_mut() {
            Some(last) if last.1 == *at => last.1 = to.max(*at),
            Some(_) | None if to > *at => held.push((*at, to)),
            Some(_) | None => {}
        }
    }
    held
}

/// The ruler of one global.
pub(super) fn ruler(global: u32, terms: &[Term], truth: Vec<Truth>) -> Ruler {
    let of_global: Vec<&Term> = terms.iter().filter(|term| term.global == global).collect();
    let mut overlaps = Vec::new();
    let mut astray = Vec::new();
    for (index, term) in of_global.iter().enumerate() {
        // One node may believe twice in a row, in two lives; each is a believer of its own.
        for other in &of_global[index + 1..] {
            overlaps.extend(common(&term.held, &other.held));
        }
        let others = truth.iter().filter(|named| named.node.is_some_and(|node| node != term.node));
        let others: Vec<Stretch> = others.map(|named| (named.from, named.to)).collect();
        astray.extend(common(&term.held, &others));
    }
    let (overlaps, astray) = (merged(overlaps), merged(astray));
    let overlap = overlaps.iter().map(|(from, to)| to - from).sum();
    Ruler { global, truth, overlaps, overlap, astray }
}

fn common(one: &[Stretch], other: &[Stretch]) -> Vec<Stretch> {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.filter(|(from, to)| from < to).collect()
}

fn merged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::new();
    for (from, to) in stretches {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            Some(_) | None => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(node: u8, points: &[Stretch], revoked: Option<u64>) -> Term {
        Term { node, global: 0, token: 1, points: points.to_vec(), revoked, held: held(points, revoked) }
    }

    #[test]
    fn a_belief_is_extended_ends_by_the_clock_and_may_come_back() {
        assert_eq!(held(&[(0, 10), (5, 15)], None), [(0, 15)]);
        assert_eq!(held(&[(0, 10), (5, 15)], Some(7)), [(0, 7)]);
        assert_eq!(held(&[(0, 10), (12, 22)], Some(40)), [(0, 10), (12, 22)], "it had ended in between");
        assert_eq!(held(&[(0, 10), (5, 7)], None), [(0, 7)], "told to stop earlier");
    }

    #[test]
    fn two_at_once_are_measured_and_one_after_the_other_are_not() {
        let one = term(0, &[(0, 10)], None);
        let ruler_of = |other| ruler(0, &[one.clone(), other], Vec::new());
        assert_eq!(ruler_of(term(1, &[(10, 20)], None)).overlap, 0);
        let wrong = ruler_of(term(1, &[(7, 20)], None));
        assert_eq!((wrong.overlap, wrong.overlaps), (3, vec![(7, 10)]));
    }

    #[test]
    fn who_believes_while_the_tree_names_another_is_astray() {
        let truth = vec![
            Truth { from: 0, to: 8, node: Some(0), version: Some(1) },
            Truth { from: 8, to: 20, node: Some(1), version: Some(3) },
        ];
        assert_eq!(ruler(0, &[term(0, &[(1, 10)], None)], truth.clone()).astray, [(8, 10)]);
        assert_eq!(ruler(0, &[term(0, &[(1, 10)], Some(8))], truth).astray, []);
    }
}

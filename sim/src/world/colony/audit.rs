//! What must be true when nothing has gone wrong for a third of the run.

use std::time::Duration;

use queenright::{Freshness, NodeId, ProcessId};

use super::Bounds;
use super::book::Pages;
use super::desks::Desk;
use crate::checkers::{Life, Violation};

/// What a node sees of the others.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) at: Duration,
    pub(super) life: Life,
    pub(super) peers: Vec<NodeId>,
    pub(super) inboxes: Vec<ProcessId>,
    pub(super) boss: Option<ProcessId>,
    pub(super) freshness: Freshness,
}

/// How long ago a view, a letter or an act of the boss may be: some turns of what everybody does all the time.
const RECENT: Duration = Duration::from_secs(3);

pub(super) fn conclude(now: Duration, nodes: u8, pages: &Pages, bounds: &Bounds) -> Result<(), Violation> {
    let open = pages.desks.open();
    if open.len() != usize::from(nodes) {
        return Err(lacking("members", format!("{} of {nodes} nodes are there", open.len())));
    }
    let leading: Vec<Life> = pages.leaders.leading().collect();
    if leading.len() != 1 {
        return Err(lacking("leaders", format!("{leading:?} lead, and one should")));
    }
    let boss = pages.desks.boss().filter(|(_, at)| *at + RECENT + bounds.lease >= now).map(|(boss, _)| boss);
    let Some(boss) = boss.filter(|boss| open.values().any(|desk| desk.node == *boss.node())) else {
        return Err(lacking("leaders", format!("the boss acted last: {:?}", pages.desks.boss())));
    };
    let peers = sorted(open.values().map(|desk| desk.node.clone()));
    let inboxes = sorted(open.values().map(|desk| desk.inbox.clone()));
    for (life, desk) in open {
        let view = pages.views.iter().flatten().find(|view| view.life == *life);
        let Some(view) = view.filter(|view| view.at + RECENT >= now) else {
            return Err(lacking("caches", format!("{life} has seen nothing of late: {view:?}")));
        };
        if view.peers != peers || view.inboxes != inboxes || view.freshness != Freshness::Fresh {
            let detail = format!("{view:?} instead of peers {peers:?} and inboxes {inboxes:?}");
            return Err(lacking("caches", detail));
        }
        if view.boss.as_ref() != Some(boss) {
            return Err(lacking("caches", format!("{view:?} instead of the boss {boss}")));
        }
        flows(now, pages, desk, bounds)?;
        let forgotten = pages.traffic.silent(*life).find(|target| !pages.desks.is_there(target));
        if let Some(target) = forgotten {
            return Err(lacking("monitors fire", format!("{life} was not told of the end of {target}")));
        }
    }
    Ok(())
}

/// Letters of everybody arrive.
fn flows(now: Duration, pages: &Pages, from: &Desk, bounds: &Bounds) -> Result<(), Violation> {
    for to in pages.desks.open().values() {
        let heard_at = pages.traffic.heard_at(&from.sender, &to.inbox);
        if heard_at.is_none_or(|at| at + RECENT + bounds.heartbeat < now) {
            let detail = format!("{} heard of {} last: {heard_at:?}", to.inbox, from.sender);
            return Err(lacking("messages flow", detail));
        }
    }
    Ok(())
}

fn lacking(property: &'static str, detail: String) -> Violation {
    Violation::new(property, detail)
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::colony::book::Book;
    use crate::world::colony::traffic::Letter;

    const NOW: Duration = Duration::from_secs(45);
    const LONG_AGO: Duration = Duration::from_secs(20);

    fn life(node: u8) -> Life {
        Life { node, number: 0 }
    }

    fn pid(node: u8, number: u8) -> ProcessId {
        format!("node-{node}:4711@0000000000000000000000000000000{node}.{number}").parse().unwrap()
    }

    fn desk(node: u8) -> Desk {
        Desk { node: pid(node, 1).node().clone(), inbox: pid(node, 1), sender: pid(node, 2) }
    }

    fn view(node: u8) -> View {
        View {
            at: NOW,
            life: life(node),
            peers: (0..2).map(|node| desk(node).node).collect(),
            inboxes: (0..2).map(|node| desk(node).inbox).collect(),
            boss: Some(pid(0, 3)),
            freshness: Freshness::Fresh,
        }
    }

    /// What is concluded of two nodes, of which the first leads, where all is as it should be but for what `spoil` does, and
    /// where the first was heard of at the second at `heard_at`.
    fn concluded(heard_at: Duration, spoil: impl FnOnce(&mut Pages)) -> &'static str {
        let second = Duration::from_secs(1);
        let bounds = Bounds { lease: second, session_timeout: second, call: second, heartbeat: second };
        let book = Book::new(2, bounds);
        let mut verdict = Ok(());
        book.write(|pages| {
            for from in 0..2 {
                pages.desks.opens(life(from), desk(from));
                for to in 0..2 {
                    let letter = Letter { from: desk(from).sender, conversation: 1, number: 1 };
                    let at = if (from, to) == (0, 1) { heard_at } else { NOW };
                    pages.traffic.received(at, &desk(to).inbox, &letter)?;
                }
                pages.views[usize::from(from)] = Some(view(from));
            }
            pages.leaders.elected(life(0), Box::new(|| true))?;
            pages.desks.acts(NOW, &pid(0, 3))?;
            spoil(pages);
            verdict = conclude(NOW, 2, pages, &bounds);
            Ok(())
        });
        verdict.map_or_else(|violation| violation.property, |()| "")
    }

    fn seen(spoil: impl FnOnce(&mut Pages)) -> &'static str {
        concluded(NOW, spoil)
    }

    fn viewed(spoil: impl FnOnce(&mut View)) -> &'static str {
        seen(|pages| spoil(pages.views[1].as_mut().unwrap()))
    }

    #[test]
    fn nothing_is_said_of_what_is_as_it_should_be() {
        assert_eq!(seen(|_| ()), "");
    }

    #[test]
    fn a_node_that_is_not_there_is_missed() {
        assert_eq!(seen(|pages| pages.desks.closes(life(1))), "members");
    }

    #[test]
    fn no_leader_and_a_boss_that_does_nothing_or_lives_nowhere_are_missed() {
        assert_eq!(seen(|pages| drop(pages.leaders.stopped(life(0)))), "leaders");
        assert_eq!(seen(|pages| pages.desks.acts(LONG_AGO, &pid(0, 3)).unwrap()), "leaders");
        assert_eq!(seen(|pages| pages.desks.acts(NOW, &pid(3, 3)).unwrap()), "leaders");
    }

    #[test]
    fn whatever_a_cache_shows_wrong_is_seen() {
        assert_eq!(seen(|pages| pages.views[1] = None), "caches");
        assert_eq!(viewed(|view| view.at = LONG_AGO), "caches");
        assert_eq!(viewed(|view| view.life.number = 1), "caches");
        assert_eq!(viewed(|view| drop(view.peers.pop())), "caches");
        assert_eq!(viewed(|view| view.inboxes.push(pid(3, 1))), "caches");
        assert_eq!(viewed(|view| view.freshness = Freshness::Loading), "caches");
        assert_eq!(viewed(|view| view.boss = Some(pid(1, 3))), "caches");
        assert_eq!(viewed(|view| view.boss = None), "caches");
    }

    #[test]
    fn letters_that_stopped_and_a_death_that_was_not_told_are_seen() {
        assert_eq!(concluded(LONG_AGO, |_| ()), "messages flow");
        let monitor = |pages: &mut Pages, target| {
            pages.traffic.monitors(life(0), serde_json::from_str("1").unwrap(), &target).unwrap();
        };
        assert_eq!(seen(|pages| monitor(pages, pid(1, 1))), "", "it lives");
        assert_eq!(seen(|pages| monitor(pages, pid(3, 1))), "monitors fire");
    }
}

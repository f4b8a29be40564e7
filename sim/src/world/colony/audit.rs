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

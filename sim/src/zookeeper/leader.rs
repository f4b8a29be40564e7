//! What only a leader has: the sessions' ends, and the writes that no majority has yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use queenright_core::wire::{AuthId, ErrorCode, Request};
use queenright_core::{Instant, SessionId, Zxid};

use super::answer::{Form, Verdict};
use super::decide::{Decision, decide};
use super::outstanding::Outstanding;
use super::prepare::{Author, Draft, Touched};
use super::sessions::{Owner, Sessions, Term, Unserved};
use super::transaction::{Change, Origin, SessionChange, Ticket, Transaction};
use super::{ConnectionId, Profile, ServerId, Tree};

/// The state of a leader.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) term: Term,
    pub(super) sessions: Sessions,
    pub(super) outstanding: Outstanding,
    /// Decided, and not committed yet.
    pub(super) proposals: VecDeque<Arc<Transaction>>,
    /// The last zxid that was given away.
    pub(super) last_zxid: Zxid,
    pub(super) learners: BTreeMap<ServerId, Learner>,
    /// Syncs of followers that wait until so much of the log is committed.
    pub(super) syncs: VecDeque<(u64, ServerId, ConnectionId, Ticket)>,
    pub(super) sweep_at: Instant,
    /// When it looks after its followers; one that is alone has none.
    pub(super) beat_at: Option<Instant>,
}

/// A follower, as its leader sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learner {
    pub(super) term: Term,
    pub(super) heard_at: Instant,
    /// How much of the log, proposals included, it has acknowledged.
    pub(super) acked: u64,
}

/// What a client wants of the leader.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) origin: Origin,
    pub(super) session: SessionId,
    pub(super) identities: Arc<[AuthId]>,
    pub(super) wish: Wish,
}

#[derive(Clone, Debug)]
pub(super) enum Wish {
    Write(Request),
    /// A new session.
    Open {
        timeout: Duration,
    },
    /// The end of the session.
    Close,
}

/// What a leader proposes, before it has a zxid.
pub(super) struct Proposal {
    pub(super) origin: Option<Origin>,
    pub(super) decision: Decision,
    pub(super) session: SessionChange,
    pub(super) touched: Touched,
}

impl Leader {
    /// Decides about a wish that came over `owner`.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        tree: &Tree,
        profile: Profile,
        owner: Owner,
        submission: Submission,
    ) -> Proposal {
        let Submission { origin, session, identities, wish } = submission;
        let plain =
            |decision, session, touched| Proposal { origin: Some(origin), decision, session, touched };
        match wish {
            Wish::Open { timeout } => {
                self.sessions.open(now, session, timeout, owner);
                let decision = Decision { changes: Vec::new(), verdict: Verdict::Silent };
                plain(decision, SessionChange::Opened(session, timeout), Touched::new())
            }
            // Whoever asks: it is the last that the session does.
            Wish::Close => self.end(tree, session, Some(origin)),
            Wish::Write(request) => {
                let refusal = match self.sessions.check(session, owner) {
                    Ok(()) => None,
                    Err(Unserved::Expired) => Some(ErrorCode::SESSION_EXPIRED),
                    Err(Unserved::Moved) => Some(ErrorCode::SESSION_MOVED),
                };
                if let Some(code) = refusal {
                    return plain(Decision::refused(code), SessionChange::None, Touched::new());
                }
                let author = Author { session, identities: &identities };
                let mut draft = Draft::new(tree, &self.outstanding, author);
                let decision = decide(&mut draft, request, profile);
                let touched = match decision.changes.is_empty() {
                    true => Touched::new(),
                    false => draft.into_touched(),
                };
                plain(decision, SessionChange::None, touched)
            }
        }
    }

    /// The end of `session`: its ephemerals go, all in one transaction.
    pub(super) fn end(&mut self, tree: &Tree, session: SessionId, origin: Option<Origin>) -> Proposal {
        self.sessions.close(session);
        let mut ephemerals: BTreeSet<Arc<str>> = tree.ephemeral_paths(session).cloned().collect();
        self.outstanding.correct(session, &mut ephemerals);
        let mut draft = self.draft(tree);
        let changes = ephemerals.iter().filter_map(|path| draft.remove(path)).collect();
        let touched = draft.into_touched();
        let decision = Decision { changes, verdict: Verdict::Done(Form::Path) };
        Proposal { origin, decision, session: SessionChange::Closed(session), touched }
    }

    /// A change that nobody asked for; `None` when it makes no sense any more.
    pub(super) fn change_by_itself(
        &self,
        tree: &Tree,
        change: impl FnOnce(&mut Draft<'_>) -> Option<Change>,
    ) -> Option<Proposal> {
        let mut draft = self.draft(tree);
        let changes = vec![change(&mut draft)?];
        let decision = Decision { changes, verdict: Verdict::Silent };
        let touched = draft.into_touched();
        Some(Proposal { origin: None, decision, session: SessionChange::None, touched })
    }

    /// Gives a proposal its zxid.
    pub(super) fn append(&mut self, time_ms: i64, proposal: Proposal) {
        let Proposal { origin, decision: Decision { changes, verdict }, session, touched } = proposal;
        self.last_zxid = Zxid(self.last_zxid.0 + 1);
        let zxid = self.last_zxid;
        self.outstanding.add(zxid, touched);
        let transaction = Transaction { zxid, time_ms, changes, session, origin, verdict };
        self.proposals.push_back(Arc::new(transaction));
    }

    /// How many servers have all of the log up to `number`, itself among them.
    pub(super) fn holder_count(&self, number: u64) -> usize {
        1 + self.learners.values().filter(|learner| learner.acked >= number).count()
    }

    fn draft<'a>(&'a self, tree: &'a Tree) -> Draft<'a> {
        let nobody = Author { session: SessionId(0), identities: &[] };
        Draft::new(tree, &self.outstanding, nobody)
    }
}

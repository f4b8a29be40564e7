//! A claim on a term, and what is known of one that was not answered (rules 7, 9 and 10).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::global::Campaign;
use crate::lease::proof_of_life;
use crate::mutation::Mutation;
use crate::op::{Op, Version, Write};
use crate::outbox::{LeaseName, Outbox, exactly};
use crate::path::Path;
use crate::record::TermRecord;

/// Whether an earlier claim may have been applied, or may still be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum Open {
    No,
    /// The answer was lost.
    Lost(Claim),
    /// It was refused, but perhaps because an earlier copy of it had been applied: the next read tells.
    Refused,
}

/// A claim (rule 7) or a take-over (rule 9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) struct Claim {
    /// The version of the term record that it expects.
    pub(super) base: i32,
    pub(super) kind: ClaimKind,
    pub(super) lease: LeaseName,
    pub(super) campaign: Campaign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum ClaimKind {
    /// Of a vacant term.
    Vacant,
    /// From a holder whose record was absent.
    FromAbsent,
    /// From a holder whose record was silent at a version for W.
    FromSilent { holder: LeaseName, version: i32 },
}

impl Claim {
    /// The version of the term record once the claim was applied.
    pub(super) fn made(&self) -> i32 {
        match self.kind {
            ClaimKind::Vacant => self.base.wrapping_add(1),
            ClaimKind::FromAbsent | ClaimKind::FromSilent { .. } => self.base.wrapping_add(2),
        }
    }

    pub(super) fn op(&self, path: &Path, out: &Outbox) -> Option<Op> {
        let held =
            TermRecord::Held { lease: Arc::clone(&self.lease), payload: Arc::clone(&self.campaign.payload) };
        let set =
            |data, version| Some(Write::SetData { path: path.clone(), data, version: exactly(version)? });
        let mut writes = Vec::with_capacity(4);
        if let ClaimKind::FromSilent { holder, version } = &self.kind {
            let silent = if out.config.is_mutated(Mutation::KillAtAnyVersion) {
                Version::Any
            } else {
                exactly(*version)?
            };
            writes.push(Write::Delete { path: out.layout.lease(holder), version: silent });
        }
        if !out.config.is_mutated(Mutation::NoProofOfLife) {
            writes.push(proof_of_life(&self.lease, out));
        }
        match self.kind {
            ClaimKind::Vacant if out.config.is_mutated(Mutation::ClaimAtAnyVersion) => {
                writes.push(Write::SetData {
                    path: path.clone(),
                    data: held.encode(),
                    version: Version::Any,
                });
            }
            ClaimKind::Vacant => writes.push(set(held.encode(), self.base)?),
            ClaimKind::FromAbsent | ClaimKind::FromSilent { .. } => {
                writes.push(set(TermRecord::Vacant.encode(), self.base)?);
                writes.push(set(held.encode(), self.base.wrapping_add(1))?);
            }
        }
        Some(Op::Multi(writes))
    }

    /// Where in the transaction this node proves that it lives.
    pub(super) fn proof_at(&self) -> u32 {
        match self.kind {
            ClaimKind::Vacant | ClaimKind::FromAbsent => 0,
            ClaimKind::FromSilent { .. } => 1,
        }
    }

    /// Where in the transaction the term record is first written.
    pub(super) fn base_at(&self) -> u32 {
        self.proof_at() + 1
    }
}

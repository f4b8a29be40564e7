//! What a leader makes of a request: a transaction, whether it may happen or not.

use queenright_core::wire::{CreateFlags, CreateForm, ErrorCode, MultiRequest, OpCode, Request};

use super::Profile;
use super::answer::{Form, Verdict};
use super::mutation::Mutation;
use super::prepare::{self, Draft};
use super::transaction::Change;

/// What a request comes to.
pub(super) struct Decision {
    /// Empty when it is refused.
    pub(super) changes: Vec<Change>,
    pub(super) verdict: Verdict,
}

impl Decision {
    /// It must not happen.
    pub(super) const fn refused(code: ErrorCode) -> Self {
        Self { changes: Vec::new(), verdict: Verdict::Refused(code) }
    }

    fn one(decided: Result<Change, ErrorCode>, form: Form) -> Self {
        match decided {
            Ok(change) => Self { changes: vec![change], verdict: Verdict::Done(form) },
            Err(code) => Self::refused(code),
        }
    }
}

/// Who answers a request, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The client's server, whatever waits on the connection.
    AtOnce,
    /// The client's server, in its turn.
    InTurn,
    /// The leader decides, and it costs a zxid.
    Write,
}

/// The course of `request`.
pub(super) fn course(request: &Request, profile: Profile) -> Course {
    match request {
        Request::Auth { .. } | Request::Unsupported { .. } | Request::Garbled { opcode: OpCode::Auth } => {
            Course::AtOnce
        }
        Request::Check(_) => match profile {
            Profile::V3_8 => Course::Write,
            // A check is a part of a multi; alone it is as unknown as those that are unknown.
            Profile::V3_9 => Course::AtOnce,
        },
        Request::Create(_)
        | Request::Delete(_)
        | Request::SetData(_)
        | Request::SetAcl { .. }
        | Request::Multi(_)
        | Request::Reconfig { .. }
        | Request::CloseSession => Course::Write,
        Request::Garbled { opcode } if spends_zxid_unread(*opcode, profile) => Course::Write,
        Request::Garbled { .. }
        | Request::Exists(_)
        | Request::GetData(_)
        | Request::GetAcl { .. }
        | Request::GetChildren(_)
        | Request::GetChildren2(_)
        | Request::Sync { .. }
        | Request::Ping
        | Request::MultiRead(_)
        | Request::CheckWatches { .. }
        | Request::RemoveWatches { .. }
        | Request::AddWatch { .. }
        | Request::SetWatches { .. }
        | Request::SetWatches2 { .. }
        | Request::GetEphemerals { .. }
        | Request::GetAllChildrenNumber { .. }
        | Request::WhoAmI => Course::InTurn,
    }
}

/// Decides about a write on top of `draft`. What it refuses leaves traces in the draft, which is to be dropped then.
pub(super) fn decide(draft: &mut Draft<'_>, request: Request, profile: Profile) -> Decision {
    match request {
        Request::Create(create) => {
            let form = Form::of(create.form);
            Decision::one(draft.create(create), form)
        }
        Request::Delete(delete) => Decision::one(draft.delete(&delete), Form::Path),
        Request::SetData(set_data) => Decision::one(draft.set_data(set_data), Form::Path),
        Request::SetAcl { path, acl, version } => {
            Decision::one(draft.set_acl(&path, acl.as_deref(), version), Form::Path)
        }
        Request::Multi(parts) => decide_multi(draft, parts, profile),
        // Real servers of 3.8 fail to write the answer to one that holds, and go on.
        Request::Check(check) => match draft.check(&check) {
            Ok(change) => Decision { changes: vec![change], verdict: Verdict::Silent },
            Err(code) => Decision::refused(code),
        },
        Request::Reconfig { .. } => Decision::refused(ErrorCode::RECONFIG_DISABLED),
        Request::Garbled { .. } => Decision::refused(ErrorCode::MARSHALLING_ERROR),
        Request::Exists(_)
        | Request::GetData(_)
        | Request::GetAcl { .. }
        | Request::GetChildren(_)
        | Request::GetChildren2(_)
        | Request::Sync { .. }
        | Request::Ping
        | Request::MultiRead(_)
        | Request::CheckWatches { .. }
        | Request::RemoveWatches { .. }
        | Request::AddWatch { .. }
        | Request::Auth { .. }
        | Request::SetWatches { .. }
        | Request::SetWatches2 { .. }
        | Request::GetEphemerals { .. }
        | Request::GetAllChildrenNumber { .. }
        | Request::WhoAmI
        | Request::CloseSession
        | Request::Unsupported { .. } => unreachable!("{request:?} is no write that a draft decides"),
    }
}

/// All or nothing. A failed one is answered with results, too.
fn decide_multi(draft: &mut Draft<'_>, parts: Vec<MultiRequest>, profile: Profile) -> Decision {
    if profile == Profile::V3_9 && parts.iter().any(is_unreadable) {
        return Decision::refused(ErrorCode::MARSHALLING_ERROR);
    }
    let forms: Vec<_> = parts.iter().map(|part| Form::of_part(profile, part)).collect();
    let mut changes = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        if profile == Profile::V3_8 && lacks_time_to_live(&part) {
            return Decision::refused(ErrorCode::MARSHALLING_ERROR);
        }
        match draft.part(part) {
            Ok(change) => changes.push(change),
            Err(code) => {
                let verdict = Verdict::PartRefused { part_count: forms.len(), failed: index, code };
                if !draft.is_broken(Mutation::MultiRollback) {
                    changes.clear();
                }
                return Decision { changes, verdict };
            }
        }
    }
    Decision { changes, verdict: Verdict::AllDone(forms) }
}

/// Whether a zxid is spent before it shows that the body cannot be read.
fn spends_zxid_unread(opcode: OpCode, profile: Profile) -> bool {
    match (opcode, profile) {
        // The only write that is read first.
        (OpCode::Reconfig, _) => false,
        (OpCode::Check, Profile::V3_8) => true,
        (opcode, _) => opcode.spends_zxid(),
    }
}

/// A TTL node in a request that has no place for the time to live: 3.8 takes it for one that has, and stumbles.
fn lacks_time_to_live(part: &MultiRequest) -> bool {
    match part {
        MultiRequest::Create(create) => {
            let is_ttl = matches!(create.flags, CreateFlags::TTL | CreateFlags::TTL_SEQUENTIAL);
            is_ttl && !matches!(create.form, CreateForm::Ttl { .. })
        }
        MultiRequest::Delete(_) | MultiRequest::SetData(_) | MultiRequest::Check(_) => false,
    }
}

/// What does not even parse since 3.9.
fn is_unreadable(part: &MultiRequest) -> bool {
    match part {
        MultiRequest::Create(create) => create.acl.is_none() || prepare::known(create.flags).is_none(),
        MultiRequest::Delete(_) | MultiRequest::SetData(_) | MultiRequest::Check(_) => false,
    }
}

//! How whoever asked for a write is answered, once it is applied.

use std::cmp::Ordering;
use std::sync::Arc;

use queenright_core::wire::{CreateForm, ErrorCode, MultiRequest, MultiResult, Response};

use super::Profile;
use super::transaction::Effect;

/// What the leader found. It travels with the transaction, because another server gives the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One write, or the beginning or the end of a session.
    Done(Form),
    /// A multi.
    AllDone(Vec<Form>),
    /// It must not happen. SESSION_MOVED is not told: the connection is closed.
    Refused(ErrorCode),
    /// A multi must not, because of one part.
    PartRefused { part_count: usize, failed: usize, code: ErrorCode },
    /// Done, and nobody is told.
    Silent,
}

/// How a create is answered: with the stat or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Path,
    PathAndStat,
}

impl Form {
    /// That of a create of its own.
    pub(super) fn of(form: CreateForm) -> Self {
        match form {
            CreateForm::Create => Self::Path,
            CreateForm::Create2 | CreateForm::Container | CreateForm::Ttl { .. } => Self::PathAndStat,
        }
    }

    /// Inside a multi the flags say what is created, and so how it is answered; but create2 asks for its stat, and gets
    /// it since 3.9.
    pub(super) fn of_part(profile: Profile, part: &MultiRequest) -> Self {
        match part {
            MultiRequest::Create(create)
                if create.flags.is_swept()
                    || (create.form == CreateForm::Create2 && profile == Profile::V3_9) =>
            {
                Self::PathAndStat
            }
            MultiRequest::Create(_)
            | MultiRequest::Delete(_)
            | MultiRequest::SetData(_)
            | MultiRequest::Check(_) => Self::Path,
        }
    }
}

impl Verdict {
    /// The answer, from what the changes of the transaction came to; `None` when there is none.
    pub(super) fn answer(&self, effects: Vec<Effect>) -> Option<Result<Response, ErrorCode>> {
        let response = match self {
            Self::Done(form) => match effects.into_iter().next()? {
                Effect::Created { path, .. } if *form == Form::Path => Response::Create { path: text(&path) },
                Effect::Created { path, stat } => Response::Create2 { path: text(&path), stat },
                Effect::Deleted => Response::Delete,
                Effect::DataSet { stat } => Response::SetData { stat },
                Effect::AclSet { stat } => Response::SetAcl { stat },
                Effect::Checked => return None,
            },
            Self::AllDone(forms) => {
                let results = effects.into_iter().zip(forms).map(|(effect, form)| part_result(effect, *form));
                Response::Multi(results.collect())
            }
            Self::Refused(code) => return Some(Err(*code)),
            Self::PartRefused { part_count, failed, code } => {
                let result = |index: usize| match index.cmp(failed) {
                    Ordering::Less => ErrorCode::OK,
                    Ordering::Equal => *code,
                    Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
                };
                Response::Multi((0..*part_count).map(|index| MultiResult::Error(result(index))).collect())
            }
            Self::Silent => return None,
        };
        Some(Ok(response))
    }
}

fn part_result(effect: Effect, form: Form) -> MultiResult {
    match effect {
        Effect::Created { path, stat } => match form {
            Form::Path => MultiResult::Create { path: text(&path) },
            Form::PathAndStat => MultiResult::Create2 { path: text(&path), stat },
        },
        Effect::Deleted => MultiResult::Delete,
        Effect::DataSet { stat } => MultiResult::SetData { stat },
        Effect::Checked => MultiResult::Check,
        Effect::AclSet { .. } => unreachable!("no part of a multi sets a list"),
    }
}

fn text(path: &Arc<str>) -> String {
    path.as_ref().into()
}

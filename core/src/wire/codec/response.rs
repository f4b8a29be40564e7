//! Replies.

use alloc::string::String;
use alloc::vec::Vec;

use super::parts::{NO_TYPE, Part};
use super::{DecodeError, Reader, Record, bodies};
use crate::op::Stat;
use crate::wire::{Acl, AuthId, ErrorCode, MultiReadResult, MultiResult, OpCode, Response};

impl Response {
    /// The reply to a request of type `opcode`, from what follows its header.
    ///
    /// # Errors
    /// When these bytes are no such reply, or the type has none.
    pub fn decode(opcode: OpCode, body: &[u8]) -> Result<Self, DecodeError> {
        Self::read_body(opcode, &mut Reader::new(body))
    }
}

bodies! {
    Response, opcode, out, from;
    bodies {
        Create => Create { path: String };
        Create2 | CreateContainer | CreateTtl => Create2 { path: String, stat: Stat };
        Delete => Delete;
        Exists => Exists { stat: Stat };
        GetData => GetData { data: Option<Vec<u8>>, stat: Stat };
        SetData => SetData { stat: Stat };
        GetAcl => GetAcl { acl: Vec<Acl>, stat: Stat };
        SetAcl => SetAcl { stat: Stat };
        GetChildren => GetChildren { children: Vec<String> };
        GetChildren2 => GetChildren2 { children: Vec<String>, stat: Stat };
        Sync => Sync { path: String };
        Ping => Ping;
        Multi => Multi(results: Vec<MultiResult>);
        MultiRead => MultiRead(results: Vec<MultiReadResult>);
        CheckWatches => CheckWatches;
        RemoveWatches => RemoveWatches;
        Auth => Auth;
        SetWatches | SetWatches2 => SetWatches;
        GetEphemerals => GetEphemerals { paths: Vec<String> };
        GetAllChildrenNumber => GetAllChildrenNumber { count: i32 };
        WhoAmI => WhoAmI { identities: Vec<AuthId> };
        CloseSession => CloseSession;
    }
    write {
        Self::AddWatch => ErrorCode::OK.write(out),
    }
    read {
        OpCode::AddWatch => {
            from.field::<ErrorCode>("err")?;
            Self::AddWatch
        },
        // Real servers answer them with errors only.
        OpCode::Check | OpCode::Reconfig => return Err(from.no_reply(opcode.number())),
    }
}

impl Part for MultiResult {
    fn header(&self) -> (i32, ErrorCode) {
        let opcode = match self {
            Self::Create { .. } => OpCode::Create,
            Self::Create2 { .. } => OpCode::Create2,
            Self::Delete => OpCode::Delete,
            Self::SetData { .. } => OpCode::SetData,
            Self::Check => OpCode::Check,
            Self::Error(code) => return (NO_TYPE, *code),
        };
        (opcode.number(), ErrorCode::OK)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create { path } => path.write(out),
            Self::Create2 { path, stat } => {
                path.write(out);
                stat.write(out);
            }
            Self::SetData { stat } => stat.write(out),
            Self::Delete | Self::Check => {}
            Self::Error(code) => code.write(out),
        }
    }

    fn read_body(number: i32, from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if number == NO_TYPE {
            return Ok(Some(Self::Error(from.field("err")?)));
        }
        Ok(Some(match OpCode::from_number(number) {
            Some(OpCode::Create) => Self::Create { path: from.field("path")? },
            Some(OpCode::Create2) => Self::Create2 { path: from.field("path")?, stat: from.field("stat")? },
            Some(OpCode::Delete) => Self::Delete,
            Some(OpCode::SetData) => Self::SetData { stat: from.field("stat")? },
            Some(OpCode::Check) => Self::Check,
            _ => return Ok(None),
        }))
    }
}

impl Part for MultiReadResult {
    fn header(&self) -> (i32, ErrorCode) {
        let opcode = match self {
            Self::GetData { .. } => OpCode::GetData,
            Self::GetChildren { .. } => OpCode::GetChildren,
            Self::Error(code) => return (NO_TYPE, *code),
        };
        (opcode.number(), ErrorCode::OK)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::GetData { data, stat } => {
                data.write(out);
                stat.write(out);
            }
            Self::GetChildren { children } => children.write(out),
            Self::Error(code) => code.write(out),
        }
    }

    fn read_body(number: i32, from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if number == NO_TYPE {
            return Ok(Some(Self::Error(from.field("err")?)));
        }
        Ok(Some(match OpCode::from_number(number) {
            Some(OpCode::GetData) => Self::GetData { data: from.field("data")?, stat: from.field("stat")? },
            Some(OpCode::GetChildren) => Self::GetChildren { children: from.field("children")? },
            _ => return Ok(None),
        }))
    }
}

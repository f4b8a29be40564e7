//! Requests.

use alloc::string::String;
use alloc::vec::Vec;

use super::parts::{NO_ERROR_YET, Part};
use super::{DecodeError, Reader, Record, bodies, records};
use crate::ids::Zxid;
use crate::wire::frames::frame;
use crate::wire::{
    Check, Create, CreateForm, Delete, ErrorCode, MultiReadRequest, MultiRequest, OpCode, Read, Request,
    SetData, WatcherType,
};

impl Request {
    /// Appends the frame that asks for it.
    pub fn encode(&self, xid: i32, out: &mut Vec<u8>) {
        frame(out, |out| {
            xid.write(out);
            self.opcode().map_or_else(|number| number, OpCode::number).write(out);
            self.write_body(out);
        });
    }

    /// The xid and the request in the body of a frame. What has a header decodes: a body that cannot be read is
    /// [`Request::Garbled`], a type that is not served [`Request::Unsupported`].
    ///
    /// # Errors
    /// When it ends before its header does. Servers close the connection then.
    pub fn decode(body: &[u8]) -> Result<(i32, Self), DecodeError> {
        let mut from = Reader::new(body);
        let xid = from.field("xid")?;
        let number = from.field("type")?;
        let request = match OpCode::from_number(number) {
            Some(opcode) => Self::read_body(opcode, &mut from).unwrap_or(Self::Garbled { opcode }),
            None => Self::Unsupported { opcode: number },
        };
        Ok((xid, request))
    }

    /// Its type, which a client needs to read the reply.
    ///
    /// # Errors
    /// The number of a type that is not served.
    pub const fn opcode(&self) -> Result<OpCode, i32> {
        Ok(match self {
            Self::Create(create) => create.form.opcode(),
            Self::Delete(_) => OpCode::Delete,
            Self::Exists(_) => OpCode::Exists,
            Self::GetData(_) => OpCode::GetData,
            Self::SetData(_) => OpCode::SetData,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::GetChildren(_) => OpCode::GetChildren,
            Self::GetChildren2(_) => OpCode::GetChildren2,
            Self::Sync { .. } => OpCode::Sync,
            Self::Ping => OpCode::Ping,
            Self::Check(_) => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::CheckWatches { .. } => OpCode::CheckWatches,
            Self::RemoveWatches { .. } => OpCode::RemoveWatches,
            Self::AddWatch { .. } => OpCode::AddWatch,
            Self::Auth { .. } => OpCode::Auth,
            Self::SetWatches { .. } => OpCode::SetWatches,
            Self::SetWatches2 { .. } => OpCode::SetWatches2,
            Self::GetEphemerals { .. } => OpCode::GetEphemerals,
            Self::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::CloseSession => OpCode::CloseSession,
            Self::Garbled { opcode } => *opcode,
            Self::Unsupported { opcode } => return Err(*opcode),
        })
    }
}

bodies! {
    Request, opcode, out, from;
    bodies {
        Delete => Delete(delete: Delete);
        Exists => Exists(read: Read);
        GetData => GetData(read: Read);
        GetAcl => GetAcl { path: String };
        GetChildren => GetChildren(read: Read);
        GetChildren2 => GetChildren2(read: Read);
        Ping => Ping;
        Multi => Multi(parts: Vec<MultiRequest>);
        MultiRead => MultiRead(parts: Vec<MultiReadRequest>);
        Reconfig => Reconfig {
            joining: Option<String>,
            leaving: Option<String>,
            new_members: Option<String>,
            config_id: i64
        };
        CheckWatches => CheckWatches { path: String, watcher: WatcherType };
        SetWatches => SetWatches {
            relative_zxid: Zxid,
            data: Vec<String>,
            exist: Vec<String>,
            child: Vec<String>
        };
        SetWatches2 => SetWatches2 {
            relative_zxid: Zxid,
            data: Vec<String>,
            exist: Vec<String>,
            child: Vec<String>,
            persistent: Vec<String>,
            recursive: Vec<String>
        };
        GetAllChildrenNumber => GetAllChildrenNumber { path: String };
        WhoAmI => WhoAmI;
        CloseSession => CloseSession;
    }
    write {
        Self::Create(create) => create.write_body(out),
        Self::Auth { scheme, auth } => {
            AUTH_TYPE.write(out);
            scheme.write(out);
            auth.write(out);
        },
        Self::GetEphemerals { prefix } => prefix.write(out),
        Self::SetData(set_data) => set_data.write(out),
        Self::SetAcl { path, acl, version } => {
            path.write(out);
            acl.write(out);
            version.write(out);
        },
        Self::Sync { path } => path.write(out),
        Self::Check(check) => check.write(out),
        Self::RemoveWatches { path, watcher } => {
            path.write(out);
            watcher.write(out);
        },
        Self::AddWatch { path, mode } => {
            path.write(out);
            mode.write(out);
        },
        Self::Garbled { .. } | Self::Unsupported { .. } => {},
    }
    read {
        OpCode::Create => Self::Create(Create::read_body(from, Form::CREATE)?),
        OpCode::Create2 => Self::Create(Create::read_body(from, Form::CREATE2)?),
        OpCode::CreateContainer => Self::Create(Create::read_body(from, Form::CONTAINER)?),
        OpCode::CreateTtl => Self::Create(Create::read_body(from, Form::TTL)?),
        OpCode::Auth => {
            from.field::<i32>("type")?;
            Self::Auth { scheme: from.text_or_null("scheme")?, auth: from.field("auth")? }
        },
        // All of them, also when it is null.
        OpCode::GetEphemerals => Self::GetEphemerals { prefix: from.text_or_null("prefix")? },
        // A null path does not keep real servers from serving these, as it does with the others: it is no path, or one
        // at which nothing is watched, and so is the empty one.
        OpCode::SetData => Self::SetData(SetData {
            path: from.text_or_null("path")?,
            data: from.field("data")?,
            version: from.field("version")?,
        }),
        OpCode::SetAcl => Self::SetAcl {
            path: from.text_or_null("path")?,
            acl: from.field("acl")?,
            version: from.field("version")?,
        },
        OpCode::Sync => Self::Sync { path: from.text_or_null("path")? },
        OpCode::Check => Self::Check(Check {
            path: from.text_or_null("path")?,
            version: from.field("version")?,
        }),
        OpCode::RemoveWatches => Self::RemoveWatches {
            path: from.text_or_null("path")?,
            watcher: from.field("watcher")?,
        },
        OpCode::AddWatch => Self::AddWatch {
            path: from.text_or_null("path")?,
            mode: from.field("mode")?,
        },
    }
}

/// A field of auth requests that has no other value.
const AUTH_TYPE: i32 = 0;

records! {
    Delete { path: String, version: i32 }
    SetData { path: String, data: Option<Vec<u8>>, version: i32 }
    Check { path: String, version: i32 }
    Read { path: String, watch: bool }
}

impl Create {
    fn write_body(&self, out: &mut Vec<u8>) {
        self.path.write(out);
        self.data.write(out);
        self.acl.write(out);
        self.flags.write(out);
        match self.form {
            CreateForm::Ttl { ttl } => ttl.write(out),
            CreateForm::Create | CreateForm::Create2 | CreateForm::Container => {}
        }
    }

    /// What belongs to the form comes last.
    fn read_body(from: &mut Reader<'_>, form: Form) -> Result<Self, DecodeError> {
        let path = from.field("path")?;
        let data = from.field("data")?;
        let acl = from.field("acl")?;
        let flags = from.field("flags")?;
        Ok(Self { form: form.0(from)?, path, data, acl, flags })
    }
}

/// How to read what only one form of create has.
struct Form(fn(&mut Reader<'_>) -> Result<CreateForm, DecodeError>);

impl Form {
    const CREATE: Self = Self(|_| Ok(CreateForm::Create));
    const CREATE2: Self = Self(|_| Ok(CreateForm::Create2));
    const CONTAINER: Self = Self(|_| Ok(CreateForm::Container));
    const TTL: Self = Self(|from| Ok(CreateForm::Ttl { ttl: from.field("ttl")? }));
}

impl Part for MultiRequest {
    fn header(&self) -> (i32, ErrorCode) {
        let opcode = match self {
            Self::Create(create) => create.form.opcode(),
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
        };
        (opcode.number(), NO_ERROR_YET)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(create) => create.write_body(out),
            Self::Delete(delete) => delete.write(out),
            Self::SetData(set_data) => set_data.write(out),
            Self::Check(check) => check.write(out),
        }
    }

    fn read_body(number: i32, from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match OpCode::from_number(number) {
            Some(OpCode::Create) => Self::Create(Create::read_body(from, Form::CREATE)?),
            Some(OpCode::Create2) => Self::Create(Create::read_body(from, Form::CREATE2)?),
            Some(OpCode::CreateContainer) => Self::Create(Create::read_body(from, Form::CONTAINER)?),
            Some(OpCode::CreateTtl) => Self::Create(Create::read_body(from, Form::TTL)?),
            Some(OpCode::Delete) => Self::Delete(Record::read(from)?),
            Some(OpCode::SetData) => Self::SetData(Record::read(from)?),
            Some(OpCode::Check) => Self::Check(Record::read(from)?),
            _ => return Ok(None),
        }))
    }
}

impl Part for MultiReadRequest {
    fn header(&self) -> (i32, ErrorCode) {
        let opcode = match self {
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        };
        (opcode.number(), NO_ERROR_YET)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::GetData(read) | Self::GetChildren(read) => read.write(out),
        }
    }

    fn read_body(number: i32, from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match OpCode::from_number(number) {
            Some(OpCode::GetData) => Self::GetData(Record::read(from)?),
            Some(OpCode::GetChildren) => Self::GetChildren(Record::read(from)?),
            _ => return Ok(None),
        }))
    }
}

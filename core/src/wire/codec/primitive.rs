//! What records are made of.

use alloc::string::String;
use alloc::vec::Vec;

use super::reader::text;
use super::{DecodeError, Reader, Record, records};
use crate::ids::{SessionId, Zxid};
use crate::op::{Change, Stat};
use crate::wire::{Acl, AddWatchMode, AuthId, CreateFlags, ErrorCode, Permissions, WatcherType};

impl Record for bool {
    const LEN_MIN: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array().map(|[byte]| byte != 0)
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Record for $type {
            const LEN_MIN: usize = size_of::<Self>();

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                from.array().map(Self::from_be_bytes)
            }
        }
    )*};
}

integers!(i32, i64);

/// Numbers with a meaning.
macro_rules! newtypes {
    ($($type:ident($number:ty)),*) => {$(
        impl Record for $type {
            const LEN_MIN: usize = <$number as Record>::LEN_MIN;

            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Record::read(from).map(Self)
            }
        }
    )*};
}

newtypes!(Zxid(i64), SessionId(i64), ErrorCode(i32), Permissions(i32), CreateFlags(i32));

/// Numbers of which some are defined.
macro_rules! enums {
    ($($type:ident { $($variant:ident = $number:literal),* })*) => {$(
        impl Record for $type {
            const LEN_MIN: usize = <i32 as Record>::LEN_MIN;

            fn write(&self, out: &mut Vec<u8>) {
                let number: i32 = match self {
                    $(Self::$variant => $number,)*
                };
                number.write(out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match i32::read(from)? {
                    $($number => Ok(Self::$variant),)*
                    number => Err(from.undefined(number)),
                }
            }
        }
    )*};
}

enums! {
    Change { Created = 1, Deleted = 2, DataChanged = 3, ChildrenChanged = 4 }
    WatcherType { Children = 1, Data = 2, Any = 3, Persistent = 4, PersistentRecursive = 5 }
    AddWatchMode { Persistent = 0, PersistentRecursive = 1 }
}

impl Record for Option<Vec<u8>> {
    const LEN_MIN: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        write_buffer(self.as_deref(), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(from.buffer()?.map(Vec::from))
    }
}

impl Record for Option<String> {
    const LEN_MIN: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        write_buffer(self.as_deref().map(str::as_bytes), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(from.buffer()?.map(text))
    }
}

/// Text that must be there.
impl Record for String {
    const LEN_MIN: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        write_buffer(Some(self.as_bytes()), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::read(from)?.ok_or_else(|| from.null())
    }
}

impl<T: Record> Record for Option<Vec<T>> {
    const LEN_MIN: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(items) => items.write(out),
            None => (-1_i32).write(out),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.vector()
    }
}

/// A vector that must be there.
impl<T: Record> Record for Vec<T> {
    const LEN_MIN: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        write_len(self.len(), out);
        for item in self {
            item.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.vector()?.ok_or_else(|| from.null())
    }
}

impl Record for AuthId {
    const LEN_MIN: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        self.scheme.write(out);
        self.id.write(out);
    }

    // kazoo writes the empty id of the scheme `auth` as null. Schemes that look into the id break over null.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let scheme = from.text_or_null("scheme")?;
        let id = match scheme.as_str() {
            "world" | "digest" | "ip" => from.field("id")?,
            _ => from.text_or_null("id")?,
        };
        Ok(Self { scheme, id })
    }
}

records! {
    Acl { permissions: Permissions, id: AuthId }
    Stat {
        czxid: Zxid,
        mzxid: Zxid,
        ctime: i64,
        mtime: i64,
        version: i32,
        cversion: i32,
        aversion: i32,
        ephemeral_owner: i64,
        data_length: i32,
        num_children: i32,
        pzxid: Zxid,
    }
}

/// Appends a buffer or a text.
pub(super) fn write_buffer(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => {
            write_len(bytes.len(), out);
            out.extend_from_slice(bytes);
        }
        None => (-1_i32).write(out),
    }
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    // Not reached: a frame of this length is not sent, see `frame`.
    i32::try_from(len).unwrap_or(i32::MAX).write(out);
}

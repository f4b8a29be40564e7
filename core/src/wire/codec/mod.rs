//! Records as bytes: one definition of each, for both directions.

mod parts;
mod primitive;
mod reader;
mod request;
mod response;
mod session;

use alloc::vec::Vec;

pub use reader::{DecodeError, Problem};

pub(super) use reader::Reader;

/// What can be written and read back.
pub(super) trait Record: Sized {
    /// The fewest bytes that one takes: what a vector's count is judged by.
    const LEN_MIN: usize;

    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`write`](Self::write) wrote.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Records that are their fields, one after the other.
macro_rules! records {
    ($($record:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        impl Record for $record {
            const LEN_MIN: usize = 0 $(+ <$type as Record>::LEN_MIN)*;

            fn write(&self, out: &mut Vec<u8>) {
                $(Record::write(&self.$field, out);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: from.field::<$type>(stringify!($field))?),* })
            }
        }
    )*};
}

/// Enums whose variants are bodies, chosen by the type of the request: each a record, or its fields one after the
/// other. What is otherwise follows in `write` and `read`.
macro_rules! bodies {
    (
        $enum:ident, $opcode_of:ident, $out:ident, $from:ident;
        bodies {
            $($($opcode:ident)|+ =>
                $variant:ident $(($record:ident: $record_type:ty))? $({ $($field:ident: $type:ty),* })?;)*
        }
        write { $($pattern:pat => $write:expr,)* }
        read { $($special:pat => $read:expr,)* }
    ) => {
        impl $enum {
            pub(in crate::wire) fn write_body(&self, $out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($record))? $({ $($field),* })? => {
                        $(Record::write($record, $out);)?
                        $($(Record::write($field, $out);)*)?
                    })*
                    $($pattern => $write,)*
                }
            }

            pub(in crate::wire) fn read_body(
                $opcode_of: OpCode,
                $from: &mut Reader<'_>,
            ) -> Result<Self, DecodeError> {
                Ok(match $opcode_of {
                    $($(OpCode::$opcode)|+ => Self::$variant
                        $(($from.field::<$record_type>(stringify!($record))?))?
                        $({ $($field: $from.field::<$type>(stringify!($field))?),* })?,)*
                    $($special => $read,)*
                })
            }
        }
    };
}

use {bodies, records};

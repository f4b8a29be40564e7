//! The lists of multi and multiRead: parts, each after a header with its type, and a header that ends them.

use alloc::vec::Vec;

use super::{DecodeError, Reader, Record};
use crate::wire::{ErrorCode, MultiReadRequest, MultiReadResult, MultiRequest, MultiResult};

/// What stands in a list.
pub(super) trait Part: Sized {
    /// The type and the error of its header.
    fn header(&self) -> (i32, ErrorCode);

    /// Appends what follows the header.
    fn write_body(&self, out: &mut Vec<u8>);

    /// Reads it; `None` when nothing of this type can stand in the list.
    fn read_body(number: i32, from: &mut Reader<'_>) -> Result<Option<Self>, DecodeError>;
}

/// What headers carry that are not about an error.
pub(super) const NO_ERROR_YET: ErrorCode = ErrorCode(-1);
/// The type of the header that ends the list, and of results that are errors.
pub(super) const NO_TYPE: i32 = -1;

macro_rules! lists {
    ($($part:ty),*) => {$(
        impl Record for Vec<$part> {
            const LEN_MIN: usize = 9;

            fn write(&self, out: &mut Vec<u8>) {
                write_list(self, out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                read_list(from)
            }
        }
    )*};
}

lists!(MultiRequest, MultiResult, MultiReadRequest, MultiReadResult);

fn write_list<P: Part>(parts: &[P], out: &mut Vec<u8>) {
    for part in parts {
        let (number, error) = part.header();
        write_header(number, false, error, out);
        part.write_body(out);
    }
    write_header(NO_TYPE, true, NO_ERROR_YET, out);
}

fn read_list<P: Part>(from: &mut Reader<'_>) -> Result<Vec<P>, DecodeError> {
    let mut parts = Vec::new();
    // Each turn takes the bytes of a header at least.
    loop {
        let number = from.field("type")?;
        let undefined = DecodeError { field: "type", ..from.undefined(number) };
        let is_end = from.field("done")?;
        from.field::<ErrorCode>("err")?;
        if is_end {
            return Ok(parts);
        }
        parts.push(P::read_body(number, from)?.ok_or(undefined)?);
    }
}

fn write_header(number: i32, is_end: bool, error: ErrorCode, out: &mut Vec<u8>) {
    number.write(out);
    is_end.write(out);
    error.write(out);
}

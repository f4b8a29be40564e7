//! How a connection begins.

use alloc::vec::Vec;

use super::{DecodeError, Reader, Record};
use crate::wire::frames::frame;
use crate::wire::{ConnectRequest, ConnectResponse};

impl ConnectRequest {
    /// Appends its frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            self.protocol_version.write(out);
            self.last_zxid_seen.write(out);
            self.timeout_ms.write(out);
            self.session.write(out);
            self.password.write(out);
            write_last(self.read_only, out);
        });
    }

    /// Reads the body of the first frame.
    ///
    /// # Errors
    /// When it is too short. Servers close the connection then.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(body);
        Ok(Self {
            protocol_version: from.field("protocolVersion")?,
            last_zxid_seen: from.field("lastZxidSeen")?,
            timeout_ms: from.field("timeOut")?,
            session: from.field("sessionId")?,
            password: from.field("passwd")?,
            read_only: read_last(from)?,
        })
    }
}

impl ConnectResponse {
    /// Appends its frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            self.protocol_version.write(out);
            self.timeout_ms.write(out);
            self.session.write(out);
            super::primitive::write_buffer(Some(&self.password), out);
            write_last(self.read_only, out);
        });
    }

    /// Reads the body of the first frame.
    ///
    /// # Errors
    /// When it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(body);
        Ok(Self {
            protocol_version: from.field("protocolVersion")?,
            timeout_ms: from.field("timeOut")?,
            session: from.field("sessionId")?,
            password: from.field::<Option<Vec<u8>>>("passwd")?.unwrap_or_default(),
            read_only: read_last(from)?,
        })
    }
}

/// Clients older than 3.4 end before this byte, and so do servers that speak to one.
fn read_last(from: &mut Reader<'_>) -> Result<Option<bool>, DecodeError> {
    if from.is_empty() { Ok(None) } else { from.field("readOnly").map(Some) }
}

fn write_last(read_only: Option<bool>, out: &mut Vec<u8>) {
    if let Some(read_only) = read_only {
        read_only.write(out);
    }
}

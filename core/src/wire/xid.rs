//! The xids that are not a client's to choose.
//!
//! A server goes by the type of a request and echoes whatever xid it has, but for pings; clients go by these.

/// Of notifications, which answer nothing.
pub const EVENT: i32 = -1;
/// Of pings: a server answers them with it whatever they had.
pub const PING: i32 = -2;
/// Of auth requests.
pub const AUTH: i32 = -4;
/// Of setWatches and setWatches2.
pub const SET_WATCHES: i32 = -8;

//! Misuse by the caller. Faults of the outside world are events, and our own bugs are panics.

use alloc::string::String;
use core::time::Duration;

use thiserror::Error;

use crate::output::Directory;
use crate::path::Name;

/// Why a text is not a [`Name`] or a [`Path`](crate::path::Path).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The empty text.
    #[error("a name must not be empty")]
    Empty,
    /// `.` or `..`.
    #[error("{name:?} is not a name: ZooKeeper has no relative paths")]
    Relative {
        /// Which of them.
        name: String,
    },
    /// Too many bytes.
    #[error("a name of {len} bytes is too long: {max} is the limit")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A character that cannot stand in a znode's name.
    #[error("the name {name:?} has {character:?}, which cannot stand in a znode's name")]
    Character {
        /// The whole name.
        name: String,
        /// The first bad character.
        character: char,
    },
    /// A path that does not begin with a slash.
    #[error("the path {path:?} is not absolute: it must begin with '/'")]
    NotAbsolute {
        /// The whole path.
        path: String,
    },
}

/// A call that makes no sense in the machine's state. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misuse {
    /// After `close`.
    #[error("this node is closing: it takes no new work")]
    Closing,
    /// The same instance is registered, or still being withdrawn.
    #[error("{instance} is registered in {directory} already")]
    AlreadyRegistered {
        /// Where.
        directory: Directory,
        /// Which.
        instance: Name,
    },
    /// An instance's name may not end with the mark of a payload.
    #[error("the instance name {instance} ends with '+', which marks an instance with a payload")]
    ReservedName {
        /// Which.
        instance: Name,
    },
    /// No such registration: never made, or unregistered before.
    #[error("there is no such registration")]
    NotRegistered,
    /// Nobody subscribed to it.
    #[error("nobody is subscribed to {directory}")]
    NotSubscribed {
        /// Which.
        directory: Directory,
    },
    /// A registration made without a payload cannot be given one: its name says that there is none.
    #[error("{instance} was registered without a payload: unregister it, and register it with one")]
    NoPayload {
        /// Which.
        instance: Name,
    },
    /// Too many registrations: the transaction that ends the session would not fit (ZOOKEEPER-3496).
    #[error("this node has {max} registrations already, which is the limit")]
    TooManyRegistrations {
        /// The limit.
        max: usize,
    },
    /// No candidacy for this global.
    #[error("this node is no candidate for {global}")]
    NotCandidate {
        /// Which.
        global: Name,
    },
    /// Names beginning like the library's own globals.
    #[error(
        "the global name {global} is reserved: names that begin with \"queenright:\" are the library's own"
    )]
    ReservedGlobal {
        /// Which.
        global: Name,
    },
    /// More bytes than fit.
    #[error("a payload of {len} bytes is too large: {max} is the limit")]
    PayloadTooLarge {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The lease is too short to be renewed in time, or too long for the clock arithmetic.
    #[error("a lease of {lease:?} is not between {min:?} and {max:?}")]
    Lease {
        /// What was asked for.
        lease: Duration,
        /// The least.
        min: Duration,
        /// The most.
        max: Duration,
    },
    /// The drain time must leave room for two beats.
    #[error("a drain time of {drain:?} does not fit a lease of {lease:?}: at most a third of it")]
    Drain {
        /// What was asked for.
        drain: Duration,
        /// The lease.
        lease: Duration,
    },
    /// Without a pause a request that fails would be sent again at once, and for ever.
    #[error(
        "pauses before a retry from {min:?} to {max:?}: the least must be longer than nothing, and not longer than the greatest"
    )]
    Retry {
        /// The least.
        min: Duration,
        /// The greatest.
        max: Duration,
    },
    /// The rate bound is not below one tenth.
    #[error("a clock rate bound of {ppm} ppm is not below 100000")]
    ClockRate {
        /// What was asked for.
        ppm: u32,
    },
}

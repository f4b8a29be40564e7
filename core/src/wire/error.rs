//! The error numbers of reply headers.

use core::fmt;

use crate::op;

/// The error field of a reply: 0 for success, otherwise one of ZooKeeper's numbers.
///
/// A number and not an enum, because a newer server may send one that nobody here knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i32);

/// One line a code: its constant, its number, and the core's name for it where the answer is definite.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $(=> $definite:ident)?;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name of the code in ZooKeeper's documentation; `None` when it is none of them.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The core's name for a code after which it is certain that nothing changed; `None` for success, and
            /// for every code that leaves the outcome open.
            #[must_use]
            pub const fn definite(self) -> Option<op::ErrorCode> {
                match self {
                    $($(Self::$name => Some(op::ErrorCode::$definite),)?)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// No error. Also the result of the parts before the failing one in a transaction that failed.
    OK = 0;
    /// Something broke inside the server.
    SYSTEM_ERROR = -1;
    /// In a transaction that failed: a part after the failing one.
    RUNTIME_INCONSISTENCY = -2;
    /// The body of the request made no sense.
    MARSHALLING_ERROR = -5 => MarshallingError;
    /// The server does not know the operation, and closes the connection.
    UNIMPLEMENTED = -6 => Unimplemented;
    /// A path, a flag or a TTL that is none.
    BAD_ARGUMENTS = -8 => BadArguments;
    /// No such znode, or no parent.
    NO_NODE = -101 => NoNode;
    /// The access control list forbids it.
    NO_AUTH = -102 => NoAuth;
    /// The znode is at another version.
    BAD_VERSION = -103 => BadVersion;
    /// Ephemerals cannot have children.
    NO_CHILDREN_FOR_EPHEMERALS = -108 => NoChildrenForEphemerals;
    /// The name is taken.
    NODE_EXISTS = -110 => NodeExists;
    /// The znode has children.
    NOT_EMPTY = -111 => NotEmpty;
    /// The session is over.
    SESSION_EXPIRED = -112;
    /// An access control list that is none, or is empty.
    INVALID_ACL = -114 => InvalidAcl;
    /// The credentials were refused; the server closes the connection.
    AUTH_FAILED = -115 => AuthFailed;
    /// The session is served by another server now.
    SESSION_MOVED = -118 => SessionMoved;
    /// A write on a read-only server.
    NOT_READ_ONLY = -119 => NotReadOnly;
    /// There is no such watch to remove.
    NO_WATCHER = -121 => NoWatcher;
    /// Reconfiguration is switched off.
    RECONFIG_DISABLED = -123 => ReconfigDisabled;
    /// A quota is used up.
    QUOTA_EXCEEDED = -125 => QuotaExceeded;
    /// The server is overloaded and did not look at the request.
    THROTTLED_OP = -127 => Throttled;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn codes_have_names_and_unknown_ones_keep_their_number() {
        assert_eq!(ErrorCode::NO_NODE.to_string(), "NO_NODE (-101)");
        assert_eq!(ErrorCode(-999).to_string(), "error -999");
        assert_eq!(format!("{:?}", ErrorCode::NO_NODE), "NO_NODE (-101)");
    }

    #[test]
    fn only_codes_after_which_nothing_changed_are_definite() {
        assert_eq!(ErrorCode::NODE_EXISTS.definite(), Some(op::ErrorCode::NodeExists));
        for open in [
            ErrorCode::OK,
            ErrorCode::SYSTEM_ERROR,
            ErrorCode::RUNTIME_INCONSISTENCY,
            ErrorCode::SESSION_EXPIRED,
            ErrorCode(-4),
            ErrorCode(-999),
        ] {
            assert_eq!(open.definite(), None, "{open}");
        }
    }
}

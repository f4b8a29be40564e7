//! What a client asks for.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::Zxid;
use crate::wire::{Acl, OpCode};

/// A request, without its xid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Types 1, 15, 19 and 21: create a znode.
    Create(Create),
    /// Type 2: delete a znode without children.
    Delete(Delete),
    /// Type 3: read the stat; the watch is left whether the znode exists or not.
    Exists(Read),
    /// Type 4: read data and stat.
    GetData(Read),
    /// Type 5: replace the data.
    SetData(SetData),
    /// Type 6: read the access control list.
    GetAcl {
        /// Whose.
        path: String,
    },
    /// Type 7: replace the access control list.
    SetAcl {
        /// Whose.
        path: String,
        /// By what; `None` is the wire's null, which no server takes.
        acl: Option<Vec<Acl>>,
        /// At which version of the *list*; −1 for any.
        version: i32,
    },
    /// Type 8: read the names of the children.
    GetChildren(Read),
    /// Type 12: the same, and the stat.
    GetChildren2(Read),
    /// Type 9: bring the server up to date.
    Sync {
        /// Any path.
        path: String,
    },
    /// Type 11: keep the session alive.
    Ping,
    /// Type 13, outside a transaction: real servers have no use for it there.
    Check(Check),
    /// Type 14: all of these writes, or none.
    Multi(Vec<MultiRequest>),
    /// Type 22: several reads.
    MultiRead(Vec<MultiReadRequest>),
    /// Type 16: change the members of the ensemble.
    Reconfig {
        /// Servers to add.
        joining: Option<String>,
        /// Servers to remove.
        leaving: Option<String>,
        /// All servers.
        new_members: Option<String>,
        /// At which version of the configuration; −1 for any.
        config_id: i64,
    },
    /// Type 17: ask whether this connection has such a watch.
    CheckWatches {
        /// Where.
        path: String,
        /// Which.
        watcher: WatcherType,
    },
    /// Type 18: remove such a watch of this connection.
    RemoveWatches {
        /// Where.
        path: String,
        /// Which.
        watcher: WatcherType,
    },
    /// Type 106: leave a persistent watch. The znode need not exist.
    AddWatch {
        /// Where.
        path: String,
        /// Which.
        mode: AddWatchMode,
    },
    /// Type 100: add an identity to this connection.
    Auth {
        /// How it is proven: `digest`, `ip`.
        scheme: String,
        /// The proof; for `digest`, `user:password`. `None` is the wire's null.
        auth: Option<Vec<u8>>,
    },
    /// Type 101: leave again the one-shot watches of an earlier connection.
    SetWatches {
        /// The highest zxid that the client has seen: what changed since is reported at once.
        relative_zxid: Zxid,
        /// Watches on the data of znodes that existed.
        data: Vec<String>,
        /// Watches on znodes that did not exist.
        exist: Vec<String>,
        /// Watches on children.
        child: Vec<String>,
    },
    /// Type 105: the same, and the persistent ones.
    SetWatches2 {
        /// As in [`Request::SetWatches`].
        relative_zxid: Zxid,
        /// As in [`Request::SetWatches`].
        data: Vec<String>,
        /// As in [`Request::SetWatches`].
        exist: Vec<String>,
        /// As in [`Request::SetWatches`].
        child: Vec<String>,
        /// Persistent watches.
        persistent: Vec<String>,
        /// Persistent recursive watches.
        recursive: Vec<String>,
    },
    /// Type 103: list the ephemerals of this session.
    GetEphemerals {
        /// Those whose path begins with it; all for the empty text and for `/`.
        prefix: String,
    },
    /// Type 104: count all descendants.
    GetAllChildrenNumber {
        /// Whose.
        path: String,
    },
    /// Type 107: list the identities of this connection.
    WhoAmI,
    /// Type −11: end the session.
    CloseSession,
    /// A known type with a body that cannot be read: too short, a null path, an undefined mode, a read inside a
    /// multi.
    Garbled {
        /// The type.
        opcode: OpCode,
    },
    /// A type that the server does not serve.
    Unsupported {
        /// The number.
        opcode: i32,
    },
}

/// The body of create, create2, createContainer and createTTL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Create {
    /// Which of the four.
    pub form: CreateForm,
    /// Where.
    pub path: String,
    /// The data; null and empty are two different things.
    pub data: Option<Vec<u8>>,
    /// Who may do what; `None` is the wire's null, which no server takes.
    pub acl: Option<Vec<Acl>>,
    /// The kind of the znode.
    pub flags: CreateFlags,
}

/// The four requests that create a znode. The form decides how it is answered, the flags what is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateForm {
    /// Type 1: answered with the path.
    Create,
    /// Type 15: answered with path and stat, as are those below.
    Create2,
    /// Type 19.
    Container,
    /// Type 21.
    Ttl {
        /// Time to live, in milliseconds.
        ttl: i64,
    },
}

/// The number that says what kind of znode to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CreateFlags(pub i32);

impl CreateFlags {
    /// Stays until deleted.
    pub const PERSISTENT: Self = Self(0);
    /// Goes with the session.
    pub const EPHEMERAL: Self = Self(1);
    /// Stays; its name gets a sequence number.
    pub const PERSISTENT_SEQUENTIAL: Self = Self(2);
    /// Goes with the session; its name gets a sequence number.
    pub const EPHEMERAL_SEQUENTIAL: Self = Self(3);
    /// Removed by the server some time after its last child.
    pub const CONTAINER: Self = Self(4);
    /// Removed by the server when it was not written for its time to live, and has no children.
    pub const TTL: Self = Self(5);
    /// The same; its name gets a sequence number.
    pub const TTL_SEQUENTIAL: Self = Self(6);

    /// Whether the server appends a sequence number.
    #[must_use]
    pub const fn is_sequential(self) -> bool {
        matches!(self, Self::PERSISTENT_SEQUENTIAL | Self::EPHEMERAL_SEQUENTIAL | Self::TTL_SEQUENTIAL)
    }

    /// Whether the server removes such a znode by itself some day, in a sweep.
    #[must_use]
    pub const fn is_swept(self) -> bool {
        matches!(self, Self::CONTAINER | Self::TTL | Self::TTL_SEQUENTIAL)
    }
}

/// The body of delete.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delete {
    /// Which.
    pub path: String,
    /// At which data version; −1 for any.
    pub version: i32,
}

/// The body of setData.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SetData {
    /// Which.
    pub path: String,
    /// By what.
    pub data: Option<Vec<u8>>,
    /// At which data version; −1 for any.
    pub version: i32,
}

/// The body of check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// Which.
    pub path: String,
    /// The data version that it must have; −1 for any.
    pub version: i32,
}

/// The body of exists, getData, getChildren and getChildren2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// Which.
    pub path: String,
    /// Whether to leave a one-shot watch.
    pub watch: bool,
}

/// One write of a multi.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultiRequest {
    /// Create a znode.
    Create(Create),
    /// Delete one.
    Delete(Delete),
    /// Replace its data.
    SetData(SetData),
    /// Fail unless it is at this version.
    Check(Check),
}

/// One read of a multiRead. Its watch is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultiReadRequest {
    /// Read data and stat.
    GetData(Read),
    /// Read the names of the children.
    GetChildren(Read),
}

/// Which watches of a connection a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum WatcherType {
    /// The one-shot on children.
    Children = 1,
    /// The one-shot on data.
    Data = 2,
    /// All of them.
    Any = 3,
    /// The persistent one; since 3.9.
    Persistent = 4,
    /// The persistent recursive one; since 3.9.
    PersistentRecursive = 5,
}

/// The two persistent watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum AddWatchMode {
    /// For all changes of the znode and of its list of children.
    Persistent = 0,
    /// For all changes of the znode and of everything below it.
    PersistentRecursive = 1,
}

impl CreateForm {
    /// The type of the request.
    #[must_use]
    pub const fn opcode(self) -> OpCode {
        match self {
            Self::Create => OpCode::Create,
            Self::Create2 => OpCode::Create2,
            Self::Container => OpCode::CreateContainer,
            Self::Ttl { .. } => OpCode::CreateTtl,
        }
    }
}

impl Read {
    /// Read without leaving a watch.
    #[must_use]
    pub fn plain(path: impl Into<String>) -> Self {
        Self { path: path.into(), watch: false }
    }

    /// Read and leave a one-shot watch.
    #[must_use]
    pub fn watching(path: impl Into<String>) -> Self {
        Self { path: path.into(), watch: true }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::CreateFlags;

    #[test]
    fn numbers_say_what_kind_of_znode_it_is() {
        let those = |is: fn(CreateFlags) -> bool| {
            (-1..8).filter(|number| is(CreateFlags(*number))).collect::<Vec<_>>()
        };
        assert_eq!(those(CreateFlags::is_sequential), [2, 3, 6]);
        assert_eq!(those(CreateFlags::is_swept), [4, 5, 6]);
    }
}

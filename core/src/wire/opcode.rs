//! The types of requests.

/// One line a type: its name and its number.
macro_rules! opcodes {
    ($($name:ident = $number:literal,)*) => {
        /// The type of a request, in its header.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        #[allow(missing_docs, reason = "Request documents them")]
        pub enum OpCode {
            $($name = $number,)*
        }

        impl OpCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The type with this number; `None` for one that is not served.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    CloseSession = -11,
}

impl OpCode {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Whether the server spends a zxid on each attempt, also on one that fails.
    #[must_use]
    pub const fn spends_zxid(self) -> bool {
        match self {
            Self::Create
            | Self::Create2
            | Self::CreateContainer
            | Self::CreateTtl
            | Self::Delete
            | Self::SetData
            | Self::SetAcl
            | Self::Multi
            | Self::Reconfig
            | Self::CloseSession => true,
            Self::Exists
            | Self::GetData
            | Self::GetAcl
            | Self::GetChildren
            | Self::GetChildren2
            | Self::Sync
            | Self::Ping
            | Self::Check
            | Self::CheckWatches
            | Self::RemoveWatches
            | Self::MultiRead
            | Self::Auth
            | Self::SetWatches
            | Self::SetWatches2
            | Self::GetEphemerals
            | Self::GetAllChildrenNumber
            | Self::AddWatch
            | Self::WhoAmI => false,
        }
    }
}

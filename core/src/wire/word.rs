//! What a connection can begin with instead of a frame.

/// One line a word.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// A four-letter word: an administrator's question. It is answered with text, and the connection closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FourLetterWord {
            $($(#[$doc])* $name,)*
        }

        impl FourLetterWord {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word that a connection begins with; `None` when these four bytes are the length of a frame.
            #[must_use]
            pub const fn parse(bytes: [u8; 4]) -> Option<Self> {
                match &bytes {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The word as it is sent.
            #[must_use]
            pub const fn bytes(self) -> [u8; 4] {
                match self {
                    $(Self::$name => *$word,)*
                }
            }
        }
    };
}

words! {
    /// The configuration.
    Conf = b"conf";
    /// The connections, and what went over each.
    Cons = b"cons";
    /// Sessions and ephemerals.
    Dump = b"dump";
    /// The environment; kazoo takes the version from here.
    Envi = b"envi";
    /// Whether the server is read-only.
    Isro = b"isro";
    /// Figures for a monitor.
    Mntr = b"mntr";
    /// Whether the server is there.
    Ruok = b"ruok";
    /// The server's state.
    Srvr = b"srvr";
    /// The same, and its connections.
    Stat = b"stat";
    /// Watches by session.
    Wchc = b"wchc";
    /// Watches by path.
    Wchp = b"wchp";
    /// How many watches there are.
    Wchs = b"wchs";
}

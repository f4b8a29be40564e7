//! Bugs that tests put into whole nodes, one at a time, to see the simulator's checkers fail.

macro_rules! mutations {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A guard of this crate. With the feature `mutations`, `Config::without` takes one of them out; without it there is no
        /// such method, and every guard stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation {
            $($(#[doc = $doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What is wrong then, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

mutations! {
    /// What goes out first on a connection is written twice.
    SentTwice,
    /// A message overtakes those that wait for the same node.
    Overtaking,
    /// Processes are not told that the link to another node broke, nor that what they sent may be lost.
    LossNotTold,
    /// Processes are not told that another node is gone.
    NodeDownNotTold,
    /// A monitor is told twice.
    DeathToldTwice,
    /// A monitor is told of the death of its process as of that of another one.
    DeathOfAnother,
    /// A link that lived for a while is not dialled again.
    NoRedial,
    /// A leadership is valid until it is given up.
    EndlessTerm,
    /// The tokens of later terms are lower.
    FallingTokens,
    /// The process of a global lives on when its term is over.
    EndlessProcess,
    /// Whoever stands for a global is not told of being elected.
    ElectedNotTold,
    /// A node that starts is never ready.
    NeverReady,
    /// Calls wait for ZooKeeper as long as it takes.
    EndlessCall,
    /// What was published of a directory is not published anew as long as it counts as fresh.
    StaleDirectory,
    /// What was published first of a global's holder is never published anew.
    StaleHolder,
}

/// The guard that is missing, if one is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guards(#[cfg(feature = "mutations")] pub(crate) Option<Mutation>);

impl Guards {
    /// Whether it is this one.
    pub(crate) fn lack(self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.0 == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        {
            let (Self(), _) = (self, mutation);
            false
        }
    }
}

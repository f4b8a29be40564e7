//! What can go wrong, for people.

use std::sync::Arc;
use std::time::Duration;

use queenright_core::op::ErrorCode;
use queenright_core::{InvalidName, Misuse, SessionId};
use thiserror::Error;

use crate::process::{DiedReason, ProcessId, RegisterError, SendError, StartError};

/// Why a call did not succeed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration makes no sense.
    #[error("configuration: {0}")]
    Config(String),

    /// No session with ZooKeeper at the connect deadline.
    #[error("no session with ZooKeeper within {timeout:?}; tried {tried}")]
    Connect {
        /// The deadline.
        timeout: Duration,
        /// Which servers, and what was wrong with each.
        tried: String,
    },

    /// ZooKeeper did not answer in time. Nothing is left behind by a call that failed so.
    #[error("{what} took longer than {timeout:?}{}", .trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: Duration,
        /// What is known of the reason.
        trouble: Option<String>,
    },

    /// ZooKeeper refused it.
    #[error("ZooKeeper refused {what}: {}", explain(*.code))]
    Refused {
        /// What was refused.
        what: String,
        /// How.
        code: ErrorCode,
    },

    /// ZooKeeper answers, and does not tell.
    #[error("nothing is known of {what}: {trouble}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// What is known of the reason.
        trouble: String,
    },

    /// Somebody else's znode is where a registration should be, and did not go away in time.
    #[error("{what} belongs to another session{}: choose another instance name, or wait for its end", .owner.map(|owner| format!(" ({owner})")).unwrap_or_default())]
    Occupied {
        /// What should have been registered.
        what: String,
        /// Who has it; `None` when it belongs to no session, and will not go by itself.
        owner: Option<SessionId>,
    },

    /// This client stands for the global already.
    #[error("this client is a candidate for {global} already: update the candidacy that it has")]
    AlreadyCandidate {
        /// Which global.
        global: String,
    },

    /// The node could not listen.
    #[error(transparent)]
    Start(Arc<StartError>),

    /// A local name, or a process, cannot be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),

    /// A message was not sent.
    #[error(transparent)]
    Send(#[from] SendError),

    /// A process did not end by itself.
    #[error("the process {pid} died: {reason}")]
    Died {
        /// Which.
        pid: ProcessId,
        /// How.
        reason: Box<DiedReason>,
    },

    /// What holds a global is no process: somebody stands for it with a payload of another kind.
    #[error("{global} is held, but not by a process: choose another name for one of the two uses")]
    NotAProcess {
        /// Which global.
        global: String,
    },

    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),

    /// A call that makes no sense now.
    #[error(transparent)]
    Misuse(#[from] Misuse),

    /// The client is closed, or its runtime has gone.
    #[error("the client is closed")]
    Closed,
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(Arc::new(error))
    }
}

impl Error {
    pub(crate) fn config<T: Into<String>>(why: T) -> Self {
        Self::Config(why.into())
    }
}

/// A server's refusal in words, with what to do.
pub(crate) fn explain(code: ErrorCode) -> String {
    let advice = match code {
        ErrorCode::NoAuth => {
            "not authorised; the access control list of a znode does not admit us: are the credentials right \
             (Config::with_credentials), and the same as those of the other nodes?"
        }
        ErrorCode::InvalidAcl => {
            "it does not accept the access control list: Acl::CreatorAll needs credentials, and each entry of \
             Acl::Custom a scheme that the server knows"
        }
        ErrorCode::AuthFailed => "it does not accept the credentials' scheme",
        ErrorCode::QuotaExceeded => "a quota is used up: raise it with zkCli's setquota, or delete something",
        ErrorCode::Throttled => "it is overloaded and throttles requests",
        ErrorCode::NotReadOnly => "it is read-only, cut off from its quorum",
        ErrorCode::TooLarge => "it would not fit into a frame of 1 MB",
        ErrorCode::Unimplemented => "it does not know the operation: version 3.6 or newer is needed",
        ErrorCode::NoNode => "a znode that must exist does not: was it deleted by hand?",
        ErrorCode::MarshallingError
        | ErrorCode::BadArguments
        | ErrorCode::BadVersion
        | ErrorCode::NoChildrenForEphemerals
        | ErrorCode::NodeExists
        | ErrorCode::NotEmpty
        | ErrorCode::SessionMoved
        | ErrorCode::NoWatcher
        | ErrorCode::ReconfigDisabled => return format!("{code:?}"),
    };
    format!("{advice} ({code:?})")
}

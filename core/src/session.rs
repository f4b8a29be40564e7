//! The session as the port reports it, made into a sequence that cannot contradict itself.
//!
//! | state \ event | Connected(newer) | Connected(older) | Suspended | Reconnected | Lost |
//! |---|---|---|---|---|---|
//! | Never | Connected | – | – | – | – |
//! | Connected | Lost, then Connected | – | Suspended | Suspended, then Connected | Lost |
//! | Suspended | Lost, then Connected | – | – | Connected | Lost |
//! | Lost | Connected | – | – | – | – |
//!
//! A dash is "ignored". A second Connected without a Lost is an expiry that nobody reported: the client came
//! back under another session id.

use crate::ids::{SessionEpoch, SessionId};
use crate::input::SessionEvent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Session {
    Never,
    Connected { session_epoch: SessionEpoch, session: SessionId },
    Suspended { session_epoch: SessionEpoch, session: SessionId },
    Lost { session_epoch: SessionEpoch },
}

/// What the other machines must do about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The connection is down.
    Suspended,
    /// The session is over, and everything that it owned with it.
    Lost,
    /// The connection is up.
    Up { session_epoch: SessionEpoch, session: SessionId, is_new: bool },
}

impl Session {
    /// Takes an event and gives the changes that follow from it, at most two.
    pub(crate) fn handle(&mut self, event: SessionEvent) -> [Option<Change>; 2] {
        match (*self, event) {
            (state, SessionEvent::Connected { session_epoch, session }) => {
                if session_epoch <= state.session_epoch() {
                    return [None, None];
                }
                let was_open = matches!(state, Self::Connected { .. } | Self::Suspended { .. });
                *self = Self::Connected { session_epoch, session };
                [was_open.then_some(Change::Lost), Some(Change::Up { session_epoch, session, is_new: true })]
            }
            (Self::Connected { session_epoch, session }, SessionEvent::Suspended) => {
                *self = Self::Suspended { session_epoch, session };
                [Some(Change::Suspended), None]
            }
            (Self::Suspended { session_epoch, session }, SessionEvent::Reconnected) => {
                *self = Self::Connected { session_epoch, session };
                [None, Some(Change::Up { session_epoch, session, is_new: false })]
            }
            (Self::Connected { session_epoch, session }, SessionEvent::Reconnected) => {
                [Some(Change::Suspended), Some(Change::Up { session_epoch, session, is_new: false })]
            }
            (
                Self::Connected { session_epoch, .. } | Self::Suspended { session_epoch, .. },
                SessionEvent::Lost,
            ) => {
                *self = Self::Lost { session_epoch };
                [Some(Change::Lost), None]
            }
            (
                Self::Never | Self::Lost { .. },
                SessionEvent::Suspended | SessionEvent::Reconnected | SessionEvent::Lost,
            )
            | (Self::Suspended { .. }, SessionEvent::Suspended) => [None, None],
        }
    }

    pub(crate) fn session_epoch(self) -> SessionEpoch {
        match self {
            Self::Never => SessionEpoch(0),
            Self::Connected { session_epoch, .. }
            | Self::Suspended { session_epoch, .. }
            | Self::Lost { session_epoch } => session_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: SessionEpoch = SessionEpoch(3);
    const SESSION: SessionId = SessionId(-7);

    fn up(session_epoch: SessionEpoch, is_new: bool) -> Option<Change> {
        Some(Change::Up { session_epoch, session: SESSION, is_new })
    }

    /// The table of the module's documentation, cell by cell.
    #[test]
    fn every_state_takes_every_event() {
        let states = [
            Session::Never,
            Session::Connected { session_epoch: EPOCH, session: SESSION },
            Session::Suspended { session_epoch: EPOCH, session: SESSION },
            Session::Lost { session_epoch: EPOCH },
        ];
        let events = [
            SessionEvent::Connected { session_epoch: SessionEpoch(4), session: SESSION },
            SessionEvent::Connected { session_epoch: SessionEpoch(0), session: SESSION },
            SessionEvent::Suspended,
            SessionEvent::Reconnected,
            SessionEvent::Lost,
        ];
        let none = [None, None];
        let new = SessionEpoch(4);
        let expected = [
            [[None, up(new, true)], none, none, none, none],
            [
                [Some(Change::Lost), up(new, true)],
                none,
                [Some(Change::Suspended), None],
                [Some(Change::Suspended), up(EPOCH, false)],
                [Some(Change::Lost), None],
            ],
            [
                [Some(Change::Lost), up(new, true)],
                none,
                none,
                [None, up(EPOCH, false)],
                [Some(Change::Lost), None],
            ],
            [[None, up(new, true)], none, none, none, none],
        ];
        for (state, row) in states.iter().zip(expected) {
            for (event, changes) in events.iter().zip(row) {
                let mut session = *state;
                assert_eq!(session.handle(*event), changes, "{state:?} × {event:?}");
                if changes == none {
                    assert_eq!(session, *state, "{state:?} × {event:?} is ignored");
                }
            }
        }
    }
}

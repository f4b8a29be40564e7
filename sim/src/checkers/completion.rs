//! Every request is answered once, and every call of the application comes to its end.

use std::collections::{BTreeMap, BTreeSet};

use queenright_core::output::RegistrationStatus;
use queenright_core::{Event, Instant, Name, RegistrationId, RequestId};

use super::{Life, Violation};

const PROPERTY: &str = "completion";

/// A call that some later event completes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Until the candidacy is withdrawn.
    Resign(Name),
    /// Until the registration is gone.
    Unregister(RegistrationId),
    /// Until closed.
    Close,
}

/// Follows what is open, for each life.
#[derive(Debug, Default)]
pub struct Completion {
    lives: BTreeMap<Life, Open>,
}

#[derive(Debug, Default)]
struct Open {
    last_request: Option<RequestId>,
    requests: BTreeMap<RequestId, Instant>,
    calls: BTreeSet<Call>,
}

impl Completion {
    /// A coordinator put a request out.
    ///
    /// # Errors
    /// When its name was used before.
    pub fn requested(&mut self, now: Instant, life: Life, id: RequestId) -> Result<(), Violation> {
        let open = self.lives.entry(life).or_default();
        if open.last_request.is_some_and(|last| last >= id) {
            return Err(Violation::new(PROPERTY, format!("{life} sends request {id} after a later one")));
        }
        open.last_request = Some(id);
        open.requests.insert(id, now);
        Ok(())
    }

    /// A request is answered to the coordinator.
    ///
    /// # Errors
    /// When it was answered before, or never sent.
    pub fn answered(&mut self, life: Life, id: RequestId) -> Result<(), Violation> {
        match self.lives.entry(life).or_default().requests.remove(&id) {
            Some(_) => Ok(()),
            None => {
                Err(Violation::new(PROPERTY, format!("{life} gets an answer to {id}, which is not open")))
            }
        }
    }

    /// The application made a call.
    pub fn called(&mut self, life: Life, call: Call) {
        self.lives.entry(life).or_default().calls.insert(call);
    }

    /// The application took a call back: it campaigns again before it was withdrawn.
    pub fn recalled(&mut self, life: Life, call: &Call) {
        self.lives.entry(life).or_default().calls.remove(call);
    }

    /// A coordinator put an event out.
    pub fn event(&mut self, life: Life, event: &Event) {
        let open = self.lives.entry(life).or_default();
        match event {
            Event::Withdrawn { global } => {
                open.calls.remove(&Call::Resign(global.clone()));
            }
            Event::Registration { id, status: RegistrationStatus::Gone } => {
                open.calls.remove(&Call::Unregister(*id));
            }
            // What closing interrupts, it completes.
            Event::Closed => open.calls.clear(),
            Event::Registration { .. }
            | Event::Session(_)
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Elected { .. }
            | Event::Extended { .. }
            | Event::Stop { .. }
            | Event::Revoked { .. }
            | Event::Degraded { .. } => {}
        }
    }

    /// The process is gone, and with it whoever waited.
    pub fn died(&mut self, life: Life) {
        self.lives.remove(&life);
    }

    /// After a quiet stretch: no call is open.
    ///
    /// # Errors
    /// When one is.
    pub fn check_calls(&self) -> Result<(), Violation> {
        for (life, open) in &self.lives {
            if let Some(call) = open.calls.first() {
                return Err(Violation::new(PROPERTY, format!("{life} still waits for the end of {call:?}")));
            }
        }
        Ok(())
    }

    /// After a quiet stretch: no request that was put out before `since` is open.
    ///
    /// # Errors
    /// When one is.
    pub fn check_requests(&self, since: Instant) -> Result<(), Violation> {
        for (life, open) in &self.lives {
            if let Some((id, at)) = open.requests.iter().find(|(_, at)| **at < since) {
                return Err(Violation::new(
                    PROPERTY,
                    format!("{life} never got an answer to {id}, sent at {at}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Life = Life { node: 0, number: 0 };

    #[test]
    fn a_request_is_answered_once() {
        let mut completion = Completion::default();
        let at = Instant::from_millis;
        completion.requested(at(5), A, RequestId(1)).unwrap();
        completion.check_requests(at(5)).unwrap();
        assert!(completion.check_requests(at(6)).is_err());
        completion.answered(A, RequestId(1)).unwrap();
        completion.check_requests(at(6)).unwrap();
        assert!(completion.answered(A, RequestId(1)).is_err());
        assert!(completion.answered(A, RequestId(2)).is_err());
        assert!(completion.requested(at(7), A, RequestId(1)).is_err());
    }

    #[test]
    fn a_call_without_an_end_is_seen() {
        let global = Name::new("g").unwrap();
        let mut completion = Completion::default();
        completion.called(A, Call::Resign(global.clone()));
        assert!(completion.check_calls().is_err());
        completion.event(A, &Event::Withdrawn { global });
        completion.check_calls().unwrap();
        completion.called(A, Call::Unregister(RegistrationId(4)));
        completion
            .event(A, &Event::Registration { id: RegistrationId(4), status: RegistrationStatus::Pending });
        assert!(completion.check_calls().is_err());
        completion.event(A, &Event::Registration { id: RegistrationId(4), status: RegistrationStatus::Gone });
        completion.check_calls().unwrap();
        completion.called(A, Call::Close);
        assert!(completion.check_calls().is_err());
        completion.event(A, &Event::Closed);
        completion.check_calls().unwrap();
    }
}

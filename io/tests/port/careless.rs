//! Ports that break the contract: a checker that was never seen failing is not trusted.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use queenright::port::ZooKeeper;
use queenright_core::op::OpError;
use queenright_core::{Input, Request, SessionEvent};

use crate::{scenarios, simulated};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Events overtake the replies that preceded them.
    EventsFirst,
    /// Events are held until the connection is back.
    EventsAfterTheGap,
    /// Nobody hears of what was in flight at a break.
    UnknownForgotten,
    /// An answer comes twice.
    AnswersTwice,
    /// A refusal does not wait for its turn.
    RefusalsFirst,
}

struct Careless {
    port: Box<dyn ZooKeeper>,
    flaw: Flaw,
    ready: VecDeque<Input>,
    held: VecDeque<Input>,
}

impl Careless {
    fn take(&mut self, input: Input) {
        match (self.flaw, &input) {
            (Flaw::EventsAfterTheGap, Input::Watch { .. }) => self.held.push_back(input),
            (Flaw::EventsAfterTheGap, Input::Session(SessionEvent::Reconnected)) => {
                self.ready.push_back(input);
                self.ready.append(&mut self.held);
            }
            (Flaw::UnknownForgotten, Input::Response { outcome: Err(OpError::Unknown), .. }) => {}
            (Flaw::AnswersTwice, Input::Response { .. }) => {
                self.ready.extend([input.clone(), input]);
            }
            (Flaw::EventsFirst, Input::Watch { .. })
            | (Flaw::RefusalsFirst, Input::Response { outcome: Err(OpError::Refused(_)), .. }) => {
                self.ready.push_front(input);
            }
            _ => self.ready.push_back(input),
        }
    }
}

impl ZooKeeper for Careless {
    fn submit(&mut self, request: Request) {
        self.port.submit(request);
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        while let Poll::Ready(input) = self.port.poll_input(cx) {
            self.take(input);
        }
        self.ready.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.port.poll_close(cx)
    }
}

/// Whether the scenario objects to the flaw.
macro_rules! is_found {
    ($flaw:expr, $scenario:ident) => {
        catch_unwind(AssertUnwindSafe(|| {
            let careless = |port| {
                let (ready, held) = (VecDeque::new(), VecDeque::new());
                Box::new(Careless { port, flaw: $flaw, ready, held }) as Box<dyn ZooKeeper>
            };
            simulated::run_with(careless, scenarios::$scenario);
        }))
        .is_err()
    };
}

#[test]
fn every_flaw_is_found() {
    assert!(is_found!(Flaw::EventsFirst, an_event_is_never_told_before_a_reply_that_preceded_it));
    assert!(is_found!(Flaw::EventsAfterTheGap, nothing_from_before_a_gap_is_told_after_it));
    assert!(is_found!(Flaw::UnknownForgotten, what_is_submitted_without_a_connection_is_answered_once));
    assert!(is_found!(
        Flaw::UnknownForgotten,
        a_session_that_expires_during_a_gap_is_lost_with_all_that_was_in_flight
    ));
    assert!(is_found!(Flaw::AnswersTwice, each_request_is_answered_once_and_in_the_order_of_submission));
    assert!(is_found!(Flaw::RefusalsFirst, each_request_is_answered_once_and_in_the_order_of_submission));
}

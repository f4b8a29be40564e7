//! The contract of the ZooKeeper port, asked of every client on every server: the same assertions five times.
//!
//! | | zookeeper-client | native |
//! |---|---|---|
//! | real server | live | live |
//! | dev server | yes | yes |
//! | the model, on a simulated network | – (it opens real sockets) | yes |

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod careless;
mod holder;
mod scenarios;
mod simulated;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::future::Future;

use queenright::ClientKind;

use crate::stage::Stage;
use crate::support::server::Server;

/// Runs a scenario in a runtime of its own, in real time.
fn in_real_time<F: Future<Output = ()>>(stage: Stage, scenario: impl FnOnce(Stage) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(scenario(stage));
}

macro_rules! contract {
    ($($scenario:ident,)*) => {
        mod zookeeper_client_and_real_server {
            $(#[test]
            #[ignore = "needs ZooKeeper: make live"]
            fn $scenario() {
                let stage = super::Stage::new(super::Server::real(), super::ClientKind::ZooKeeperClient);
                super::in_real_time(stage, super::scenarios::$scenario);
            })*
        }

        mod native_and_real_server {
            $(#[test]
            #[ignore = "needs ZooKeeper: make live"]
            fn $scenario() {
                let stage = super::Stage::new(super::Server::real(), super::ClientKind::Native);
                super::in_real_time(stage, super::scenarios::$scenario);
            })*
        }

        mod zookeeper_client_and_dev_server {
            $(#[test]
            fn $scenario() {
                let stage = super::Stage::new(super::Server::dev(), super::ClientKind::ZooKeeperClient);
                super::in_real_time(stage, super::scenarios::$scenario);
            })*
        }

        mod native_and_dev_server {
            $(#[test]
            fn $scenario() {
                let stage = super::Stage::new(super::Server::dev(), super::ClientKind::Native);
                super::in_real_time(stage, super::scenarios::$scenario);
            })*
        }

        mod native_and_model_in_simulation {
            $(#[test]
            fn $scenario() {
                super::simulated::run(super::scenarios::$scenario);
            })*
        }
    };
}

contract! {
    every_operation_gets_its_answer,
    a_transaction_tells_every_stat_or_the_part_that_failed,
    each_request_is_answered_once_and_in_the_order_of_submission,
    watches_fire_once_for_each_path_and_kind,
    an_event_is_never_told_before_a_reply_that_preceded_it,
    a_broken_connection_is_told_and_watches_go_on,
    nothing_from_before_a_gap_is_told_after_it,
    what_is_submitted_without_a_connection_is_answered_once,
    an_expired_session_is_followed_by_another,
    a_session_that_expires_during_a_gap_is_lost_with_all_that_was_in_flight,
    a_silent_server_is_noticed_within_a_fifth_of_the_lease,
    what_does_not_fit_into_a_frame_is_not_sent,
    the_chroot_is_made_and_guarded_like_everything_else,
    closing_carries_out_what_was_submitted_and_ends_the_session,
}

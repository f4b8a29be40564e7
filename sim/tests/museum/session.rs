//! Sessions and connections: what is over and not noticed, and what is not over and given up.

crate::exhibits! {
    endless_connection_loss_no_verdict,
    new_session_time_travel,
    refused_forever_after_wipe,
    zombie_lost_state,
    state_events_dropped,
    event_order_inverted,
    frozen_server_eats_session,
    expiry_noticed_late_by_backoff,
    session_thrown_away_on_blip,
    indeterminate_treated_as_failure,
    late_packet_of_moved_session,
    zxid_rollover_mass_disconnect,
    close_hangs_or_loses,
    startup_order_and_deadline,
    original_third_reconnect_deadlock,
    original_expiry_kills_node,
}

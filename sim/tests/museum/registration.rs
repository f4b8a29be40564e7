//! Instances that are registered and not there, or there and not registered.

crate::exhibits! {
    nodeexists_own_create_reply_lost,
    nodeexists_accepted_from_dead_session,
    nodeexists_fatal_on_fast_restart,
    delete_and_recreate_live_node,
    reregister_stale_payload,
    unregister_forgotten_on_connection_loss,
    close_with_create_in_flight,
    delete_hits_someone_elses_node,
    persistent_squatter,
    immortal_ephemeral,
    removed_by_hand_never_restored,
    membership_self_view_lies,
    holder_thinks_active_after_session_swap,
    registration_hijacked_by_updater,
    parent_vanishes_between_mkdir_and_create,
    only_first_instance_reregistered,
    protected_name_grows,
    original_replaced_candidate_stale_address,
    original_unregister_and_late_agent_ignored,
}

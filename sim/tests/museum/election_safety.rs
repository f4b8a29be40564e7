//! Two leaders, or a leader that is none.

crate::exhibits! {
    gc_pause_outlives_session,
    local_expiry_fires_after_server_expiry,
    stale_reply_grants_after_revoke,
    leader_node_removed_by_hand,
    wrong_node_published_as_token,
    name_prefix_sorts_before_sequence,
    zombie_writes_without_guard,
    lock_flag_survives_expiry,
    no_reaction_to_disconnect,
    double_start_same_node,
    handover_overlap,
    netsplit_duplicates_never_merged,
    leader_identity_in_two_places,
    original_follower_caches_itself_as_leader,
    original_elect_before_verify,
    original_leader_outlives_controller,
}

//! Nobody leads although somebody could, or somebody works itself to death.

crate::exhibits! {
    lost_reply_orphan_candidate,
    cancelled_acquire_leaves_node,
    predecessor_gone_before_watch,
    mutual_reset_livelock,
    suspend_resume_lost_wakeup,
    requeue_lost,
    election_dir_missing,
    elected_but_thinks_follower,
    single_notification_trusted,
    not_in_list_hot_loop,
    declined_leadership_never_rejoins,
    foreign_child_in_election_dir,
    higher_sequence_counted_as_blocker,
    wrong_predecessor_spin,
    flap_on_every_suspend,
    leader_query_race,
    original_failed_election_forgets_candidate,
    original_waits_behind_own_orphan,
    original_empty_or_selfless_list_crashes_node,
    original_reap_failure_blocks_election,
}

//! Caches that lie: empty by failure, out of date without a word, or for ever.

crate::exhibits! {
    exists_watch_misses_create_delete,
    oneshot_gap_coalesces,
    child_vanishes_during_load,
    persistent_watch_no_replay,
    stale_while_disconnected_silently,
    flush_to_empty_on_error,
    silent_initial_load_failure,
    ready_before_loaded,
    load_vs_event_race,
    inflight_read_overwrites_newer,
    negative_cache_without_watch,
    invalidation_under_wrong_key,
    ttl_on_watch_backed_cache,
    watch_mode_clash,
    watches_vanish_on_suspend,
    server_lost_watch_after_restart,
    no_event_on_session_loss,
    callback_after_close,
    poison_payload_kills_discovery,
}

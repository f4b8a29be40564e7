//! What grows: requests, watches, znodes, numbers.

crate::exhibits! {
    too_many_ephemerals_in_one_session,
    herd_on_leader_node,
    watch_loops_multiply,
    probe_and_parent_node_leak,
    stat_version_overflow,
}

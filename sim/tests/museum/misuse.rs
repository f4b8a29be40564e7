//! What callers do wrong, and should not be able to.

crate::exhibits! {
    check_then_act,
    leadership_as_one_shot,
    cancel_while_suspended,
    subscribe_after_start_misses_state,
    reentrancy_and_reuse,
    original_error_path_never_replies,
}

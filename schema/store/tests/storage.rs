//! The storage suite: the same rules on SQLite and on a private, real PostgreSQL.

mod suite;

/// Each rule of the suite as a test on each backend: `sqlite::RULE` and `postgres::RULE`.
macro_rules! on_both {
    ($($topic:ident: $($rule:ident),+;)+) => {
        mod sqlite {
            $($(
                #[test]
                fn $rule() {
                    crate::suite::$topic::$rule(&crate::suite::Ground::sqlite());
                }
            )+)+
        }
        mod postgres {
            $($(
                #[test]
                fn $rule() {
                    crate::suite::$topic::$rule(&crate::suite::Ground::postgres());
                }
            )+)+
        }
    };
}

on_both! {
    migrations: a_fresh_database_is_migrated_once, both_backends_have_the_same_tables,
        the_tables_of_a_check_in_have_no_partial_index,
        cores_that_start_together_migrate_once_and_one_is_active;
    writes: a_write_is_acknowledged_only_after_commit, a_failed_job_does_not_take_its_batch_with_it,
        a_job_that_panics_fails_alone, a_swallowed_error_does_not_lose_the_batch,
        a_full_queue_refuses_but_lets_a_wipe_through, writes_after_a_shutdown_are_refused,
        many_callers_share_few_transactions, each_batch_leaves_its_id;
    epochs: a_second_core_takes_over_and_the_first_can_write_no_more, a_standby_writes_nothing,
        a_core_that_stops_in_order_is_followed_at_once, a_holder_that_renews_is_not_taken_over_from,
        a_write_of_a_core_that_was_taken_over_from_is_rolled_back;
    recovery: a_sealed_password_is_kept_once_and_the_last_few_stay,
        an_escrow_key_follows_the_one_in_use_and_no_other,
        devices_are_found_by_what_is_wanted_of_them;
    policies: a_desired_state_rests_once_and_as_long_as_it_is_named, an_epoch_rises_and_one_change_waits,
        devices_that_a_change_waits_for_are_asked_once, a_folder_of_sysvol_is_of_one_writing,
        who_changed_policy_stands_once_until_it_is_in_force, who_lost_something_is_found_by_when;
    captures: a_gateway_in_other_hands_is_declared_once_with_the_devices_that_it_carried,
        a_gateways_devices_are_counted_by_who_came_and_who_fell_silent;
    enrolments: a_check_in_finds_everything_in_one_row, a_name_is_found_in_any_case, a_route_is_never_used_twice,
        a_retired_enrolment_stays_as_a_tombstone, a_change_of_a_row_that_changed_is_a_conflict,
        the_class_of_proof_only_rises, the_index_comes_in_pages_and_misses_nobody,
        a_hundred_thousand_enrolments_are_loaded_in_one_write, a_name_may_mean_several_devices,
        an_older_moment_does_not_replace_last_seen,
        a_purged_enrolment_leaves_only_its_used_route;
    commands: pending_commands_come_in_sending_order, a_finished_command_leaves_the_pending_table,
        the_count_of_pending_commands_follows_the_table, a_command_is_finished_once,
        a_cancelled_command_is_not_sent, the_timeline_tells_every_step,
        a_command_in_doubt_is_resolved_once, a_step_keeps_a_command_pending, finished_rows_are_purged_by_age,
        an_operation_rolls_up_its_commands, a_command_for_nobody_is_refused;
    people: a_token_is_found_by_its_hash_only, a_revoked_token_says_so, roles_are_given_and_taken,
        an_answer_is_kept_once_for_each_key;
    groups: nested_groups_have_the_members_of_all, a_group_cannot_hold_itself;
    audits: the_chain_is_whole, a_changed_row_breaks_the_chain, a_removed_row_breaks_the_chain,
        a_failed_action_leaves_no_audit_row, only_whole_signed_segments_are_purged;
    authorities: of_a_role_one_generation_signs_and_each_change_raises_the_trusts_version,
        to_revoke_blocks_and_asks_for_a_crl_in_one_act, the_number_of_a_crl_rises_by_one,
        who_still_has_a_certificate_of_the_ca_before_is_a_straggler,
        an_imported_crl_blocks_what_it_lists_and_frees_what_it_no_longer_lists;
    perimeter: settings_have_versions_and_a_rejected_one_leaves_the_last_in_force,
        a_list_is_told_as_a_delta_or_in_full, refusals_are_bounded_for_each_subject;
    secrets: credentials_come_back_for_their_own_enrolment_only, credentials_are_sealed_anew_under_the_newest_key;
    settings: a_setting_is_changed_at_the_revision_that_was_read,
        a_device_has_the_settings_of_all_its_groups_with_their_depth,
        the_settings_epoch_rises_with_what_may_mean_something_to_a_device,
        a_new_device_is_managed_once_and_new_again_after_it_is_enrolled_anew,
        a_device_is_held_to_a_new_interval_when_it_acknowledged_it,
        who_was_not_seen_within_interval_jitter_and_grace_is_overdue,
        recorded_sessions_are_bounded_for_each_device_and_by_age,
        an_order_to_record_counts_down_outlives_a_restart_and_ends_by_itself,
        a_quirk_profile_takes_the_place_of_the_one_with_its_name;
    documents: a_document_that_says_the_same_makes_no_version,
        a_document_taken_away_is_a_version_and_counts_no_more,
        assignments_go_by_the_group_and_not_by_its_name;
    notifications: a_device_has_one_open_notification_at_most, a_notification_changed_in_between_is_a_conflict,
        a_report_finds_its_notification_by_the_bearers_reference, due_notifications_come_the_longest_due_first,
        a_queued_command_that_no_notification_took_up_is_found_once, an_address_is_set_and_forgotten,
        old_notifications_are_purged_with_their_steps;
    trees: an_imported_description_takes_the_place_of_the_one_with_its_name,
        snapshots_of_a_device_are_bounded_by_number_and_by_octets, a_reading_takes_each_step_once,
        readings_of_a_device_are_bounded;
    wipes: a_device_has_one_outstanding_wipe_at_most,
        a_wipe_changed_in_between_is_a_conflict_and_its_steps_tell_its_life,
        wipes_that_are_due_come_the_longest_due_first;
    alarms: an_alarm_is_one_row_while_it_lasts, an_alarm_that_is_over_may_come_back,
        a_flood_of_alarms_becomes_one, alarms_that_are_over_or_seen_are_purged_by_age,
        alarms_come_in_pages_the_newest_first;
    outbox: an_event_goes_out_only_with_the_change_that_it_tells_of, an_event_is_put_once_for_each_dedupe_key,
        an_event_is_planned_once_and_goes_to_a_target_once, an_owners_mail_waits_for_what_holds_it,
        due_deliveries_come_the_longest_due_first, a_delivery_changed_in_between_is_a_conflict,
        a_person_has_a_delivery_tried_again_and_no_mail_twice,
        what_a_backup_had_waiting_is_parked, what_has_no_address_is_parked_until_it_has_one_and_goes_by_age, told_events_are_purged_by_age_and_parked_ones_stay,
        deliveries_come_in_pages_the_newest_first, an_address_of_a_person_is_set_and_forgotten;
    safety: devices_that_were_hit_are_counted_once_over_all_tokens, what_was_sent_is_counted_apart_and_noted_once,
        a_request_is_found_by_its_hash_and_moved_on_once, at_most_one_freeze_stands,
        break_glass_opens_once_for_one_person_and_token, a_limit_takes_the_place_of_the_one_with_its_name;
    texts: hostile_text_comes_back_the_same_on_both;
}

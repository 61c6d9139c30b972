//! Devices as they are known: enrolments, groups, facts, settings, trees.

diesel::table! {
    enrolments (id) {
        id -> Binary,
        generation -> BigInt,
        route -> Binary,
        device_id -> Text,
        name -> Text,
        owner -> Nullable<Text>,
        hardware_id -> Nullable<Text>,
        auth -> Text,
        proof_floor -> Text,
        dialect -> Text,
        state -> Text,
        credentials -> Nullable<Binary>,
        server_nonce -> Nullable<Binary>,
        certificate_serial -> Nullable<Text>,
        certificate_fingerprint -> Nullable<Binary>,
        certificate_not_after -> Nullable<BigInt>,
        pending -> BigInt,
        policy_epoch -> BigInt,
        created_at -> BigInt,
        first_seen_at -> Nullable<BigInt>,
        last_seen_at -> Nullable<BigInt>,
        last_source -> Nullable<Text>,
        last_gateway -> Nullable<Text>,
        retired_at -> Nullable<BigInt>,
        retired_because -> Nullable<Text>,
        revision -> BigInt,
        settings_epoch -> BigInt,
        resync_until -> Nullable<BigInt>,
        next_credentials -> Nullable<Binary>,
    }
}

diesel::table! { groups (id) { id -> Binary, name -> Text, description -> Text, created_at -> BigInt, revision -> BigInt, } }
diesel::table! { group_devices (group_id, enrolment) { group_id -> Binary, enrolment -> Binary, added_at -> BigInt, } }
diesel::table! { group_groups (group_id, child) { group_id -> Binary, child -> Binary, added_at -> BigInt, } }
diesel::table! { facts (enrolment, key) { enrolment -> Binary, key -> Text, value -> Text, source -> Text, at -> BigInt, } }
diesel::table! { settings (scope, subject, name) { scope -> Text, subject -> Binary, name -> Text, value -> Text, set_by -> Text, at -> BigInt, } }
diesel::table! { setting_revisions (scope, subject) { scope -> Text, subject -> Binary, revision -> BigInt, } }

diesel::table! {
    schedules (enrolment) {
        enrolment -> Binary,
        generation -> BigInt,
        interval_s -> BigInt,
        jitter_s -> BigInt,
        wanted_s -> BigInt,
        wanted_jitter_s -> BigInt,
        told -> Text,
        operation -> Nullable<Binary>,
        status -> Nullable<BigInt>,
        at -> BigInt,
        acknowledged_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    quirk_profiles (name) { name -> Text, document -> Text, set_by -> Text, at -> BigInt, revision -> BigInt, }
}

diesel::table! { push_addresses (enrolment) { enrolment -> Binary, address -> Nullable<Text>, bearer -> Nullable<Text>, at -> BigInt, } }
diesel::table! { ddfs (name) { name -> Text, document -> Binary, nodes -> BigInt, skipped -> BigInt, set_by -> Text, at -> BigInt, revision -> BigInt, } }

diesel::table! {
    tree_snapshots (id) {
        id -> Binary,
        enrolment -> Binary,
        uri -> Text,
        whole -> Bool,
        nodes -> BigInt,
        octets -> BigInt,
        mounts -> Text,
        document -> Binary,
        at -> BigInt,
    }
}

diesel::table! {
    tree_readings (id) {
        id -> Binary,
        enrolment -> Binary,
        uri -> Text,
        levels -> BigInt,
        state -> Text,
        cause -> Text,
        step -> BigInt,
        asked -> BigInt,
        machine -> Binary,
        operation -> Nullable<Binary>,
        snapshot -> Nullable<Binary>,
        asked_by -> Text,
        reason -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    lives (enrolment) {
        enrolment -> Binary,
        generation -> BigInt,
        door -> Text,
        request -> Nullable<Binary>,
        standing -> Text,
        standing_since -> BigInt,
        twin -> Nullable<Binary>,
        leaving -> Nullable<Text>,
        leaving_because -> Text,
        leaving_by -> Text,
        leaving_operation -> Nullable<Binary>,
        leaving_at -> Nullable<BigInt>,
        certificate_from -> Nullable<BigInt>,
        renewal -> Text,
        renewal_operation -> Nullable<Binary>,
        renewal_at -> Nullable<BigInt>,
        renewal_tries -> BigInt,
        renewal_cause -> Text,
        next_serial -> Nullable<Text>,
        next_fingerprint -> Nullable<Binary>,
        next_from -> Nullable<BigInt>,
        next_until -> Nullable<BigInt>,
        revision -> BigInt,
    }
}

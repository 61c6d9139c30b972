//! Gateways, their settings, certificates and lists.

diesel::table! {
    gateways (name) {
        name -> Text,
        address -> Text,
        state -> Text,
        added_at -> BigInt,
        settings_wanted -> BigInt,
        settings_in_force -> BigInt,
        settings_rejected -> Nullable<Text>,
        blocked_in_force -> BigInt,
        routes_in_force -> BigInt,
        boot -> Nullable<Binary>,
        heartbeat -> Nullable<Text>,
        heartbeat_at -> Nullable<BigInt>,
        revision -> BigInt,
        origin -> Text,
        names -> Text,
        settings_newest -> BigInt,
        settings_good -> BigInt,
        ended_at -> Nullable<BigInt>,
        ended_because -> Nullable<Text>,
    }
}

diesel::table! {
    gateway_settings (gateway, version) {
        gateway -> Text,
        version -> BigInt,
        document -> Text,
        sha256 -> Binary,
        actor -> Text,
        at -> BigInt,
        own -> Text,
        defaults -> BigInt,
        reason -> Nullable<Text>,
        state -> Text,
        pushed_at -> Nullable<BigInt>,
        answered_at -> Nullable<BigInt>,
        good_at -> Nullable<BigInt>,
        answer -> Nullable<Text>,
    }
}

diesel::table! { gateway_defaults (version) { version -> BigInt, document -> Text, actor -> Text, reason -> Nullable<Text>, at -> BigInt, state -> Text, ended_at -> Nullable<BigInt>, because -> Nullable<Text>, } }
diesel::table! { gateway_rollout (defaults, gateway) { defaults -> BigInt, gateway -> Text, position -> BigInt, state -> Text, version -> BigInt, because -> Nullable<Text>, at -> BigInt, } }

diesel::table! {
    gateway_joins (gateway) {
        gateway -> Text,
        id -> Binary,
        secret -> Nullable<Binary>,
        state -> Text,
        key_hash -> Nullable<Text>,
        failures -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    gateway_certificates (gateway, role, key_hash) {
        gateway -> Text,
        role -> Text,
        key_hash -> Text,
        request -> Text,
        asked_at -> BigInt,
        chain -> Nullable<Text>,
        serial -> Nullable<Text>,
        issuer -> Nullable<Text>,
        not_after -> Nullable<BigInt>,
        issued_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    captures (gateway) {
        gateway -> Text,
        since -> BigInt,
        declared_at -> BigInt,
        declared_by -> Text,
        reason -> Text,
        devices -> BigInt,
        certificates -> BigInt,
    }
}

diesel::table! {
    capture_devices (gateway, enrolment) {
        gateway -> Text,
        enrolment -> Binary,
        generation -> BigInt,
        proof -> Text,
        sessions -> BigInt,
        last_at -> BigInt,
        rotation -> Text,
        rotation_because -> Text,
        rotation_operation -> Nullable<Binary>,
        reading -> Text,
        reading_because -> Text,
        reading_operation -> Nullable<Binary>,
    }
}

diesel::table! { gateway_acks (gateway, kind, version) { gateway -> Text, kind -> Text, version -> BigInt, ok -> Bool, reason -> Nullable<Text>, at -> BigInt, } }
diesel::table! { lists (name) { name -> Text, version -> BigInt, floor -> BigInt, } }
diesel::table! { list_entries (list, entry) { list -> Text, entry -> Text, verdict -> Text, since -> BigInt, at -> BigInt, } }
diesel::table! { list_deltas (list, version, entry) { list -> Text, version -> BigInt, entry -> Text, verdict -> Text, added -> Bool, at -> BigInt, } }

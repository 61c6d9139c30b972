//! What happened, and who is told: sessions, refusals, recordings, alarms, the outbox.

diesel::table! {
    sessions (id) {
        id -> Binary,
        enrolment -> Binary,
        session_id -> Text,
        opened_at -> BigInt,
        closed_at -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
        proof -> Text,
        dm_version -> Text,
        source -> Nullable<Text>,
        gateway -> Nullable<Text>,
        messages -> BigInt,
        commands -> BigInt,
    }
}

diesel::table! {
    refusals (id) {
        id -> Binary,
        enrolment -> Nullable<Binary>,
        subject -> Text,
        gateway -> Text,
        reason -> Text,
        serial -> Nullable<Text>,
        route -> Nullable<Text>,
        source -> Text,
        count -> BigInt,
        at -> BigInt,
    }
}

diesel::table! {
    recordings (session) {
        session -> Binary,
        enrolment -> Binary,
        at -> BigInt,
        octets -> BigInt,
        messages -> BigInt,
        content -> Binary,
    }
}

diesel::table! {
    recording_orders (enrolment) { enrolment -> Binary, sessions -> BigInt, asked_by -> Text, at -> BigInt, until -> BigInt, }
}

diesel::table! {
    cores (id) {
        id -> Binary,
        core -> Text,
        host -> Text,
        version -> Text,
        role -> Text,
        started_at -> BigInt,
        seen_at -> BigInt,
        admin -> Text,
        problems -> BigInt,
        error -> Text,
    }
}

diesel::table! {
    alarms (id) {
        id -> Binary,
        kind -> Text,
        subject -> Text,
        severity -> Text,
        text -> Text,
        since -> BigInt,
        last -> BigInt,
        count -> BigInt,
        acknowledged_by -> Nullable<Text>,
        acknowledged_at -> Nullable<BigInt>,
        acknowledged_because -> Nullable<Text>,
        cleared_at -> Nullable<BigInt>,
        cleared_because -> Nullable<Text>,
    }
}

diesel::table! {
    outbox (id) {
        id -> Binary,
        kind -> Text,
        subject -> Text,
        device -> Nullable<Binary>,
        dedupe -> Text,
        data -> Text,
        requester -> Nullable<Binary>,
        owner -> Nullable<Text>,
        security -> Bool,
        hold -> Nullable<Text>,
        at -> BigInt,
        planned_at -> Nullable<BigInt>,
        released_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    deliveries (id) {
        id -> Binary,
        event -> Binary,
        channel -> Text,
        target -> Text,
        message_id -> Text,
        state -> Text,
        attempts -> BigInt,
        cause -> Text,
        created_at -> BigInt,
        next_at -> Nullable<BigInt>,
        last_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        revision -> BigInt,
    }
}

diesel::table! {
    mail_addresses (subject) {
        subject -> Text,
        address -> Text,
        second -> Nullable<Text>,
        at -> BigInt,
        set_by -> Text,
    }
}

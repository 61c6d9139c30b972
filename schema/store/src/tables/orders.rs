//! What devices are told to do, and who agreed: commands, notifications, limits, wipes, recovery.

diesel::table! {
    operations (id) {
        id -> Binary,
        kind -> Text,
        lane -> Text,
        actor -> Text,
        reason -> Text,
        detail -> Text,
        created_at -> BigInt,
        deadline -> Nullable<BigInt>,
        devices -> BigInt,
        commands -> BigInt,
    }
}

diesel::table! {
    commands_pending (id) {
        id -> Binary,
        operation -> Binary,
        enrolment -> Binary,
        generation -> BigInt,
        kind -> Text,
        lane -> Text,
        rank -> BigInt,
        position -> BigInt,
        verb -> Text,
        uri -> Text,
        payload -> Binary,
        sealed -> Bool,
        redelivery -> Text,
        probe -> Nullable<Text>,
        mac -> Nullable<Binary>,
        state -> Text,
        attempts -> BigInt,
        created_at -> BigInt,
        not_before -> Nullable<BigInt>,
        deadline -> Nullable<BigInt>,
        sent_at -> Nullable<BigInt>,
        session -> Nullable<Binary>,
        reference -> Nullable<Text>,
        accepted_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        status -> Nullable<BigInt>,
        cause -> Text,
        proof -> Nullable<Text>,
        revision -> BigInt,
    }
}

diesel::table! {
    commands_done (id) {
        id -> Binary,
        operation -> Binary,
        enrolment -> Binary,
        generation -> BigInt,
        kind -> Text,
        lane -> Text,
        rank -> BigInt,
        position -> BigInt,
        verb -> Text,
        uri -> Text,
        payload -> Binary,
        sealed -> Bool,
        redelivery -> Text,
        probe -> Nullable<Text>,
        mac -> Nullable<Binary>,
        state -> Text,
        attempts -> BigInt,
        created_at -> BigInt,
        not_before -> Nullable<BigInt>,
        deadline -> Nullable<BigInt>,
        sent_at -> Nullable<BigInt>,
        session -> Nullable<Binary>,
        reference -> Nullable<Text>,
        accepted_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        status -> Nullable<BigInt>,
        cause -> Text,
        proof -> Nullable<Text>,
        revision -> BigInt,
    }
}

diesel::table! {
    results (command, position) {
        command -> Binary,
        position -> BigInt,
        enrolment -> Binary,
        source_uri -> Nullable<Text>,
        format -> Nullable<Text>,
        media_type -> Nullable<Text>,
        data -> Binary,
        sealed -> Bool,
        proof -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    timeline (command, revision) {
        command -> Binary,
        revision -> BigInt,
        state -> Text,
        cause -> Text,
        session -> Nullable<Binary>,
        at -> BigInt,
    }
}

diesel::table! {
    notifications (id) {
        id -> Binary,
        enrolment -> Binary,
        session_id -> BigInt,
        state -> Text,
        asked_by -> Nullable<Text>,
        forced -> Nullable<Text>,
        urgent -> Bool,
        resync -> Bool,
        bearer -> Nullable<Text>,
        attempts -> BigInt,
        handed -> BigInt,
        cause -> Text,
        created_at -> BigInt,
        next_at -> Nullable<BigInt>,
        last_at -> Nullable<BigInt>,
        expires_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        session -> Nullable<Binary>,
        revision -> BigInt,
    }
}

diesel::table! {
    notification_steps (notification, position) {
        notification -> Binary,
        position -> BigInt,
        enrolment -> Binary,
        state -> Text,
        bearer -> Nullable<Text>,
        reference -> Nullable<Text>,
        cause -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    destructive_acts (id) {
        id -> Binary,
        admission -> Binary,
        enrolment -> Binary,
        generation -> BigInt,
        class -> Text,
        person -> Nullable<Text>,
        token -> Nullable<Binary>,
        at -> BigInt,
        operation -> Nullable<Binary>,
        approval -> Nullable<Binary>,
        glass -> Bool,
        sent_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    approvals (id) {
        id -> Binary,
        kind -> Text,
        state -> Text,
        requester -> Text,
        token -> Nullable<Binary>,
        reason -> Text,
        content -> Text,
        hash -> Binary,
        targets -> BigInt,
        created_at -> BigInt,
        expires_at -> BigInt,
        cooling_ms -> BigInt,
        alone_from -> Nullable<BigInt>,
        agreed_at -> Nullable<BigInt>,
        agreed_by -> Nullable<Text>,
        decided_at -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        because -> Text,
        revision -> BigInt,
    }
}

diesel::table! {
    freezes (id) {
        id -> Binary,
        since -> BigInt,
        frozen_by -> Text,
        reason -> Text,
        automatic -> Bool,
        thawed_at -> Nullable<BigInt>,
        thawed_by -> Nullable<Text>,
        thawed_because -> Nullable<Text>,
    }
}

diesel::table! {
    break_glass (id) {
        id -> Binary,
        person -> Text,
        token -> Binary,
        opened_at -> BigInt,
        until -> BigInt,
        devices -> BigInt,
        spent -> BigInt,
        code_hash -> Binary,
        reason -> Text,
    }
}

diesel::table! { safety_limits (name) { name -> Text, value -> BigInt, set_by -> Text, at -> BigInt, } }
diesel::table! { recovery_keys (id) { id -> Text, number -> BigInt, public -> Binary, replaces -> Nullable<Text>, change -> Nullable<Text>, made_at -> BigInt, made_by -> Text, } }

diesel::table! {
    recovery_devices (enrolment) {
        enrolment -> Binary,
        generation -> BigInt,
        state -> Text,
        cause -> Text,
        since -> BigInt,
        due_at -> Nullable<BigInt>,
        operation -> Nullable<Binary>,
        key -> Nullable<Text>,
        tries -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    recovery_passwords (enrolment, kind, generation, number) {
        enrolment -> Binary,
        kind -> Text,
        generation -> BigInt,
        number -> BigInt,
        key -> Text,
        sealed -> Text,
        cause -> Text,
        proof -> Text,
        made_at -> BigInt,
        received_at -> BigInt,
        shown -> BigInt,
        shown_at -> Nullable<BigInt>,
        shown_by -> Nullable<Text>,
    }
}

diesel::table! {
    wipes (id) {
        id -> Binary,
        enrolment -> Binary,
        generation -> BigInt,
        device_id -> Text,
        route -> Binary,
        state -> Text,
        kind -> Text,
        way -> Text,
        asked_for -> Text,
        reason -> Text,
        lost -> Bool,
        requested_by -> Text,
        requester -> Nullable<Binary>,
        requested_at -> BigInt,
        settings -> Text,
        approval -> Nullable<Binary>,
        armed_at -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        next_at -> Nullable<BigInt>,
        operation -> Nullable<Binary>,
        command -> Nullable<Binary>,
        tries -> BigInt,
        accepted_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        status -> Nullable<BigInt>,
        evidence -> Nullable<Text>,
        proof -> Nullable<Text>,
        cause -> Text,
        perimeter -> Nullable<Text>,
        disarm_by -> Nullable<Text>,
        mark -> Binary,
        revision -> BigInt,
    }
}

diesel::table! {
    wipe_steps (wipe, revision) {
        wipe -> Binary,
        revision -> BigInt,
        state -> Text,
        event -> Text,
        cause -> Text,
        actor -> Text,
        status -> Nullable<BigInt>,
        session -> Nullable<Binary>,
        exchange -> Nullable<Binary>,
        audit -> BigInt,
        at -> BigInt,
    }
}

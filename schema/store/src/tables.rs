//! The tables, as diesel knows them; `migrations/` makes them. Types are the few that both backends share:
//! octets, 64-bit integers, text, truth.

diesel::table! { epoch (id) { id -> BigInt, number -> BigInt, holder -> Binary, beat -> BigInt, renewed_at -> BigInt, released -> Bool, } }
diesel::table! { batches (id) { id -> Binary, epoch -> BigInt, at -> BigInt, } }
diesel::table! { meta (key) { key -> Text, value -> Text, } }

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

diesel::table! { admins (id) { id -> Binary, name -> Text, password -> Nullable<Text>, created_at -> BigInt, created_by -> Text, may_approve_from -> BigInt, disabled_at -> Nullable<BigInt>, revision -> BigInt, } }
diesel::table! { role_grants (admin, role) { admin -> Binary, role -> Text, scope -> Nullable<Text>, granted_by -> Text, at -> BigInt, } }
diesel::table! {
    tokens (id) {
        id -> Binary,
        admin -> Binary,
        label -> Text,
        hash -> Binary,
        scope -> Text,
        networks -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        last_used_from -> Nullable<Text>,
        may_approve_from -> BigInt,
    }
}

diesel::table! {
    audit (seq) {
        seq -> BigInt,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        object -> Text,
        outcome -> Text,
        detail -> Text,
        source -> Text,
        request -> Text,
        previous -> Binary,
        hash -> Binary,
    }
}
diesel::table! { audit_heads (seq) { seq -> BigInt, hash -> Binary, at -> BigInt, key_id -> Text, signature -> Binary, } }

diesel::table! { idempotency (principal, key) { principal -> Text, key -> Text, request -> Binary, status -> BigInt, answer -> Text, at -> BigInt, } }
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
    quirk_profiles (name) { name -> Text, document -> Text, set_by -> Text, at -> BigInt, revision -> BigInt, }
}
diesel::table! { push_addresses (enrolment) { enrolment -> Binary, address -> Nullable<Text>, bearer -> Nullable<Text>, at -> BigInt, } }
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

diesel::table! {
    enrolment_requests (id) {
        id -> Binary,
        code -> Text,
        psk -> Nullable<Binary>,
        state -> Text,
        name -> Text,
        owner -> Nullable<Text>,
        platform -> Nullable<Text>,
        email_domain -> Nullable<Text>,
        hardware_id -> Nullable<Text>,
        auth -> Text,
        dialect -> Text,
        member_of -> Text,
        renews -> Nullable<Binary>,
        reason -> Text,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        failures -> BigInt,
        last_failure_at -> Nullable<BigInt>,
        last_failure_source -> Nullable<Text>,
        finished_at -> Nullable<BigInt>,
        finished_by -> Nullable<Text>,
        cause -> Text,
        enrolment -> Nullable<Binary>,
        generation -> Nullable<BigInt>,
        csr_key -> Nullable<Binary>,
        result -> Nullable<Binary>,
        revision -> BigInt,
    }
}
diesel::table! {
    enrolment_attempts (id) {
        id -> Binary,
        at -> BigInt,
        request -> Nullable<Binary>,
        door -> Text,
        step -> Text,
        outcome -> Text,
        reason -> Text,
        detail -> Text,
        source -> Text,
        gateway -> Text,
        enrolment -> Nullable<Binary>,
        count -> BigInt,
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

diesel::table! {
    authorities (role, generation) {
        role -> Text,
        generation -> BigInt,
        state -> Text,
        name -> Text,
        issuer -> Text,
        chain -> Binary,
        bridge -> Nullable<Binary>,
        key_file -> Text,
        not_before -> BigInt,
        not_after -> BigInt,
        made_at -> BigInt,
        made_by -> Text,
        retired_at -> Nullable<BigInt>,
        crl_number -> BigInt,
        crl -> Nullable<Binary>,
        crl_at -> Nullable<BigInt>,
        crl_next -> Nullable<BigInt>,
        crl_stale -> Bool,
    }
}
diesel::table! {
    certificates (issuer, serial) {
        issuer -> Text,
        serial -> Text,
        role -> Text,
        authority -> BigInt,
        subject -> Text,
        subject_generation -> BigInt,
        fingerprint -> Binary,
        not_before -> BigInt,
        not_after -> BigInt,
        issued_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        reason -> Nullable<Text>,
        replaced_by -> Nullable<Text>,
    }
}
diesel::table! {
    imported_crls (issuer) {
        issuer -> Text,
        name -> Text,
        number -> Text,
        this_update -> BigInt,
        next_update -> Nullable<BigInt>,
        entries -> BigInt,
        imported_at -> BigInt,
        imported_by -> Text,
    }
}
diesel::table! { imported_crl_entries (issuer, serial) { issuer -> Text, serial -> Text, reason -> Text, revoked_at -> BigInt, } }
diesel::table! { server_trust (enrolment) { enrolment -> Binary, generation -> BigInt, at -> BigInt, } }

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
diesel::table! { policy_desired (hash) { hash -> Binary, body -> Text, made_at -> BigInt, } }
diesel::table! {
    policy_devices (enrolment) {
        enrolment -> Binary,
        generation -> BigInt,
        desired -> Binary,
        waiting -> Nullable<Binary>,
        settled -> Nullable<Binary>,
        planned -> Nullable<Binary>,
        epoch -> BigInt,
        book -> Text,
        operation -> Nullable<Binary>,
        verify_at -> Nullable<BigInt>,
        stale -> Nullable<Text>,
        compliant -> BigInt,
        pending -> BigInt,
        failed -> BigInt,
        unsupported -> BigInt,
        conflicts -> BigInt,
        drift -> BigInt,
        changed_at -> BigInt,
        settled_at -> Nullable<BigInt>,
        revision -> BigInt,
    }
}
diesel::table! {
    policy_holds (id) {
        id -> Binary,
        digest -> Binary,
        state -> Text,
        approval -> Nullable<Binary>,
        devices -> BigInt,
        managed -> BigInt,
        settings -> BigInt,
        made_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    directory_readings (id) {
        id -> BigInt,
        pass -> Binary,
        server -> Text,
        life -> Text,
        usn -> BigInt,
        entries -> BigInt,
        pieces -> BigInt,
        good_at -> BigInt,
        whole_at -> BigInt,
    }
}
diesel::table! { directory_pieces (pass, number) { pass -> Binary, number -> BigInt, octets -> Binary, } }
diesel::table! {
    directory_bindings (enrolment) {
        enrolment -> Binary,
        computer -> Nullable<Text>,
        computer_dn -> Nullable<Text>,
        created -> Bool,
        person -> Nullable<Text>,
        person_dn -> Nullable<Text>,
        set_by -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    directory_tasks (id) {
        id -> Binary,
        act -> Text,
        enrolment -> Binary,
        wipe -> Nullable<Binary>,
        computer -> Nullable<Text>,
        computer_dn -> Nullable<Text>,
        state -> Text,
        tries -> BigInt,
        due_at -> Nullable<BigInt>,
        cause -> Text,
        made_at -> BigInt,
        done_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    directory_admins (admin) {
        admin -> Binary,
        sid -> Text,
        roles -> Text,
        roles_since -> BigInt,
        signed_in_at -> BigInt,
    }
}
diesel::table! { policy_documents (name) { name -> Text, version -> BigInt, removed -> Bool, created_at -> BigInt, changed_at -> BigInt, } }
diesel::table! { policy_versions (name, version) { name -> Text, version -> BigInt, hash -> Binary, document -> Text, of_version -> Nullable<BigInt>, reason -> Text, set_by -> Text, at -> BigInt, } }
diesel::table! { policy_assignments (name, group_id) { name -> Text, group_id -> Binary, place -> BigInt, enforced -> Bool, } }

diesel::joinable!(group_devices -> groups (group_id));
diesel::allow_tables_to_appear_in_same_query!(groups, group_devices, group_groups, enrolments);
diesel::allow_tables_to_appear_in_same_query!(commands_pending, commands_done, timeline);
diesel::allow_tables_to_appear_in_same_query!(enrolments, schedules, lives);
diesel::allow_tables_to_appear_in_same_query!(captures, capture_devices);
diesel::allow_tables_to_appear_in_same_query!(wipes, directory_tasks);
diesel::allow_tables_to_appear_in_same_query!(enrolments, recovery_devices, recovery_passwords);
diesel::allow_tables_to_appear_in_same_query!(enrolments, policy_devices, policy_desired);
diesel::allow_tables_to_appear_in_same_query!(enrolments, certificates, server_trust);
diesel::allow_tables_to_appear_in_same_query!(push_addresses, enrolments, notifications, commands_pending);
diesel::allow_tables_to_appear_in_same_query!(outbox, deliveries);
diesel::allow_tables_to_appear_in_same_query!(policy_documents, policy_versions, policy_assignments, groups);

//! How devices come in, and certificates.

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

//! The directory, policy documents, and what is desired of each device.

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
        lost_at -> Nullable<BigInt>,
    }
}

diesel::table! { policy_movers (id) { id -> Binary, person -> Text, token -> Nullable<Binary>, operation -> Text, at -> BigInt, } }

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

diesel::table! {
    sysvol_pieces (gpo, number) {
        gpo -> Text,
        number -> BigInt,
        pieces -> BigInt,
        pass -> Binary,
        at -> BigInt,
        octets -> Binary,
    }
}

diesel::table! { directory_pieces (pass, number) { pass -> Binary, number -> BigInt, octets -> Binary, } }

diesel::table! { certificate_names (enrolment) { enrolment -> Binary, dns_name -> Text, } }

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

//! Admins, their tokens, and the audit log.

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

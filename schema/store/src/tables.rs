//! The tables, as diesel knows them; `migrations/` makes them. Types are the few that both backends share:
//! octets, 64-bit integers, text, truth.

mod fleet;
mod orders;
mod people;
mod perimeter;
mod policy;
mod trust;
mod watch;

pub(crate) use self::{fleet::*, orders::*, people::*, perimeter::*, policy::*, trust::*, watch::*};

diesel::table! { epoch (id) { id -> BigInt, number -> BigInt, holder -> Binary, beat -> BigInt, renewed_at -> BigInt, released -> Bool, } }
diesel::table! { batches (id) { id -> Binary, epoch -> BigInt, at -> BigInt, } }
diesel::table! { meta (key) { key -> Text, value -> Text, } }

diesel::joinable!(group_devices -> groups (group_id));
diesel::allow_tables_to_appear_in_same_query!(groups, group_devices, group_groups, enrolments);
diesel::allow_tables_to_appear_in_same_query!(commands_pending, commands_done, timeline);
diesel::allow_tables_to_appear_in_same_query!(enrolments, schedules, lives);
diesel::allow_tables_to_appear_in_same_query!(captures, capture_devices);
diesel::allow_tables_to_appear_in_same_query!(wipes, directory_tasks, enrolments);
diesel::allow_tables_to_appear_in_same_query!(directory_bindings, enrolments);
diesel::allow_tables_to_appear_in_same_query!(certificate_names, enrolments);
diesel::allow_tables_to_appear_in_same_query!(enrolments, recovery_devices, recovery_passwords);
diesel::allow_tables_to_appear_in_same_query!(enrolments, policy_devices, policy_desired);
diesel::allow_tables_to_appear_in_same_query!(enrolments, certificates, server_trust);
diesel::allow_tables_to_appear_in_same_query!(push_addresses, enrolments, notifications, commands_pending);
diesel::allow_tables_to_appear_in_same_query!(policy_devices, push_addresses);
diesel::allow_tables_to_appear_in_same_query!(policy_devices, notifications);
diesel::allow_tables_to_appear_in_same_query!(outbox, deliveries);
diesel::allow_tables_to_appear_in_same_query!(policy_documents, policy_versions, policy_assignments, groups);

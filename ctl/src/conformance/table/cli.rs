//! CLI: what a client does.

use postern_wire::syncml::Command;

use super::{Obligation::C, Row, rule};
use crate::conformance::{
    client::{cli_acl, cli_commands, cli_large, cli_packages, cli_tree, notices},
    tamper::{Thing, a_get, each_status},
    variant::Variants::{All, Encodings, Once},
};

pub(super) const ROWS: &[Row] = &[
    rule("CLI-01", C, "PRO 8.3", "The first message has the alert, five leaves of DevInfo, and Final.")
        .client(All, cli_packages::first_message, |p| p.request(|m| if let Some(Command::Replace(r)) = m.body.last_mut() { r.items.pop(); })),
    rule(
        "CLI-02",
        C,
        "NOT 6.2.10",
        "A session that a notification asked for has its id as SessionID, in hex without zeros, and Alert 1200.",
    )
        .client(Encodings, notices::notified, |p| p.request(|m| m.header.session_id.insert(0, '0'))),
    rule("CLI-03", C, "REP 6.6.1", "Add makes a leaf and an interior node, and Get reads them.")
        .client(Encodings, cli_tree::adds, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 104 { s.code = 404 }))),
    rule("CLI-04", C, "REP 6.6.1", "Add of a node that exists gets 418.")
        .client(Encodings, cli_tree::add_existing, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule("CLI-05", C, "REP 6.6.1", "Add under a leaf gets 405; Add without a parent makes it or gets 404.")
        .client(Once, cli_tree::add_misplaced, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule("CLI-06", C, "REP 6.6.11", "Replace of a node that is missing gets 404 and makes none.")
        .client(Once, cli_tree::replace_missing, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule("CLI-07", C, "REP 6.6.11", "Replace of an interior node's value gets 405.")
        .client(Once, cli_tree::replace_interior, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule(
        "CLI-08",
        C,
        "TND 6.2.2",
        "Get of a missing node gets 404, of an interior one its children's names, of an empty one empty Data.",
    )
        .client(Encodings, cli_tree::gets, |p| p.request(|m| m.body.retain(|c| !matches!(c, Command::Results(r) if r.cmd_ref == 107)))),
    rule(
        "CLI-09",
        C,
        "TND 6.2.2.5",
        "Delete takes a subtree; a permanent node, the root and one without that access get 405.",
    )
        .client(Once, cli_tree::deletes, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 107 { s.code = 200 }))),
    rule("CLI-10", C, "REP 6.6.4", "Copy of a leaf gets 200 and copies, or 406.")
        .client(Encodings, cli_tree::copies, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 500 }))),
    rule("CLI-11", C, "REP 6.6.6", "Exec of a node that cannot be executed gets 405 or 406.")
        .client(Once, cli_tree::executes, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule(
        "CLI-12",
        C,
        "REP 6.6.3",
        "An Atomic is done whole, or leaves the tree as it was with 507, 216 and 215.",
    )
        .client(Encodings, cli_commands::atomic, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 106 { s.code = 200 }))),
    rule(
        "CLI-13",
        C,
        "REP 6.6.3",
        "An Atomic with a Get or another Atomic inside fails: 500 for the child, 507 for the Atomic.",
    )
        .client(Encodings, cli_commands::atomic_contents, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 101 { s.code = 200 }))),
    rule(
        "CLI-14",
        C,
        "REP 6.6.14",
        "A Sequence is run in order; what follows a refusal of the user gets 215.",
    )
        .client(Once, cli_commands::sequence, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 107 { s.code = 200 }))),
    rule("CLI-15", C, "PRO 7", "An object in three chunks gets 213, 213 and 200, and is whole.")
        .client(Encodings, cli_large::received, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 102 { s.code = 200 }))),
    rule("CLI-16", C, "PRO 7", "A command between chunks gets Alert 1225, and the old value stays.")
        .client(Encodings, cli_large::interrupted, |p| p.request(|m| m.body.retain(|c| !matches!(c, Command::Alert(a) if a.code == 1225)))),
    rule("CLI-17", C, "PRO 7", "Chunks that are not the announced Size get 424, and the old value stays.")
        .client(Once, cli_large::wrong_size, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 103 { s.code = 200 }))),
    rule(
        "CLI-18",
        C,
        "PRO 7",
        "A value above the server's MaxMsgSize comes in chunks, without Final until the last.",
    )
        .client(Encodings, cli_large::sent, |p| p.request(|m| for c in &mut m.body { if let Command::Results(r) = c { r.items[0].meta.size = Some(1) } })),
    rule(
        "CLI-19",
        C,
        "PRO 6.2",
        "Results that need several messages come one message at a time, with Final in the last.",
    )
        .client(Encodings, cli_packages::many_results, |p| p.request(|m| if m.header.msg_id > 2 { m.is_final = true })),
    rule("CLI-20", C, "PRO 6.2", "The client's Final waits for the server's.")
        .client(Once, cli_packages::final_waits, |p| p.request(|m| m.is_final = true)),
    rule(
        "CLI-21",
        C,
        "PRO 8",
        "A server's package without commands ends the session: the client sends nothing.",
    )
        .client(Encodings, cli_packages::empty_package, |p| p.answer(|m| m.body.push(a_get()))),
    rule("CLI-22", C, "PRO 8.1", "A server's Alert 1223 ends the session without an answer.")
        .client(Encodings, cli_packages::server_aborts, |p| p.answer(|m| { m.body.retain(|c| !matches!(c, Command::Alert(_))); m.body.push(a_get()) })),
    rule("CLI-23", C, "REP 6.1.15", "The next message goes to the server's RespURI.")
        .client(Once, cli_packages::resp_uri, |p| if let Thing::Request(request) = &mut p.thing { request.path = "/dm".to_owned() }),
    rule("CLI-24", C, "TND 8", "?list=Struct, StructData and TNDS have their shapes, or get 406.")
        .client(Encodings, cli_tree::lists, |p| p.request(|m| for c in &mut m.body { if let Command::Results(r) = c { r.items.clear() } })),
    rule(
        "CLI-25",
        C,
        "TND 7.5",
        "Properties: Add gets 405, an unknown one 406, a new Name renames, a taken one gets 418, a permanent node's 405.",
    )
        .client(Once, cli_tree::properties, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 108 { s.code = 200 }))),
    rule("CLI-26", C, "TND 7.7.1.6", "The truth table of ACLs holds line by line; what is denied gets 425.")
        .client(Once, cli_acl::truth_table, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 133 { s.code = 200 }))),
    rule(
        "CLI-27",
        C,
        "TND 7.7.1.3",
        "An interior node made by a server without Replace on its parent is that server's.",
    )
        .client(Once, cli_acl::new_interior_node, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 106 { s.code = 425 }))),
    rule("CLI-28", C, "TND 7.7.1.2", "The root's ACL is changed, or the change gets 405; it is never empty.")
        .client(Once, cli_acl::root, |p| p.request(|m| for c in &mut m.body { if let Command::Results(r) = c { r.items[0].data = Some("".into()) } })),
    rule("CLI-29", C, "PRO 10", "User alerts get 200, 304, 214, 408, 406 or 416, and their answers an Item.")
        .client(Encodings, cli_commands::user_alerts, |p| p.request(|m| each_status(m, |s| { s.items.clear(); if s.cmd_ref > 100 { s.code = 200 } }))),
    rule("CLI-30", C, "PRO 10.3", "An unknown option of a user alert is skipped.")
        .client(Once, cli_commands::unknown_option, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 101 { s.code = 400 }))),
    rule("CLI-31", C, "REP 6.6", "An unknown command gets 400, 406 or 501, and the others are run.")
        .client(Once, cli_packages::unknown_command, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 102 { s.code = 200 }))),
    rule(
        "CLI-32",
        C,
        "STD 5.3.4",
        "A tree added to ./Inbox is put where its identifier belongs; Get of ./Inbox gets 405.",
    )
        .client(Encodings, cli_tree::inbox, |p| p.request(|m| each_status(m, |s| if s.cmd_ref == 101 { s.code = 200 }))),
];

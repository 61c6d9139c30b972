//! What real clients sent, octet for octet, through the engine: libdmclient (LD-nn) and pytune (PT-nn).
//!
//! The recordings lie with wire's vectors. Their server side was a stand-in; where its commands had the numbers
//! that ours get, the outcome of each command is checked too.

use std::path::PathBuf;

use crate::common::{World, account, certificate, leaf, server};
use postern_engine::{
    account::{Account, ServerScheme},
    effect::{Effect, RefusedReason, Reply},
    queue::BodyItem,
    session::{Inbound, Random},
};
use postern_wire::{
    syncml::{self, Command, Encoding, Limits, Message},
    terms::{AuthType, CommandId, CommandState, Verb},
};

/// The challenge of the stand-in, so that the recorded digests answer ours.
const NONCE: [u8; 16] = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();

fn recorded(name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/wire/tests/data/clients"));
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with("-c2s.xml") || name.ends_with("-c2s.wbxml")
    };
    let content_type = match (
        name.starts_with("pytune"),
        files.iter().any(|p| p.to_str().unwrap().ends_with("c2s.wbxml")),
    ) {
        (true, _) => "application/vnd.syncml.dm+xml",
        (false, true) => "application/vnd.syncml+wbxml",
        (false, false) => "application/vnd.syncml+xml",
    };
    files.into_iter().filter(wanted).map(|path| (content_type, std::fs::read(path).unwrap())).collect()
}

pub(crate) struct Replay {
    pub(crate) world: World,
    replies: Vec<Reply>,
}

impl Replay {
    pub(crate) fn of(name: &str, mut world: World) -> Self {
        let mut replies = Vec::new();
        for (content_type, body) in recorded(name) {
            let peer = world.peer.clone();
            let inbound = Inbound { content_type, body: &body, peer: &peer };
            let mut random = [0; 32];
            random[..16].copy_from_slice(&NONCE);
            let outcome = world.receive(inbound, Random(random));
            world.effects.extend(outcome.durable.into_iter().chain(outcome.deferred));
            replies.push(outcome.reply);
            world.after(500);
        }
        Self { world, replies }
    }

    fn message(&self, at: usize) -> Message {
        let Reply::Message { body, content_type, .. } = &self.replies[at] else {
            panic!("{:?}", self.replies[at])
        };
        let encoding = if content_type.contains("wbxml") { Encoding::Wbxml } else { Encoding::Xml };
        syncml::decode(body, encoding, &Limits::default()).unwrap().message
    }

    /// The code for SyncHdr in each reply; 0 for a refusal below SyncML.
    fn codes(&self) -> Vec<u32> {
        (0..self.replies.len())
            .map(|at| match &self.replies[at] {
                Reply::Refuse { .. } => 0,
                Reply::Message { .. } => match self.message(at).body.first() {
                    Some(Command::Status(status)) => status.code,
                    other => panic!("{other:?}"),
                },
            })
            .collect()
    }
}

/// The four commands of the stand-in's first package.
pub(crate) fn four(world: &mut World) -> [CommandId; 4] {
    [
        world.add("./Vendor/memory/k", "hello"),
        world.get("./DevInfo/DevId"),
        world.replace("./Vendor/memory/k", "hello-1"),
        world.exec("./test/execute"),
    ]
}

const DONE: (CommandState, &str) = (CommandState::Succeeded, "done");

#[test]
fn libdmclient_with_basic_runs_four_commands_in_both_encodings() {
    for name in ["libdmclient-xml-basic", "libdmclient-https-clientcert"] {
        let mut world = World::new(AuthType::Basic);
        let ids = four(&mut world);
        let replay = Replay::of(name, world);
        assert_eq!(replay.codes()[..2], [212, 212]);
        for id in ids {
            assert_eq!(replay.world.end(id), DONE, "{name}");
        }
        let Effect::CommandMoved { results, .. } = replay.world.moved(ids[1]) else { panic!() };
        assert_eq!(results[0].data.as_text(), Some(crate::common::DEVICE));
    }
}

#[test]
fn ld_06_ld_05_libdmclient_answers_our_md5_challenge_also_after_basic() {
    for name in ["libdmclient-xml-md5", "libdmclient-wbxml-md5", "libdmclient-xml-basic-chal-md5"] {
        let mut world = World::new(AuthType::Md5);
        let ids = four(&mut world);
        let replay = Replay::of(name, world);
        assert_eq!(replay.codes()[..3], [401, 212, 212], "{name}");
        for id in ids {
            assert_eq!(replay.world.end(id), DONE, "{name}");
        }
    }
}

#[test]
fn ld_13_libdmclients_alert_before_its_exec_status_is_answered_and_kept() {
    let mut world = World::new(AuthType::Basic);
    let [.., exec] = four(&mut world);
    let replay = Replay::of("libdmclient-xml-basic", world);
    let kept = replay.world.effects.iter().any(
        |effect| matches!(effect, Effect::AlertReceived { command: Some(command), .. } if *command == exec),
    );
    assert!(kept);
}

#[test]
fn ld_08_libdmclient_with_a_wrong_password_is_stopped() {
    let replay = Replay::of("libdmclient-xml-basic-badpw", World::new(AuthType::Basic));
    assert_eq!(replay.codes(), [401, 401, 403, 0, 0]);
    let stopped =
        matches!(replay.replies[4], Reply::Refuse { status: 403, reason: RefusedReason::TooManyAttempts });
    assert!(stopped);
    assert!(replay.world.effects.iter().all(|effect| matches!(effect, Effect::Refused { .. })));
}

#[test]
fn ld_07_libdmclient_cannot_answer_nonces_that_we_never_give() {
    for (name, first) in
        [("libdmclient-xml-md5-nonce8", [401, 401, 403]), ("libdmclient-xml-md5-nonce15", [401, 401, 407])]
    {
        let replay = Replay::of(name, World::new(AuthType::Md5));
        assert_eq!(replay.codes()[..2], first[..2], "{name}");
        assert!(replay.world.session.current().is_none());
    }
}

#[test]
fn ld_10_libdmclient_takes_our_basic_credentials_and_keeps_giving_a_nonce() {
    let mut world = World::with(Account { server: server(ServerScheme::Basic), ..account(AuthType::Basic) });
    let ids = four(&mut world);
    let replay = Replay::of("libdmclient-xml-srvbasic", world);
    assert!(replay.message(0).header.cred.is_some() && replay.message(1).header.cred.is_some());
    for id in ids {
        assert_eq!(replay.world.end(id), DONE);
    }
}

#[test]
fn ld_09_libdmclient_that_misses_our_credentials_fails_every_command_with_status_0() {
    let mut world = World::new(AuthType::Basic);
    let ids = four(&mut world);
    let replay = Replay::of("libdmclient-xml-srvnocred", world);
    for id in ids {
        assert_eq!(replay.world.end(id), (CommandState::Failed, "unknown-status"));
    }
}

#[test]
fn ld_18_libdmclient_does_not_copy() {
    let mut world = World::new(AuthType::Basic);
    let copy = BodyItem { source: Some("./DevInfo/Man".into()), ..BodyItem::node("./Vendor/memory/cp") };
    let copy = world.queue(Verb::Copy, vec![copy]);
    let replay = Replay::of("libdmclient-xml-copy", world);
    assert_eq!(replay.world.end(copy), (CommandState::Failed, "not-supported"));
}

#[test]
fn libdmclients_big_value_comes_back_whole() {
    let mut world = World::new(AuthType::Basic);
    world.add("./Vendor/memory/big", "x");
    let get = world.queue_as(Verb::Get, vec![BodyItem::node("./Vendor/memory/big")], |command| {
        command.operation = postern_wire::terms::OperationId(uuid::Uuid::from_u128(1001));
        command.ordered = true;
    });
    let replay = Replay::of("libdmclient-xml-bigget", world);
    let Effect::CommandMoved { results, state, .. } = replay.world.moved(get) else { panic!() };
    assert_eq!(state, CommandState::Succeeded);
    assert!(results[0].data.as_text().unwrap().len() > 4000);
}

#[test]
fn the_first_package_of_every_recorded_client_opens_a_session_and_gets_a_command() {
    for name in [
        "libdmclient-xml-atomic",
        "libdmclient-xml-seq",
        "libdmclient-xml-nodata",
        "libdmclient-xml-large",
        "libdmclient-wbxml-large",
        "libdmclient-xml-bigget",
    ] {
        let mut world = World::new(AuthType::Basic);
        world.queue(Verb::Add, vec![leaf("./Vendor/memory/n", "")]);
        let replay = Replay::of(name, world);
        let message = replay.message(0);
        let Some(Command::Add(add)) = message.body.last() else { panic!("{name}") };
        assert!(add.items[0].data.is_some(), "{name}: LD-15");
        assert!(replay.codes().iter().all(|code| matches!(code, 212 | 401 | 407 | 0)), "{name}");
    }
}

#[test]
fn pt_01_to_pt_05_pytune_is_bound_by_its_certificate_and_its_odd_status_is_ignored() {
    for (name, first) in [("pytune-windows", 3), ("pytune-android", 4)] {
        let mut account = account(AuthType::Certificate);
        account.quirks.volatile_device_id = true;
        account.quirks.one_item_per_get = true;
        let mut world = World::with(account);
        world.peer = certificate(1, true);
        let gets: Vec<_> = (0..5).map(|n| world.get(&format!("./{n}"))).collect();
        let replay = Replay::of(name, world);
        assert_eq!(replay.codes()[..2], [212, 212], "{name}");
        let reply = replay.message(0);
        let Some(Command::Get(get)) = reply.body.iter().find(|c| matches!(c, Command::Get(_))) else {
            panic!()
        };
        assert_eq!(get.cmd_id, first, "{name}");
        let ends: Vec<_> = gets.iter().map(|id| replay.world.end(*id).0).collect();
        assert!(
            ends.iter().all(|end| matches!(end, CommandState::Succeeded | CommandState::Failed)),
            "{ends:?}"
        );
        assert!(ends.contains(&CommandState::Succeeded));
    }
}

#[test]
fn pt_02_pytune_without_its_certificate_is_refused() {
    let replay = Replay::of("pytune-windows", World::new(AuthType::Certificate));
    assert_eq!(replay.codes(), [403, 0, 0]);
}

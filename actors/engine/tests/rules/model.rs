//! Quirk profiles at work, and what the trace tells.

use crate::common::{PASSWORD, SERVER_PASSWORD, Say, World, account, leaf, server};
use postern_engine::{
    account::{Account, ServerScheme},
    effect::{Decision, Effect},
    profiles::Profiles,
    session::SessionConfig,
};
use postern_wire::{
    auth,
    syncml::{Command, Item, Location, MimeFamily, Request, Style, Version},
    terms::{AuthType, CommandState, OperationKind, Verb},
};

/// Package 1 with this Mod.
fn model(name: &str) -> Say {
    let leaf = |uri: &str, value: &str| Item {
        source: Some(Location::uri(uri)),
        data: Some(value.into()),
        ..Item::default()
    };
    let items = vec![leaf("./DevInfo/Man", "x"), leaf("./DevInfo/Mod", name)];
    let replace = Request { cmd_id: 2, items, ..Request::default() };
    Say::new(1).alert(1201).with(Command::Replace(replace)).basic()
}

#[test]
fn ld_19_a_client_that_its_profile_knows_gets_no_large_object() {
    for (name, profiles) in [("libdmclient", "libdmclient"), ("other", "")] {
        let mut world = World::new(AuthType::Basic);
        let big = world.replace("./Big", &"v".repeat(5_000));
        let answer = world.post(&model(name).max_msg(3000).0);
        assert_eq!(answer.commands().is_empty(), !profiles.is_empty());
        let end = world.end(big);
        assert_eq!(end.0 == CommandState::Failed, !profiles.is_empty(), "{end:?}");
        let info = world.effects.iter().find_map(|effect| match effect {
            Effect::DeviceInfo(info) => Some(info.profiles.clone()),
            _ => None,
        });
        assert_eq!(info.as_deref(), Some(profiles), "the planner is told");
    }
}

#[test]
fn am_20_pt_06_ld_01_a_client_is_known_by_its_user_agent_and_its_media_type_too() {
    let mut world = World::new(AuthType::Basic);
    world.peer.user_agent = Some("Motorola SyncML DM Client [en] ".into());
    world.get("./A");
    world.get("./B");
    assert_eq!(world.post(&Say::package1(1).basic().0).commands().len(), 1);

    let mut world = World::new(AuthType::Basic);
    world.style = Style::xml(Version::V1_2).with_family(MimeFamily::Plain);
    let big = world.replace("./Big", &"v".repeat(5_000));
    world.post(&Say::package1(1).basic().max_msg(3000).0);
    assert_eq!(world.end(big), (CommandState::Failed, "too-large-for-message"));
}

#[test]
fn what_a_stranger_says_of_its_model_changes_nothing_of_the_open_session() {
    let mut world = World::new(AuthType::Basic);
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.peer.user_agent = Some("Motorola SyncML DM Client".into());
    world.post(&Say::package1(1).session("9").0);
    world.peer.user_agent = None;
    for n in 0..2 {
        world.get(&format!("./{n}"));
    }
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    assert_eq!(answer.commands().len(), 2);
}

#[test]
fn an_operators_profile_holds_for_sessions_that_begin_after_it() {
    let config = SessionConfig::default();
    let mut world = World::limited(account(AuthType::Basic), config.clone());
    for n in 0..4 {
        world.get(&format!("./{n}"));
    }
    let added =
        "[[profile]]\nname='one'\nsource='here'\nmatch={mod='m1'}\nquirks={max_commands_per_message=1}";
    assert_eq!(world.post(&model("m1").0).commands().len(), 4);
    config.profiles.set(Profiles::built_in().merge(Profiles::parse(added).unwrap()));
    let answer = world.post(&model("m1").session("2").0);
    assert_eq!(answer.commands().len(), 1);
}

fn told(trace: &[Decision], rule: &str) -> Vec<String> {
    trace.iter().filter(|told| told.rule == rule).map(|told| told.text.clone()).collect()
}

#[test]
fn the_trace_says_what_was_decided_and_why() {
    let mut world = World::new(AuthType::Md5);
    world.session.set_trace(true);
    let wiped = world.get("./A");
    let wipe = world.queue_as(Verb::Exec, vec![leaf("./W", "")], |c| c.kind = OperationKind::Wipe);
    let challenge = world.post(&Say::package1(1).0);
    let trace = |world: &World| world.last.as_ref().unwrap().trace.clone();
    assert!(told(&trace(&world), "deny")[0].contains("credentials-missing"));
    world.post(&Say::package1(2).md5(&challenge.nonce()).0);
    let second = trace(&world);
    assert!(told(&second, "admit")[0].starts_with("proved as md5"));
    assert!(told(&second, "send")[0].contains(&wipe.to_string()));
    assert!(told(&second, "hold")[0].contains("wipe suspends it"));
    assert!(told(&second, "hold")[0].contains(&wiped.to_string()));
    world.post(&Say::new(3).hello(2).status(2, 4, "Exec", 405).0);
    let third = trace(&world);
    assert!(
        told(&third, "status")[0].contains("status 405") && told(&third, "status")[0].contains("not-allowed")
    );
    assert!(
        told(&third, "send").is_empty(),
        "a wipe that was refused waits for its next try, and all the rest with it"
    );
}

#[test]
fn sec_28_the_trace_holds_no_secret_and_is_empty_unless_asked_for() {
    let mut world = World::with(Account { server: server(ServerScheme::Basic), ..account(AuthType::Basic) });
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    assert!(world.last.as_ref().unwrap().trace.is_empty());
    world.session.set_trace(true);
    world.post(&Say::package1(1).basic().session("2").0);
    let text = format!("{:?}", world.last.as_ref().unwrap().trace);
    for secret in [PASSWORD, SERVER_PASSWORD, &auth::basic("dev", PASSWORD)] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("proved as basic"));
}

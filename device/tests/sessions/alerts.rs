//! Alerts of the device's own: 1226 after an asynchronous Exec, 1224 for client events (OMA-TS-DM_Protocol 1.2.1, 8.7).

use std::sync::Arc;

use postern_device::{
    codes::Code,
    csp::{Completion, Exec, Executed, Ground, Mark, Provider, Providers, Working},
    event::Event,
    state::{ClientEvent, State, Storage},
    tree::{
        node::{Format, Node},
        path::Path,
    },
};
use postern_wire::{
    auth::TYPE_BASIC,
    syncml::{Alert, Command, Item, Location, Message, Request},
    terms::{AuthType, UtcMillis, Verb},
};

use crate::support::{Rig, alert, answer, challenge, get, nothing, send, statuses, turn};

const RUN: &str = "./Slow/Run";

#[test]
fn an_accepted_exec_ends_with_one_generic_alert_that_bears_its_correlator() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = slow();
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![send(vec![run("c-1")]), nothing()]).0.unwrap();
    assert_eq!(statuses(&rig.seen.messages()[1])[1], ("Exec".into(), 202));

    rig.session(vec![nothing()]).0.unwrap();
    let first = rig.seen.messages().pop().unwrap();
    let told = generic(&first);
    assert_eq!(told.len(), 1, "in package 1, beside 1201 and DevInfo");
    assert_eq!(told[0].correlator.as_deref(), Some("c-1"));
    let item = &told[0].items[0];
    assert_eq!(item.source, Some(Location::uri(RUN)));
    assert_eq!(item.meta.type_.as_deref(), Some("urn:test:done"));
    assert_eq!((item.meta.format.as_deref(), item.meta.mark.as_deref()), (Some("chr"), Some("warning")));
    assert_eq!(item.data, Some("1200".into()));

    let (outcome, device) = rig.session(vec![nothing()]);
    outcome.unwrap();
    assert!(generic(&rig.seen.messages().pop().unwrap()).is_empty(), "answered once, told no more");
    assert!(device.state().completions.is_empty());
}

#[test]
fn an_alert_is_kept_until_a_status_settles_it() {
    for (code, again) in
        [(200, false), (202, false), (415, false), (412, false), (406, false), (500, true), (0, true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = slow();
        rig.storage = Storage::folder(folder.path()).unwrap();
        rig.session(vec![send(vec![run("c")]), nothing()]).0.unwrap();
        let turn = turn(move |to| {
            let mut message = answer(to, 212, Vec::new(), true);
            let of_alert = alerts(to, 1226)[0].cmd_id;
            message.body.retain_mut(|command| match command {
                Command::Status(status) if status.cmd_ref == of_alert => {
                    status.code = code;
                    code != 0
                }
                _ => true,
            });
            message
        });
        rig.session(vec![turn]).0.unwrap();
        rig.session(vec![nothing()]).0.unwrap();
        let last = rig.seen.messages().pop().unwrap();
        assert_eq!(generic(&last).len(), usize::from(again), "{code}");
    }
}

#[test]
fn an_alert_goes_out_once_a_session_and_again_after_a_challenge() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = slow();
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![send(vec![run("c")]), nothing()]).0.unwrap();
    let before = rig.seen.messages().len();
    let (outcome, device) = rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_BASIC, None)),
        send(vec![get("./DevInfo/Man")]),
        send(vec![alert(1222)]),
        nothing(),
    ]);
    outcome.unwrap();
    let told: Vec<_> = rig.seen.messages()[before..].iter().map(|message| generic(message).len()).collect();
    assert_eq!(told, [1, 1, 0, 0]);
    assert!(device.state().completions.is_empty(), "the second one was answered");
}

#[test]
fn a_server_without_proof_settles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = slow();
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![send(vec![run("c")]), nothing()]).0.unwrap();
    rig.enrolment.server_password = Some("srvpw".to_owned().into());
    let (outcome, device) = rig.session(vec![nothing()]);
    assert!(!outcome.unwrap().server_proved);
    assert_eq!(device.state().completions.len(), 1);
}

#[test]
fn a_completion_goes_to_the_server_that_gave_the_exec_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = slow();
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![send(vec![run("c")]), nothing()]).0.unwrap();
    rig.enrolment.server_id = "another".into();
    rig.session(vec![nothing()]).0.unwrap();
    assert!(generic(&rig.seen.messages().pop().unwrap()).is_empty());
    rig.enrolment.server_id = "srv".into();
    rig.session(vec![nothing()]).0.unwrap();
    assert_eq!(generic(&rig.seen.messages().pop().unwrap()).len(), 1);
}

#[test]
fn what_ends_within_a_session_is_told_in_its_package_3() {
    let mut rig = slow();
    let (outcome, device) = rig.session(vec![send(vec![exec("./Slow/Now", "n")]), nothing()]);
    outcome.unwrap();
    let package3 = &rig.seen.messages()[1];
    assert_eq!(statuses(package3)[1], ("Exec".into(), 202));
    assert_eq!(generic(package3)[0].correlator.as_deref(), Some("n"));
    assert!(package3.is_final && device.state().completions.is_empty());
}

#[test]
fn a_client_event_is_told_with_1224_until_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(AuthType::Basic);
    rig.storage = Storage::folder(folder.path()).unwrap();
    let event = ClientEvent {
        server_id: "srv".into(),
        event_type: "com.example.button".into(),
        format: "chr".into(),
        data: "pressed".into(),
    };
    rig.device(vec![nothing()]).raise(event).unwrap();
    let unanswered = turn(|to| {
        let mut message = answer(to, 212, Vec::new(), true);
        message.body.truncate(1);
        message
    });
    rig.session(vec![unanswered]).0.unwrap();
    rig.session(vec![nothing()]).0.unwrap();
    rig.session(vec![nothing()]).0.unwrap();
    let told: Vec<_> = rig.seen.messages().iter().map(|message| alerts(message, 1224).len()).collect();
    assert_eq!(told, [1, 1, 0]);
    let item = alerts(&rig.seen.messages()[0], 1224)[0].items[0].clone();
    assert_eq!((item.meta.type_.as_deref(), item.data), (Some("com.example.button"), Some("pressed".into())));
    assert_eq!((item.source, item.target), (None, None));
}

/// Exec of `Run` takes a step of work between sessions, of `Now` none.
struct Slow;

type Memory = Vec<(String, String, Option<String>, bool)>;

impl Provider for Slow {
    fn root(&self) -> Path {
        Path::root().child("Slow")
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.tree.insert(&root, Node::interior().permanent(&[Verb::Get]))?;
        for name in ["Run", "Now"] {
            let node = Node::leaf(Format::Null, "").permanent(&[Verb::Exec]);
            ground.tree.insert(&root.child(name), node)?;
        }
        Ok(())
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, _: &mut Vec<Event>) -> Result<Executed, Code> {
        let mut memory: Memory = state.memory("slow");
        let ready = exec.path.name() == Some("Now");
        let correlator = exec.correlator.map(ToOwned::to_owned);
        memory.push((exec.account.server_id.clone(), exec.path.to_string(), correlator, ready));
        state.remember("slow", &memory);
        Ok(Executed::Accepted)
    }

    fn work<'a>(&'a self, state: &'a mut State, _: UtcMillis) -> Option<Working<'a>> {
        let mut memory: Memory = state.memory("slow");
        memory.iter().position(|(.., ready)| !ready)?;
        Some(Box::pin(async move {
            memory.iter_mut().for_each(|(.., ready)| *ready = true);
            state.remember("slow", &memory);
        }))
    }

    fn completions(&self, state: &mut State, _: UtcMillis) -> Vec<Completion> {
        let memory: Memory = state.memory("slow");
        let (ended, going): (Memory, Memory) = memory.into_iter().partition(|(.., ready)| *ready);
        if !ended.is_empty() {
            state.remember("slow", &going);
        }
        let completion = |(server_id, source, correlator, _)| Completion {
            server_id,
            source,
            target: None,
            alert_type: "urn:test:done".into(),
            format: "chr".into(),
            mark: Mark::Warning,
            data: "1200".into(),
            correlator,
        };
        ended.into_iter().map(completion).collect()
    }
}

fn slow() -> Rig {
    let mut rig = Rig::new(AuthType::Basic);
    rig.settings.csp = Arc::new(Providers::default().with(Slow));
    rig
}

fn run(correlator: &str) -> Command {
    exec(RUN, correlator)
}

fn exec(uri: &str, correlator: &str) -> Command {
    let item = Item { target: Some(Location::uri(uri)), ..Item::default() };
    Command::Exec(Request { items: vec![item], correlator: Some(correlator.into()), ..Request::default() })
}

fn generic(message: &Message) -> Vec<Alert> {
    alerts(message, 1226)
}

fn alerts(message: &Message, code: u32) -> Vec<Alert> {
    let of = |command: &Command| match command {
        Command::Alert(alert) if alert.code == code => Some(alert.clone()),
        _ => None,
    };
    message.body.iter().filter_map(of).collect()
}

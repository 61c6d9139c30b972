//! A core that dies in the middle of a session: nothing acknowledged is lost, nothing is executed twice that must
//! not be.

use postern_wire::terms::{AuthType, CommandState};

use super::kit::{Core, add, exec, get, quick, uris};

#[actix::test]
async fn after_a_restart_a_repeatable_command_is_sent_again() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    device.open(&core).await;
    let core = core.restart().await;
    assert_eq!(core.command(id).await.state, CommandState::Sent);
    assert_eq!(uris(&device.session(&core).await), ["./A"]);
    let row = core.command(id).await;
    assert_eq!((row.state, row.attempts), (CommandState::Succeeded, 2));
    core.stop().await;
}

#[actix::test]
async fn after_a_restart_an_exec_is_in_doubt_and_never_sent_again() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![exec("./Vendor/Run")]).await.commands[0].1;
    assert_eq!(uris(&device.open(&core).await.commands()), ["./Vendor/Run"]);
    let core = core.restart().await;
    assert!(device.session(&core).await.is_empty());
    assert_eq!(core.command(id).await.state, CommandState::InDoubt);
    assert!(device.session(&core).await.is_empty());
    core.stop().await;
}

#[actix::test]
async fn a_session_goes_on_after_a_restart_and_its_answers_count() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Certificate).await;
    let id = core.queue(&device, vec![exec("./Vendor/Run")]).await.commands[0].1;
    let first = device.open(&core).await;
    let core = core.restart().await;
    device.answer(&core, &first, 200).await.unwrap();
    assert_eq!(core.command(id).await.state, CommandState::Succeeded);
    core.stop().await;
}

#[actix::test]
async fn queued_commands_survive_a_restart() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Md5).await;
    core.queue(&device, vec![get("./A"), exec("./B")]).await;
    let core = core.restart().await;
    assert_eq!(uris(&device.session(&core).await), ["./A", "./B"]);
    core.stop().await;
}

#[actix::test]
async fn commands_in_unknown_fate_are_resolved_by_probes_within_two_sessions() {
    const EACH: usize = 50;
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let adds = (0..EACH).map(|n| add(&format!("./Vendor/X{n}"))).collect();
    let submitted = core.queue(&device, adds).await;
    let sent = device.open(&core).await.commands().len();
    assert!(sent > 0);
    let mut core = core.restart().await;
    for _ in 0..2 {
        device.session(&core).await;
        core = core.restart().await;
    }
    for (_, id) in submitted.commands {
        assert_eq!(core.command(id).await.state, CommandState::Succeeded);
    }
    core.stop().await;
}

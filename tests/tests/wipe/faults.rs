//! What fails around a wipe: nothing is lost, and nothing that may happen once happens twice.

use postern_store::testkit::{Cluster, Durability};
use postern_tests::{
    dm_client::{DmClient, commands_of, target_of},
    site::{Plan, READY, Site},
    wait,
};
use postern_wire::syncml::Command;

use super::{ask, events, seen, show, wait_for, wiped};

const RESET: &str = "./LAWMO/Operations/FactoryReset";

fn scripted(site: &Site, device_id: &str) -> DmClient {
    let (enrolment, _) = site.enrol(device_id, "basic", &[]);
    site.client(enrolment)
}

fn asked(commands: &[Command]) -> Vec<String> {
    commands.iter().filter_map(target_of).collect()
}

#[test]
fn an_order_that_was_acknowledged_outlives_kill_9_and_the_device_is_wiped_once() {
    let mut site = Site::start(&Plan::default());
    let device = seen(&site, "IMEI:1", "signed");
    let id = ask(&site, "IMEI:1");
    site.kill_core();
    site.start_core();
    site.wait_ready();
    let comes = || {
        let _ = device.check_in(&[]);
        (show(&site, &id)["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe to be done", READY, comes, || site.logs());
    assert_eq!(wiped(&device), 1);
    assert_eq!(events(&site, &id).iter().filter(|event| *event == "issue").count(), 1);
}

#[test]
fn a_core_killed_after_the_order_was_sent_sends_it_again_and_is_told_the_end_once() {
    let mut site = Site::start(&Plan::default());
    let client = scripted(&site, "IMEI:1");
    let id = ask(&site, "IMEI:1");
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");
    assert_eq!(asked(&commands_of(&package_2)), [RESET]);
    assert_eq!(show(&site, &id)["state"], "sent");

    site.kill_core();
    site.start_core();
    site.wait_ready();
    assert_eq!(show(&site, &id)["state"], "sent", "that it may have got there is not forgotten");
    let check_in = client.check_in("2").expect("a session");
    assert_eq!(asked(&check_in.commands), [RESET], "{check_in:?}");
    let shown = show(&site, &id);
    assert_eq!((shown["state"].as_str(), shown["tries"].as_u64()), (Some("accepted"), Some(1)), "{shown:#}");
}

#[test]
fn a_gateway_cut_while_a_device_is_wiped_costs_the_session_and_not_the_wipe() {
    let mut site = Site::start(&Plan::default());
    let client = scripted(&site, "IMEI:1");
    let id = ask(&site, "IMEI:1");
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");
    assert_eq!(asked(&commands_of(&package_2)), [RESET]);
    site.kill_gateway();
    assert!(session.exchange(Vec::new()).is_err());
    site.start_gateway();
    site.wait_gateway_ready();
    let _ = client.check_in("2").expect("a session");
    assert_eq!(show(&site, &id)["state"], "accepted");
}

#[test]
fn a_device_that_answers_500_is_shown_as_that_at_once_and_armed_when_no_try_is_left() {
    let site = Site::start(&Plan::default());
    let client = scripted(&site, "IMEI:1");
    let _ = site.ctl().ok(&["settings", "set", "WipeRetry", "1"]);
    let _ = site.ctl().ok(&["settings", "set", "WipeRetryWait", "0s"]);
    let id = ask(&site, "IMEI:1");
    let _ = client.check_in_with("1", |_| (500, None)).expect("a session");
    let shown = show(&site, &id);
    assert_eq!(
        (shown["state"].as_str(), shown["status"].as_i64()),
        (Some("retrying"), Some(500)),
        "{shown:#}"
    );
    let tried = || Some(show(&site, &id)).filter(|shown| shown["tries"] == 2);
    let _ = wait::until("the second try", READY, tried, || site.logs());
    let _ = client.check_in_with("2", |_| (500, None)).expect("a session");
    let armed = wait_for(&site, &id, "armed");
    assert_eq!(armed["status"], 500, "{armed:#}");
    assert!(
        events(&site, &id).ends_with(&["refuse".to_owned(), "arm".to_owned()])
            || events(&site, &id).contains(&"arm".to_owned())
    );
}

#[test]
fn one_that_accepts_and_stays_away_counts_as_silent_and_one_that_comes_back_does_not() {
    let site = Site::start(&Plan::default());
    let away = scripted(&site, "IMEI:1");
    let back = scripted(&site, "IMEI:2");
    let _ = site.ctl().ok(&["settings", "set", "WipeRetryWait", "0s"]);
    let returns = ask(&site, "IMEI:2");
    let _ = back.check_in_with("1", |_| (202, None)).expect("a session");
    assert_eq!(show(&site, &returns)["state"], "accepted");
    let _ = site.ctl().ok(&["settings", "set", "WipeSilence", "1s"]);
    let silent = ask(&site, "IMEI:1");
    let _ = away.check_in_with("1", |_| (202, None)).expect("a session");
    let done = wait_for(&site, &silent, "succeeded");
    assert_eq!(done["evidence"], "silent", "{done:#}");

    let _ = back.check_in_with("2", |_| (200, None)).expect("it comes back");
    let seen_back = || events(&site, &returns).contains(&"come-back".to_owned()).then_some(());
    wait::until("the device that came back to be seen", READY, seen_back, || site.logs());
    assert_ne!(show(&site, &returns)["state"], "succeeded");
}

#[test]
fn two_admins_who_ask_at_once_get_one_wipe() {
    let site = Site::start(&Plan::default());
    let _ = scripted(&site, "IMEI:1");
    let ctl = site.ctl();
    let args = ["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "lost"];
    let both: Vec<_> = (0..2).map(|_| ctl.command(&args).spawn().expect("posternctl starts")).collect();
    let exits: Vec<_> = both.into_iter().map(|mut child| child.wait().expect("it ends").code()).collect();
    assert!(exits.contains(&Some(0)) && exits.contains(&Some(1)), "{exits:?}");
    assert_eq!(ctl.ok(&["wipe", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_database_that_stops_in_the_middle_loses_nothing_of_a_wipe() {
    let cluster = Cluster::start(Durability::On).expect("a cluster");
    let site = Site::start(&Plan { postgres: Some(&cluster), ..Plan::default() });
    let client = scripted(&site, "IMEI:1");
    let id = ask(&site, "IMEI:1");
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");
    assert_eq!(asked(&commands_of(&package_2)), [RESET]);
    cluster.stop();
    let answers = session.answers(&package_2, &mut |_| (202, None));
    let away = session.exchange(answers).map(|answer| answer.response.status);
    assert!(away.map_or(true, |status| status != 200), "nothing is acknowledged that is not written");
    cluster.launch().expect("started again");
    let accepted = || {
        let _ = client.check_in_with("2", |_| (202, None));
        (site.ctl().run(&["wipe", "show", &id]).out.contains("\"accepted\"")).then_some(())
    };
    wait::until("the wipe to be accepted", READY * 2, accepted, || site.logs());
}

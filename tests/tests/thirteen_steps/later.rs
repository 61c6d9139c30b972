//! What happens to the phone after the thirteen steps: it is killed in the middle of others, and gets a second server.

use std::path::Path;

use postern_device::interaction::Reaction;
use postern_tests::{
    site::{Plan, READY, Site},
    wait,
};
use serde_json::Value;

use crate::{
    DEVICE, PIN,
    carrier::Carrier,
    commands, of_file, order,
    phone::{self, Phone},
};

/// Command at which the power fails.
const AT: usize = 5;

/// A phone whose process is killed, and what stands around it.
pub(crate) struct Killed<'a> {
    pub(crate) site: &'a Site,
    pub(crate) carrier: &'a Carrier,
    pub(crate) state: &'a Path,
    pub(crate) file: &'a Path,
    pub(crate) server_id: &'a str,
}

impl Killed<'_> {
    /// Sends commands, kills the phone at one of them, and sees all of them done by the phone that starts again.
    pub(crate) async fn goes_on(&self, taken: &mut usize, syncml: &str) -> Phone {
        let Self { site, carrier, state, file, server_id } = self;
        let ids = order(site, syncml);
        let notification = carrier.next_push(taken, site);

        phone::killed_in_between(state, file, server_id, &notification.body, AT);

        for id in &ids {
            let shown = site.ctl().ok(&["command", "show", id]);
            assert_eq!(shown["state"], "sent", "nothing was told before the power failed: {shown:#}");
        }
        let mut phone = Phone::new(state, file, []);
        assert_eq!(phone.device.accounts_in_tree().len(), 1, "the account survives");
        phone.connect(server_id, file);
        let done = || ids.iter().all(|id| site.ctl().ok(&["command", "show", id])["state"] == "succeeded");
        for _ in 0..3 {
            phone.check_in(server_id).await;
            if done() {
                break;
            }
        }
        assert!(done(), "{}", site.logs());
        phone
    }
}

/// Bootstraps an account for a second server, real as the first, and tries its rights.
pub(crate) async fn another_server(phone: Phone, first: &Killed<'_>, folder: &Path) -> Phone {
    let Killed { site: first, file, server_id, .. } = *first;
    let second = Site::start(&Plan::default());
    let ctl = second.ctl();
    let (enrolment, second_file) = second.enrol(DEVICE, "md5", &["--server-id", "second"]);
    let (pin, out) = (folder.join("pin"), folder.join("second.wbxml"));
    std::fs::write(&pin, PIN).expect("a file in the test's folder");
    let (pin, to) = (pin.to_string_lossy(), out.to_string_lossy());
    let made = ctl.ok(&[
        "bootstrap",
        "make",
        DEVICE,
        "--profile",
        "cp",
        "--security",
        "userpin",
        "--pin-file",
        &pin,
        "--to",
        "file",
        "--out",
        &to,
    ]);
    let push = of_file(&out, made["content_type"].as_str().expect("a content type"));
    let mut phone = phone.answering([Reaction::Text(PIN.to_owned())]);
    let installed = phone.device.bootstrap(&push, None).expect("the right PIN");
    assert_eq!(installed[0].server_id, enrolment.server_id);
    phone.connect(&enrolment.server_id, &second_file);
    phone.connect(server_id, file);

    let queue = |site: &Site, verb: &str, uri: &str, data: Option<&str>| -> String {
        let data = data.map(|data| ["--data", data]);
        let args: Vec<&str> =
            ["device", "command", DEVICE, verb, uri].into_iter().chain(data.into_iter().flatten()).collect();
        let queued = site.ctl().ok(&args);
        queued["commands"][0]["id"].as_str().expect("an id").to_owned()
    };
    let ended = |site: &Site, id: &str| -> Value {
        let ended = || {
            let command = site.ctl().ok(&["command", "show", id]);
            (command["status"].is_number()).then_some(command)
        };
        wait::until("a command to end", READY, ended, || site.logs())["status"].clone()
    };
    let mut of_second = vec![
        (queue(&second, "replace", "./SyncAcc/office/Addr", Some("https://elsewhere/")), 425),
        (queue(&second, "delete", "./SyncAcc/office", None), 425),
    ];
    of_second.extend(order(&second, &commands("own", "https://own.test/ds")).into_iter().map(|id| (id, 200)));
    phone.check_in(&enrolment.server_id).await;
    for (id, code) in &of_second {
        assert_eq!(ended(&second, id), *code, "{}", ctl.ok(&["command", "show", id]));
    }
    let of_first = [
        (queue(first, "replace", "./SyncAcc/own/Name", Some("taken")), 425),
        (queue(first, "replace", "./SyncAcc/office/Name", Some("office")), 200),
    ];
    phone.check_in(server_id).await;
    for (id, code) in &of_first {
        assert_eq!(ended(first, id), *code);
    }
    phone
}

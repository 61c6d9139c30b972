//! What the demonstration asks of the simulated devices: some commands at once, one more every few seconds; each is
//! followed to its end over the API.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use postern_device::edge;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    admin::Admin,
    fleet::{self, Tally},
    show::Show,
};

/// Time between two orders.
const PACE: Duration = Duration::from_secs(5);
/// How often open commands are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Open commands that are followed at the most.
const FOLLOWED: usize = 64;

/// Commands of many kinds; the last one asks for a node that is not there, to show a failure.
fn samples() -> Vec<Value> {
    vec![
        json!({ "verb": "get", "uri": "./DevInfo/Mod" }),
        json!({ "verb": "get", "uri": "./DevDetail/SwV" }),
        json!({ "verb": "get", "uri": "./DevInfo" }),
        json!({ "verb": "add", "uri": "./Settings/Greeting", "data": "welcome" }),
        json!({ "verb": "get", "uri": "./DevDetail/FwV" }),
        json!({ "verb": "get", "uri": "./Nothing/Here" }),
    ]
}

/// Orders and follows until `stop` says so.
pub(crate) async fn run(
    admin: Admin,
    devices: u16,
    show: Show,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) {
    let mut open = VecDeque::new();
    let samples = samples();
    for turn in 0..usize::from(devices.min(8)) {
        order(&admin, u16::try_from(turn + 1).unwrap_or(1), &samples[turn % samples.len()], show, &mut open)
            .await;
    }
    let mut since_order = Duration::ZERO;
    let mut since_summary = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        follow(&admin, show, &mut open).await;
        since_order += LOOK;
        since_summary += LOOK;
        if since_order >= PACE && devices > 0 {
            since_order = Duration::ZERO;
            let mut dice = [0_u8; 3];
            edge::random(&mut dice);
            let number = u16::from_be_bytes([dice[0], dice[1]]) % devices + 1;
            order(&admin, number, &samples[usize::from(dice[2]) % samples.len()], show, &mut open).await;
        }
        if since_summary >= Duration::from_secs(30) {
            since_summary = Duration::ZERO;
            summary(devices, show, &tally, open.len());
        }
    }
}

/// One line of what the fleet did so far.
pub(crate) fn summary(devices: u16, show: Show, tally: &Tally, open: usize) {
    use std::sync::atomic::Ordering::Relaxed;
    let (sessions, failures, commands) =
        (tally.sessions.load(Relaxed), tally.failures.load(Relaxed), tally.commands.load(Relaxed));
    show.event(
        "summary",
        "",
        &format!("{devices} devices, {sessions} sessions, {failures} failed, {commands} commands answered, {open} open"),
        json!({ "devices": devices, "sessions": sessions, "failures": failures, "commands": commands, "open": open }),
    );
}

/// A command that is followed: its id, its device, what it is.
type Open = VecDeque<(String, String, String)>;

async fn order(admin: &Admin, number: u16, command: &Value, show: Show, open: &mut Open) {
    let who = fleet::name(number);
    let body = json!({ "commands": [command], "reason": "demonstration" });
    let what = format!(
        "{} {}",
        command["verb"].as_str().unwrap_or_default(),
        command["uri"].as_str().unwrap_or_default()
    );
    match admin.post(&format!("/api/1/devices/{who}/commands"), &body).await {
        Ok(operation) => {
            show.event("queued", &who, &what, json!({ "operation": operation["id"], "command": command }));
            for command in operation["commands"].as_array().into_iter().flatten() {
                if open.len() == FOLLOWED {
                    open.pop_front();
                }
                open.push_back((
                    command["id"].as_str().unwrap_or_default().to_owned(),
                    who.clone(),
                    what.clone(),
                ));
            }
        }
        Err(error) => show.event("trouble", &who, &format!("{what}: {error}"), Value::Null),
    }
}

async fn follow(admin: &Admin, show: Show, open: &mut Open) {
    for _ in 0..open.len() {
        let Some((id, who, what)) = open.pop_front() else { return };
        match admin.get(&format!("/api/1/commands/{id}")).await {
            Ok(command) => {
                match command["state"].as_str().unwrap_or_default() {
                    "queued" | "sent" => open.push_back((id, who, what)),
                    state => {
                        let status = command["status"]
                            .as_u64()
                            .map_or_else(String::new, |status| format!(" {status}"));
                        let result = command["results"]
                            .as_array()
                            .and_then(|results| results.first())
                            .and_then(|result| result["data"].as_str())
                            .map_or_else(String::new, |data| format!(": {}", data.escape_debug()));
                        show.event(state, &who, &format!("{what} →{status}{result}"), json!({ "command": id, "status": command["status"], "results": command["results"] }));
                    }
                }
            }
            Err(error) => {
                show.event("trouble", &who, &format!("{what}: {error}"), Value::Null);
                open.push_back((id, who, what));
                return;
            }
        }
    }
}

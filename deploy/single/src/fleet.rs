//! The simulated devices: enrolled through the admin API, each with an enrolment file and a state folder of its own,
//! checking in on its interval.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use postern_device::{
    Account, Device, Encoding, Enrolment, Settings, edge,
    event::Event,
    keys,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
    unit::UnitSettings,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{admin::Admin, show::Show};

/// What the fleet did so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sessions: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) commands: AtomicU64,
}

/// The name of the simulated device with this number, from 1.
pub(crate) fn name(number: u16) -> String {
    format!("SIM-{number:05}")
}

/// How the device with this number proves itself, and what it speaks: the fleet shows every combination.
fn manner(number: u16) -> (&'static str, Encoding) {
    let auth = ["md5", "signed", "basic", "certificate"][usize::from(number % 4)];
    (auth, if number.is_multiple_of(3) { Encoding::Wbxml } else { Encoding::Xml })
}

/// Enrols the devices that have no enrolment file yet.
pub(crate) async fn enrol(
    admin: &Admin,
    state: &Path,
    count: u16,
    show: Show,
) -> anyhow::Result<Vec<(u16, PathBuf)>> {
    let mut folders = Vec::new();
    for number in 1..=count {
        let folder = state.join("devices").join(name(number));
        if !folder.join("enrolment.json").exists() {
            enrol_one(admin, &folder, number).await.with_context(|| format!("enrolling {}", name(number)))?;
            let (auth, encoding) = manner(number);
            let how = format!("auth {auth}, {}", if encoding == Encoding::Xml { "XML" } else { "WBXML" });
            show.event("enrolled", &name(number), &how, json!({ "auth": auth }));
        }
        folders.push((number, folder));
    }
    Ok(folders)
}

async fn enrol_one(admin: &Admin, folder: &Path, number: u16) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let (auth, _) = manner(number);
    let mut order = json!({ "device_id": name(number), "auth": auth, "reason": "simulated device" });
    let mut key = None;
    if matches!(auth, "certificate" | "signed") {
        let request = keys::new_request(&name(number))?;
        order["csr_pem"] = request.csr_pem.into();
        key = Some(request.key_pem);
    }
    let answer = admin.post("/api/1/devices", &order).await?;
    let mut file = answer["enrolment"].clone();
    if let Some(key) = key {
        file["key_pem"] = key.into();
    }
    // Written last and whole: a folder with this file is an enrolled device.
    let draft = folder.join("enrolment.json.new");
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    out.write_all(file.to_string().as_bytes())?;
    out.sync_all()?;
    fs::rename(draft, folder.join("enrolment.json"))?;
    Ok(())
}

/// Lets every device check in until `stop` says so.
pub(crate) async fn run(
    devices: Vec<(u16, PathBuf)>,
    gateway: std::net::SocketAddr,
    interval: Duration,
    show: Show,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let count = u32::try_from(devices.len()).unwrap_or(u32::MAX).max(1);
    let mut tasks = JoinSet::new();
    for (place, (number, folder)) in devices.into_iter().enumerate() {
        let device = open(number, &folder, gateway, show)?;
        // The first round is spread over two seconds, later ones over the whole interval.
        let first = Duration::from_secs(2) * u32::try_from(place).unwrap_or(0) / count;
        let second = interval * u32::try_from(place + 1).unwrap_or(1) / count;
        tasks.spawn(check_in(number, device, [first, second, interval], show, tally.clone(), stop.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            show.event("trouble", "", &format!("a simulated device ended: {error}"), Value::Null);
        }
    }
    Ok(())
}

fn open(number: u16, folder: &Path, gateway: std::net::SocketAddr, show: Show) -> anyhow::Result<Device> {
    let enrolment = Enrolment::read(&folder.join("enrolment.json"))?;
    let account = Account::new(&enrolment, None)?;
    let tls = ClientTls::new(TlsOptions::default()).config(&enrolment, None)?;
    // The port may be another than when the device was enrolled: dial where the gateway is now.
    let options = HttpsOptions { dial: Some(gateway), ..HttpsOptions::default() };
    let (_, encoding) = manner(number);
    let settings = Settings {
        unit: Arc::new(UnitSettings { encoding, ..UnitSettings::default() }),
        ..Settings::default()
    };
    let device = Device::new(
        Arc::new(account),
        settings,
        Storage::folder(folder)?,
        Https::new(tls, Arc::new(options)),
    )?;
    let who = name(number);
    Ok(device.observed_by(Arc::new(move |event: &Event| match event {
        Event::Command { name, .. } if name == "SyncHdr" => {}
        Event::Command { .. } => show.event(
            "answers",
            &who,
            &event.to_string(),
            serde_json::to_value(event).map_or(Value::Null, |value| json!({ "answer": value })),
        ),
        Event::OrderRefused { .. } | Event::Wiped { .. } => {
            show.event("device", &who, &event.to_string(), Value::Null)
        }
        _ => {}
    })))
}

async fn check_in(
    number: u16,
    mut device: Device,
    [first, second, interval]: [Duration; 3],
    show: Show,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) {
    let who = name(number);
    let mut wait = first;
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        match device.check_in(edge::now(), &mut |octets| edge::random(octets)).await {
            Ok(report) => {
                tally.sessions.fetch_add(1, Ordering::Relaxed);
                tally.commands.fetch_add(u64::from(report.commands), Ordering::Relaxed);
                if turn == 0 || report.commands > 0 {
                    let text = format!(
                        "session {}: {} messages, {} commands answered",
                        report.session_id, report.messages, report.commands
                    );
                    show.event(
                        "checked in",
                        &who,
                        &text,
                        json!({ "messages": report.messages, "commands": report.commands }),
                    );
                }
            }
            Err(error) => {
                tally.failures.fetch_add(1, Ordering::Relaxed);
                show.event(
                    "trouble",
                    &who,
                    &format!("check-in failed: {error}"),
                    json!({ "kind": error.kind() }),
                );
            }
        }
        turn = turn.saturating_add(1);
        wait = if turn == 1 { second } else { interval };
    }
}

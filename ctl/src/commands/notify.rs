//! `posternctl device notify`, `device notifications`, `device address`: asking a device to come.

use std::time::Duration;

use clap::{Args, Subcommand};
use postern_api::notifications::{DeviceNotifications, Notification, NotifyDevice, PushAddress};
use postern_wire::terms::NotificationState;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// How often a notification that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `device notify`.
#[derive(Debug, Args)]
pub struct Notify {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// The only bearer to take: listen, pap or smpp. Without it each in turn.
    #[arg(long)]
    pub bearer: Option<String>,
    /// Bear the default nonce, for a device whose nonces have been lost.
    #[arg(long)]
    pub resync: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
    /// Wait until it is over; exit code 1 unless the device came.
    #[arg(long)]
    pub wait: bool,
}

impl Notify {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let path = ["devices", self.device.as_str(), "notify"];
        let body = NotifyDevice { bearer: self.bearer, resync: self.resync, reason: self.reason };
        let mut job: Notification = client.post(&path, &body).await?;
        while self.wait && job.state.is_open() {
            tokio::time::sleep(LOOK).await;
            let all: DeviceNotifications =
                client.get(&["devices", &self.device, "notifications"], &()).await?;
            let found = all.notifications.into_iter().find(|other| other.id == job.id);
            job = found.ok_or_else(|| {
                Failure::new(Exit::Refused, "not-found", "the notification is no longer kept".to_owned())
            })?;
        }
        output.answer(&job, shown)?;
        let came = matches!(job.state, NotificationState::Answered | NotificationState::Unneeded);
        Ok(if self.wait && !came { Exit::Refused } else { Exit::Done })
    }
}

/// What can be done with a device's address.
#[derive(Debug, Subcommand)]
pub enum Address {
    /// Say where a device is reached. With an address, queued commands bring notifications about.
    Set {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Its telephone number in international form: +15550100001. None for a device that only listens at a gateway.
        #[arg(long, required_unless_present = "bearer")]
        number: Option<String>,
        /// The bearer that is tried first: listen, pap or smpp.
        #[arg(long)]
        bearer: Option<String>,
    },
    /// Forget where a device is reached.
    Clear {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
}

impl Address {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        match self {
            Self::Set { device, number, bearer } => {
                let body = PushAddress { number, bearer };
                let set: PushAddress = client.put_to(&["devices", &device, "address"], &body).await?;
                output.answer(&set, |set| format!("{} is reached at {}", text::terminal(&device), place(set)))
            }
            Self::Clear { device } => {
                client.delete(&["devices", &device, "address"], &()).await?;
                output.remark(&format!("{} has no push address any more", text::terminal(&device)));
                Ok(())
            }
        }
    }
}

/// Shows a device's notifications.
pub(super) async fn list(device: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let all: DeviceNotifications = client.get(&["devices", device, "notifications"], &()).await?;
    output.answer(&all, |all| {
        let place = all.address.as_ref().map_or_else(|| "no push address".to_owned(), place);
        let jobs = all.notifications.iter().map(shown);
        std::iter::once(place).chain(jobs).collect::<Vec<_>>().join("\n")
    })
}

fn place(address: &PushAddress) -> String {
    let number = address.number.as_deref().unwrap_or("its gateway");
    match &address.bearer {
        Some(bearer) => format!("{}, first by {}", text::terminal(number), text::terminal(bearer)),
        None => text::terminal(number).to_string(),
    }
}

fn shown(job: &Notification) -> String {
    let mut lines = vec![format!(
        "notification {} (session {}): {}, {}",
        job.id,
        job.session_id,
        job.state,
        text::terminal(&job.cause)
    )];
    let rows = job.steps.iter().map(|step| {
        [
            time::short(step.at),
            step.state.to_string(),
            step.cause.clone(),
            or_dash(step.bearer.as_ref()),
            or_dash(step.reference.as_ref()),
        ]
    });
    lines.push(output::table(["AT", "STATE", "CAUSE", "BEARER", "REFERENCE"], rows));
    if let Some(at) = job.next_at {
        lines.push(format!("tried again at {}", time::short(at)));
    }
    lines.join("\n")
}

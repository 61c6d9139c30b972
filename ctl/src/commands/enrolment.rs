//! `posternctl enrolment …`: requests for enrolments over the air, their one-time passwords, the log of attempts; and
//! what `device unenrol`, `device release` and `device reject` send.

mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::{
    devices::{Device, ReasonQuery},
    enrolment::{
        DecideQuarantine, DeviceLife, EnrolmentAttempt, EnrolmentLogQuery, EnrolmentRequest,
        EnrolmentRequestQuery, RequestEnrolment, RequestedEnrolment, UnenrolDevice,
    },
};
use postern_wire::terms::{AuthType, Dialect, RequestState};

use crate::{
    client::Client,
    commands::{device, settings},
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash, or_empty},
    time,
};

/// What can be done with enrolments over the air.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Ask for an enrolment; its one-time password is shown once.
    Request(Request),
    /// List requests, the newest first.
    List {
        /// In this state: open, used, cancelled, expired or locked.
        #[arg(long)]
        state: Option<RequestState>,
        /// For exactly this owner.
        #[arg(long)]
        owner: Option<String>,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show a request, by its id or its code (the first five characters of its password).
    Show {
        /// The id or the code.
        request: String,
    },
    /// Take a request back that no device has used.
    Cancel {
        /// The id or the code.
        request: String,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Ask for the enrolments of a CSV file, and write the passwords into another.
    Import(import::Import),
    /// List attempts to enrol with their reasons, the newest first.
    Log {
        /// Of this request: its id or code.
        #[arg(long)]
        request: Option<String>,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show the settings of enrolment, or set one.
    Settings {
        /// The setting's name.
        #[arg(requires = "value")]
        name: Option<String>,
        /// Its value.
        value: Option<String>,
    },
}

/// Arguments of `enrolment request`.
#[derive(Debug, Args)]
pub struct Request {
    /// What the device is to be called.
    #[arg(long, required_unless_present = "renews")]
    pub name: Option<String>,
    /// Whose it is to be.
    #[arg(long)]
    pub owner: Option<String>,
    /// A group that it joins, by id or name; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// What kind of device is expected.
    #[arg(long)]
    pub platform: Option<String>,
    /// How the device will prove itself: signed (the default), certificate, hmac, md5 or basic.
    #[arg(long)]
    pub auth: Option<AuthType>,
    /// classic or windows.
    #[arg(long)]
    pub dialect: Option<Dialect>,
    /// The domain that the e-mail address given at the device has to have.
    #[arg(long, value_name = "DOMAIN")]
    pub email_domain: Option<String>,
    /// The mark of the hardware that has to come.
    #[arg(long, value_name = "ID")]
    pub hardware_id: Option<String>,
    /// The enrolled device that gets a new generation.
    #[arg(long, value_name = "DEVICE")]
    pub renews: Option<String>,
    /// Until when the password holds (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub expires: Option<postern_api::Time>,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
    /// Write the one-time password to this new file (readable by its owner only) instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Request(request) => request.run(client, output).await?,
            Self::List { state, owner, limit } => {
                let query = EnrolmentRequestQuery { state, owner, ..Default::default() };
                let requests: Vec<EnrolmentRequest> =
                    client.list(&["enrolment-requests"], &query, limit).await?;
                output.answer(&requests, |requests| listed(requests))?;
            }
            Self::Show { request } => {
                let request: EnrolmentRequest = client.get(&["enrolment-requests", &request], &()).await?;
                output.answer(&request, shown)?;
            }
            Self::Cancel { request, reason } => {
                let request: EnrolmentRequest =
                    client.delete_to(&["enrolment-requests", &request], &ReasonQuery { reason }).await?;
                output.answer(&request, |request| format!("cancelled {}", request.code))?;
            }
            Self::Import(import) => return import.run(client, output).await,
            Self::Log { request, limit } => {
                let query = EnrolmentLogQuery { request, ..Default::default() };
                let attempts: Vec<EnrolmentAttempt> = client.list(&["enrolment-log"], &query, limit).await?;
                output.answer(&attempts, |attempts| log(attempts))?;
            }
            Self::Settings { name, value } => {
                return settings::enrolment(name, value, client, output).await;
            }
        }
        Ok(Exit::Done)
    }
}

impl Request {
    async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let out = self.out.clone();
        let made: RequestedEnrolment = client.post(&["enrolment-requests"], &self.body()).await?;
        let Some(path) = out else {
            return output.answer(&made, |made| format!("{}\n\n{}", shown(&made.request), once(made)));
        };
        let text = format!("{}\n", made.password);
        if let Err(failure) = files::write_secret(&path, text.as_bytes()) {
            // It is shown only once: losing it over a full disk would waste the request.
            output.answer(&made, |made| format!("{}\n\n{}", shown(&made.request), once(made)))?;
            return Err(failure);
        }
        output.answer(&made.request, shown)?;
        output.remark(&format!("the one-time password is in {}", path.display()));
        Ok(())
    }

    fn body(self) -> RequestEnrolment {
        RequestEnrolment {
            name: self.name.unwrap_or_default(),
            owner: self.owner,
            groups: self.groups,
            platform: self.platform,
            auth: self.auth,
            dialect: self.dialect,
            email_domain: self.email_domain,
            hardware_id: self.hardware_id,
            renews: self.renews,
            expires: self.expires,
            reason: self.reason,
        }
    }
}

/// Arguments of `device unenrol`.
#[derive(Debug, Args)]
pub struct Unenrol {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// Retire it at once, told or not.
    #[arg(long)]
    pub now: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Unenrol {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let body = UnenrolDevice { now: self.now, reason: self.reason };
        let device: Device = client.post(&["devices", &self.device, "unenrol"], &body).await?;
        output.answer(&device, |device| match device.retired_at {
            Some(_) => format!("un-enrolled {} ({})", device::named(device), device.id),
            None => format!(
                "{} ({}) is told at its next session, and retired when it has acknowledged it",
                device::named(device),
                device.id
            ),
        })
    }
}

/// Arguments of `device release` and `device reject`.
#[derive(Debug, Args)]
pub struct Decide {
    /// The quarantined enrolment's id.
    pub device: String,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Decide {
    /// Sends the decision; `word` is `release` or `reject`.
    pub(crate) async fn run(
        self,
        word: &str,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let body = DecideQuarantine { reason: self.reason };
        let device: Device = client.post(&["devices", &self.device, word], &body).await?;
        output.answer(&device, device::shown)
    }
}

/// Where a device's life stands, in one line; nothing for one that came by hand and to which nothing happened.
pub(crate) fn life(life: &DeviceLife) -> String {
    let mut parts = Vec::new();
    match life.door.as_str() {
        "air" => parts.push("came over the air".to_owned()),
        "hand" => parts.push("registered by hand".to_owned()),
        other => parts.push(format!("came by {other}")),
    }
    if life.standing != "managed" {
        parts.push(format!("{} since {}", life.standing, time::short(life.standing_since)));
    }
    if let Some(twin) = life.twin {
        parts.push(format!("the same hardware as {twin}"));
    }
    if let Some(leaving) = &life.leaving {
        let since = life.leaving_since.map(|at| format!(" since {}", time::short(at))).unwrap_or_default();
        let why = or_dash(life.leaving_because.as_ref());
        parts.push(match leaving.as_str() {
            "ordered" => format!("told to leave{since}: {why}"),
            "refused" => format!("was told to leave and did not{since}"),
            _ => format!("leaves by itself{since}: {why}"),
        });
    }
    if life.renewal != "none" {
        let since = life.renewal_since.map(|at| format!(" since {}", time::short(at))).unwrap_or_default();
        let why = or_dash(life.renewal_because.as_ref());
        parts.push(format!("renewal of its certificate: {}{since} ({why})", life.renewal));
    }
    parts.join("; ")
}

fn once(made: &RequestedEnrolment) -> String {
    let fields = output::fields([
        ("one-time password", made.password.clone()),
        ("holds until", time::short(made.request.expires)),
        ("server", made.server.clone()),
    ]);
    format!("Shown once (--out FILE writes it to a file):\n{fields}")
}

fn listed(requests: &[EnrolmentRequest]) -> String {
    output::table(
        ["CODE", "NAME", "OWNER", "STATE", "EXPIRES", "FAILED TRIES", "DEVICE", "BY"],
        requests.iter().map(|request| {
            [
                request.code.clone(),
                request.name.clone(),
                or_dash(request.owner.as_ref()),
                request.state.to_string(),
                time::short(request.expires),
                request.failures.to_string(),
                or_dash(request.enrolment.or(request.renews)),
                request.created_by.clone(),
            ]
        }),
    )
}

fn shown(request: &EnrolmentRequest) -> String {
    let groups: Vec<_> = request.groups.iter().map(|group| group.name.as_str()).collect();
    let failures = match (request.last_failure, &request.last_failure_source) {
        (Some(at), Some(source)) => {
            format!("{}, the last at {} from {source}", request.failures, time::short(at))
        }
        _ => request.failures.to_string(),
    };
    output::fields([
        ("id", request.id.to_string()),
        ("code", request.code.clone()),
        ("state", format!("{} ({})", request.state, request.cause)),
        ("name", request.name.clone()),
        ("owner", or_empty(request.owner.as_ref())),
        ("groups", groups.join(", ")),
        ("platform", or_empty(request.platform.as_ref())),
        ("proves itself by", request.auth.to_string()),
        ("e-mail domain", or_empty(request.email_domain.as_ref())),
        ("hardware id", or_empty(request.hardware_id.as_ref())),
        ("renews", or_empty(request.renews)),
        ("made", format!("{} by {}", time::short(request.created_at), request.created_by)),
        ("because", request.reason.clone()),
        ("password until", time::short(request.expires)),
        ("failed tries", failures),
        ("finished", or_empty(request.finished_at.map(time::short))),
        ("finished by", or_empty(request.finished_by.as_ref())),
        ("device", or_empty(request.enrolment)),
        ("generation", or_empty(request.generation)),
    ])
}

fn log(attempts: &[EnrolmentAttempt]) -> String {
    output::table(
        ["AT", "STEP", "OUTCOME", "REASON", "TIMES", "FROM", "GATEWAY", "DEVICE", "WHAT"],
        attempts.iter().map(|attempt| {
            [
                time::short(attempt.at),
                attempt.step.clone(),
                attempt.outcome.clone(),
                if attempt.reason.is_empty() { "-".to_owned() } else { attempt.reason.clone() },
                attempt.count.to_string(),
                attempt.source.clone(),
                attempt.gateway.clone(),
                or_dash(attempt.enrolment),
                attempt.detail.clone(),
            ]
        }),
    )
}

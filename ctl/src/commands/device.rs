//! `posternctl device …`: enrol, list, show, rename and retire devices, and queue DM commands for them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::device_policy::DevicePolicy;
use postern_api::devices::{
    Device, DeviceQuery, DeviceSchedule, EnrolDevice, Enrolled, ReasonQuery, StateFilter, UpdateDevice,
};
use postern_wire::terms::{AuthType, Dialect};
use reqwest::Method;
use secrecy::ExposeSecret as _;

use crate::{
    client::Client,
    commands::{command, device_policy, directory, enrolment, notify, order::Queue, server, tree},
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash, or_empty},
    time,
};

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Enrol a device by hand; its credentials are shown once.
    Enrol(Enrol),
    /// List devices, the oldest enrolment first; without --state, all but the retired.
    List(List),
    /// Show a device and what it said of itself.
    Show {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Show what policy wants of a device, who says so, and how each setting stands.
    Policy {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Change a device's name or owner; "" clears it.
    Update {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// What people are to call it.
        #[arg(long)]
        name: Option<String>,
        /// Whose it is.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Retire a device: revoke its credentials, leave its route as a tombstone.
    Retire {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Name a device's computer and its owner's user in the directory.
    Bind(directory::Bind),
    /// Forget what was named: the rules say who the device is.
    Unbind(directory::Unbind),
    /// Show who a device and its owner are in the directory.
    Binding {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Have a device leave: it is told, and retired when it has acknowledged that.
    Unenrol(enrolment::Unenrol),
    /// Let a device in quarantine begin its life; the one with the same hardware is retired.
    Release(enrolment::Decide),
    /// Retire a device in quarantine.
    Reject(enrolment::Decide),
    /// Enrol a device anew by hand: a new generation, new secrets, nothing of the old queue.
    ReEnrol {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// As at its first enrolment.
        #[command(flatten)]
        enrol: Enrol,
    },
    /// Ask a device to open a session, now.
    Notify(notify::Notify),
    /// Show where a device is reached, and its last notifications.
    Notifications {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Where a device is reached when it holds no connection.
    #[command(subcommand)]
    Address(notify::Address),
    /// Queue a DM command, or those of a file.
    Command(Queue),
    /// Change what the core logs of a device, for a time.
    Log(server::DeviceLog),
    /// Show what is known of a device's management tree; read it anew; compare.
    Tree(tree::Show),
    /// List a device's commands, the newest first.
    Commands {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Only those in this state.
        #[arg(long)]
        state: Option<postern_wire::terms::CommandState>,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
}

/// Arguments of `device enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The DevId that the device gives in DevInfo and in its Source (`urn:uuid:…`, `IMEI:…`).
    #[arg(long)]
    pub device_id: String,
    /// How the device proves itself: basic, md5, hmac, certificate or signed.
    #[arg(long)]
    pub auth: AuthType,
    /// A certificate signing request in PEM; needed with certificate and signed.
    #[arg(long, value_name = "FILE")]
    pub csr: Option<PathBuf>,
    /// The DNS name of its computer in the directory: its certificate bears it. Only with --csr.
    #[arg(long, requires = "csr")]
    pub dns_name: Option<String>,
    /// The device's user name; made when absent.
    #[arg(long)]
    pub user: Option<String>,
    /// A file that holds the device's password; made when absent.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The ServerID that the device knows this server by.
    #[arg(long)]
    pub server_id: Option<String>,
    /// A file that holds the password by which the server proves itself to the device; made when absent.
    #[arg(long, value_name = "FILE")]
    pub server_password_file: Option<PathBuf>,
    /// classic or windows.
    #[arg(long)]
    pub dialect: Option<Dialect>,
    /// What people are to call it.
    #[arg(long)]
    pub name: Option<String>,
    /// Whose it is.
    #[arg(long)]
    pub owner: Option<String>,
    /// A group that it joins, by id or name; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Write what the device needs to this new file (readable by its owner only) instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `device list`.
#[derive(Debug, Args)]
pub struct List {
    /// In this state: new, managed, retired, quarantined or overdue.
    #[arg(long)]
    pub state: Option<StateFilter>,
    /// A member of this group, directly or through nested groups.
    #[arg(long)]
    pub group: Option<String>,
    /// Owned by exactly this owner.
    #[arg(long)]
    pub owner: Option<String>,
    /// DevId or name contains this text.
    #[arg(long, short = 'q', value_name = "TEXT")]
    pub search: Option<String>,
    /// Not seen since this time (RFC 3339), or never.
    #[arg(long, value_name = "TIME")]
    pub seen_before: Option<postern_api::Time>,
    /// With pending commands; `--pending=false`: without any.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub pending: Option<bool>,
    /// Most items wanted.
    #[arg(long)]
    pub limit: Option<usize>,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Enrol(enrol) => enrol.run(&["devices"], client, output).await?,
            Self::ReEnrol { device, enrol } => {
                enrol.run(&["devices", &device, "re-enrol"], client, output).await?;
            }
            Self::Unenrol(unenrol) => unenrol.run(client, output).await?,
            Self::Release(decide) => decide.run("release", client, output).await?,
            Self::Reject(decide) => decide.run("reject", client, output).await?,
            Self::List(list) => {
                let limit = list.limit;
                let devices: Vec<Device> = client.list(&["devices"], &list.query(), limit).await?;
                output.answer(&devices, |devices| listed(devices))?;
            }
            Self::Show { device } => {
                let device: Device = client.get(&["devices", &device], &()).await?;
                let id = device.id.to_string();
                let policy: DevicePolicy = client.get(&["devices", &id, "policy"], &()).await?;
                output.answer(&device, |device| shown_with(device, Some(&policy)))?;
            }
            Self::Policy { device } => {
                let policy: DevicePolicy = client.get(&["devices", &device, "policy"], &()).await?;
                output.answer(&policy, device_policy::shown)?;
            }
            Self::Update { device, name, owner } => {
                if name.is_none() && owner.is_none() {
                    return Err(Failure::usage("nothing to change: give --name or --owner"));
                }
                let before = client.get_versioned::<Device>(&["devices", &device]).await?;
                let id = before.value.id.to_string();
                let body = UpdateDevice { name, owner, ..UpdateDevice::default() };
                let device: Device =
                    client.change(Method::PATCH, &["devices", &id], &before.etag, &body).await?;
                output.answer(&device, shown)?;
            }
            Self::Retire { device, reason } => {
                let device: Device = client.delete_to(&["devices", &device], &ReasonQuery { reason }).await?;
                output.answer(&device, |device| format!("retired {} ({})", named(device), device.id))?;
            }
            Self::Bind(bind) => return bind.run(client, output).await,
            Self::Unbind(unbind) => return unbind.run(client, output).await,
            Self::Binding { device } => directory::binding(&device, client, output).await?,
            Self::Notify(notify) => return notify.run(client, output).await,
            Self::Notifications { device } => notify::list(&device, client, output).await?,
            Self::Address(action) => action.run(client, output).await?,
            Self::Command(queue) => return queue.run(client, output).await,
            Self::Log(log) => return log.run(client, output).await,
            Self::Tree(show) => return show.run(client, output).await,
            Self::Commands { device, state, limit } => {
                let query = postern_api::commands::CommandQuery { state, ..Default::default() };
                let commands = client.list(&["devices", &device, "commands"], &query, limit).await?;
                output.answer(&commands, |commands| command::listed(commands))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Enrol {
    async fn run(self, path: &[&str], client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let out = self.out.clone();
        let enrolled: Enrolled = client.post(path, &self.body()?).await?;
        let Some(path) = out else {
            return output.answer(&enrolled, |enrolled| {
                format!("{}\n\n{}", shown(&enrolled.device), credentials(enrolled))
            });
        };
        let file =
            serde_json::to_string_pretty(&enrolled.enrolment).expect("an enrolment file has text keys only");
        if let Err(failure) = files::write_secret(&path, file.as_bytes()) {
            // The credentials are shown only once: losing them over a full disk would waste the enrolment.
            output.answer(&enrolled, |enrolled| {
                format!("{}\n\n{}", shown(&enrolled.device), credentials(enrolled))
            })?;
            return Err(failure);
        }
        output.answer(&enrolled.device, shown)?;
        output.remark(&format!("what the device needs is in {}", path.display()));
        Ok(())
    }

    /// Refuses what cannot be right, whichever core is asked.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let with_certificate = matches!(self.auth, AuthType::Certificate | AuthType::Signed);
        let with_password =
            self.user.is_some() || self.password_file.is_some() || self.server_password_file.is_some();
        if with_certificate && self.csr.is_none() {
            return Err(Failure::invalid("csr-missing", format!("auth type {} needs --csr FILE", self.auth)));
        }
        if with_certificate && with_password {
            return Err(Failure::invalid(
                "no-password",
                format!("auth type {} has no user and no passwords", self.auth),
            ));
        }
        Ok(())
    }

    fn body(self) -> Result<EnrolDevice, Failure> {
        self.check()?;
        let password = |path: Option<PathBuf>| -> Result<Option<String>, Failure> {
            path.map(|path| Ok(files::secret(&path)?.expose_secret().to_owned())).transpose()
        };
        Ok(EnrolDevice {
            device_id: self.device_id,
            auth: Some(self.auth),
            dialect: self.dialect,
            name: self.name,
            owner: self.owner,
            user: self.user,
            password: password(self.password_file)?,
            server_id: self.server_id,
            server_password: password(self.server_password_file)?,
            csr_pem: self.csr.map(|path| files::text(&path)).transpose()?,
            dns_name: self.dns_name,
            groups: self.groups,
            ..EnrolDevice::default()
        })
    }
}

impl List {
    fn query(self) -> DeviceQuery {
        DeviceQuery {
            state: self.state,
            group: self.group,
            owner: self.owner,
            q: self.search,
            seen_before: self.seen_before,
            pending: self.pending,
            limit: None,
            cursor: None,
        }
    }
}

fn listed(devices: &[Device]) -> String {
    output::table(
        ["ID", "DEVICE ID", "NAME", "OWNER", "STATE", "PROOF", "LAST SEEN", "PENDING"],
        devices.iter().map(|device| {
            [
                device.id.to_string(),
                device.device_id.clone(),
                or_dash(device.name.as_ref()),
                or_dash(device.owner.as_ref()),
                state(device),
                device.proof_class.to_string(),
                device.last_seen.map_or_else(|| "never".to_owned(), time::short),
                device.pending.to_string(),
            ]
        }),
    )
}

/// The state, with what the state alone does not say.
fn state(device: &Device) -> String {
    let overdue = device.schedule.as_ref().is_some_and(|schedule| schedule.overdue_since.is_some());
    match (device.stage.as_str(), overdue) {
        ("first-session", _) => format!("{} (first session)", device.state),
        (_, true) => format!("{} (overdue)", device.state),
        _ => device.state.to_string(),
    }
}

fn schedule(schedule: &DeviceSchedule) -> String {
    let told = match schedule.told.as_str() {
        "acknowledged" => "acknowledged by the device".to_owned(),
        "ordered" => "on its way to the device".to_owned(),
        "expected" => "only expected: its model knows no node for it".to_owned(),
        "refused" => format!("refused by the device, status {}", or_dash(schedule.status)),
        _ => "not told yet".to_owned(),
    };
    let wanted = schedule.wanted.as_ref().map(|wanted| format!("; {wanted} is wanted")).unwrap_or_default();
    format!("every {}, up to {} late, {told}{wanted}", schedule.interval, schedule.jitter)
}

fn expected(schedule: &DeviceSchedule) -> String {
    match schedule.overdue_since {
        Some(since) => format!("overdue since {}", time::short(since)),
        None => format!(
            "{} to {}",
            time::short(schedule.next_expected),
            time::short(schedule.next_expected_until)
        ),
    }
}

/// All of one device.
pub(crate) fn shown(device: &Device) -> String {
    shown_with(device, None)
}

/// All of one device, with how it stands to policy where that was asked for.
fn shown_with(device: &Device, policy: Option<&DevicePolicy>) -> String {
    let groups: Vec<_> = device.groups.iter().map(|group| group.name.as_str()).collect();
    let certificate = device.certificate.as_ref().map(|certificate| {
        let until =
            certificate.not_after.map(|at| format!(", until {}", time::short(at))).unwrap_or_default();
        format!("serial {}, SHA-256 {}{until}", certificate.serial, certificate.fingerprint)
    });
    let mut text = output::fields([
        ("id", device.id.to_string()),
        ("device id", device.device_id.clone()),
        ("name", or_empty(device.name.as_ref())),
        ("owner", or_empty(device.owner.as_ref())),
        ("state", state(device)),
        ("generation", device.generation.to_string()),
        ("proves itself by", device.auth.to_string()),
        ("proved so far", device.proof_class.to_string()),
        ("dialect", device.dialect.to_string()),
        ("certificate", or_empty(certificate)),
        ("groups", groups.join(", ")),
        ("enrolled", time::short(device.created_at)),
        ("life", or_empty(device.life.as_ref().map(enrolment::life))),
        ("first seen", or_empty(device.first_seen.map(time::short))),
        ("last seen", device.last_seen.map_or_else(|| "never".to_owned(), time::short)),
        ("retired", or_empty(device.retired_at.map(time::short))),
        ("retired because", or_empty(device.retired_because.as_ref())),
        ("pending commands", device.pending.to_string()),
        ("schedule", or_empty(device.schedule.as_ref().map(schedule))),
        ("next expected", or_empty(device.schedule.as_ref().map(expected))),
        ("policy", or_empty(policy.map(device_policy::line))),
    ]);
    if !device.profiles.is_empty() {
        let rows = device.profiles.iter().map(|profile| {
            let set: Vec<_> = profile.quirks.iter().map(|(name, value)| format!("{name}={value}")).collect();
            [profile.name.clone(), profile.origin.clone(), profile.because.clone(), set.join(" ")]
        });
        text = format!("{text}\n\n{}", output::table(["QUIRK PROFILE", "ORIGIN", "BECAUSE", "SO"], rows));
    }
    if !device.facts.is_empty() {
        let rows =
            device.facts.iter().map(|fact| [fact.key.clone(), fact.value.clone(), time::short(fact.at)]);
        text = format!("{text}\n\n{}", output::table(["FACT", "VALUE", "READ"], rows));
    }
    text
}

/// What a person types into a device, shown once.
fn credentials(enrolled: &Enrolled) -> String {
    let file = &enrolled.enrolment;
    let fields = output::fields([
        ("server uri", file.server_uri.clone()),
        ("server id", file.server_id.clone()),
        ("user", or_empty(file.user.as_ref())),
        ("password", or_empty(file.password.as_ref())),
        ("server password", or_empty(file.server_password.as_ref())),
    ]);
    let pem = [file.certificate_pem.as_deref(), Some(file.ca_pem.as_str())];
    let pem: String = pem.into_iter().flatten().map(pem_lines).collect();
    format!("Shown once (--out FILE writes what postern-device reads):\n{fields}\n{pem}")
}

/// PEM, line by line, so that each line is escaped and the lines stay.
fn pem_lines(pem: &str) -> String {
    pem.lines().map(|line| format!("{}\n", crate::text::terminal(line))).collect()
}

/// What people call it, or its DevId; escaped.
pub(crate) fn named(device: &Device) -> String {
    crate::text::terminal(device.name.as_deref().unwrap_or(&device.device_id)).into_owned()
}

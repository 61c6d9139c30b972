//! `posternctl directory …`: how the reading of the directory stands, who devices are in it; `device bind`.

use clap::{Args, Subcommand};
use postern_api::{
    devices::ReasonQuery,
    directory::{
        BindDevice, BindingQuery, BoundAccount, DeviceBinding, DirectoryState, RefreshDirectory,
        RefreshedDirectory, SysvolView,
    },
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with the directory.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show how its reading stands. Exit code 0 good or not set up, 1 not.
    Status,
    /// Read now what changed, and try again what is to be written there. Exit code 1 where it cannot be read: what was read before stays in force.
    Refresh {
        /// Read everything.
        #[arg(long)]
        whole: bool,
    },
    /// List who devices and their owners are in it, and why not.
    Bindings {
        /// Only devices without a computer, or with an owner who is no user.
        #[arg(long)]
        unbound: bool,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
}

/// Arguments of `device bind`.
#[derive(Debug, Args)]
pub struct Bind {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// Its computer: distinguished name, name or sAMAccountName.
    #[arg(long, required_unless_present = "user")]
    pub computer: Option<String>,
    /// Its owner's user: distinguished name, principal name or logon name.
    #[arg(long)]
    pub user: Option<String>,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Arguments of `device unbind`.
#[derive(Debug, Args)]
pub struct Unbind {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Status => {
                let state: DirectoryState = client.get(&["directory"], &()).await?;
                output.answer(&state, screen)?;
                Ok(if matches!(state.state.as_str(), "good" | "off") { Exit::Done } else { Exit::Refused })
            }
            Self::Refresh { whole } => {
                let path = ["directory", "refresh"];
                let done: RefreshedDirectory = client.post(&path, &RefreshDirectory { whole }).await?;
                output.answer(&done, |done| format!("look: {}\n{}", done.look, screen(&done.directory)))?;
                Ok(if done.look == "failed" { Exit::Refused } else { Exit::Done })
            }
            Self::Bindings { unbound, limit } => {
                let query = BindingQuery { unbound: unbound.then_some(true), ..BindingQuery::default() };
                let all: Vec<DeviceBinding> = client.list(&["directory", "bindings"], &query, limit).await?;
                output.answer(&all, |all| {
                    output::table(
                        ["DEVICE", "COMPUTER", "BY", "OWNER", "USER", "BY"],
                        all.iter().map(|one| {
                            let [computer, by_computer] = account(&one.computer);
                            let [user, by_user] = account(&one.user);
                            [
                                one.name.clone(),
                                computer,
                                by_computer,
                                or_dash(one.owner.clone()),
                                user,
                                by_user,
                            ]
                        }),
                    )
                })?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Bind {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let Self { device, computer, user, reason } = self;
        let body = BindDevice { computer, user, reason };
        let bound: DeviceBinding = client.put_to(&["devices", &device, "binding"], &body).await?;
        output.answer(&bound, shown)?;
        Ok(Exit::Done)
    }
}

impl Unbind {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let query = ReasonQuery { reason: self.reason };
        let bound: DeviceBinding = client.delete_to(&["devices", &self.device, "binding"], &query).await?;
        output.answer(&bound, shown)?;
        Ok(Exit::Done)
    }
}

/// Shows who a device is.
pub async fn binding(device: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let bound: DeviceBinding = client.get(&["devices", device, "binding"], &()).await?;
    output.answer(&bound, shown)
}

fn shown(bound: &DeviceBinding) -> String {
    let said = |found: &BoundAccount| {
        let [what, by] = account(found);
        format!("{what} ({by})")
    };
    let mut parts = vec![output::fields([
        ("device", format!("{} ({})", text::terminal(&bound.name), bound.device)),
        ("computer", said(&bound.computer)),
        ("owner", or_dash(bound.owner.clone())),
        ("user", said(&bound.user)),
    ])];
    for task in &bound.tasks {
        let at = task.due_at.map(|at| format!(", again {}", time::short(at))).unwrap_or_default();
        parts.push(format!(
            "{} {}: {} after {} tries{at}",
            task.act,
            task.state,
            text::terminal(&task.cause),
            task.tries
        ));
    }
    parts.join("\n")
}

fn account(found: &BoundAccount) -> [String; 2] {
    match (&found.dn, &found.reason) {
        (Some(dn), _) => [text::terminal(dn).to_string(), or_dash(found.how.clone())],
        (None, reason) if found.candidates.is_empty() => ["none".to_owned(), or_dash(reason.clone())],
        (None, reason) => {
            let all: Vec<String> = found.candidates.iter().map(|dn| text::terminal(dn).to_string()).collect();
            ["none".to_owned(), format!("{}: {}", or_dash(reason.clone()), all.join("; "))]
        }
    }
}

fn screen(state: &DirectoryState) -> String {
    let mut parts = vec![output::fields([
        ("directory", state.state.clone()),
        ("servers", state.servers.join(", ")),
        ("read from", or_dash(state.server.as_ref().map(|server| text::terminal(server).to_string()))),
        ("read at", or_dash(state.good_at.map(time::short))),
        ("whole at", or_dash(state.whole_at.map(time::short))),
        (
            "holds",
            format!(
                "{} computers, {} users, {} groups, {} GPOs, {} containers",
                state.computers, state.users, state.groups, state.gpos, state.containers
            ),
        ),
        (
            "to be written",
            format!("{} waiting, {} parked, {} given up", state.waiting, state.parked, state.given_up),
        ),
        ("sign-in", if state.sign_in { "yes" } else { "no" }.to_owned()),
    ])];
    if state.restored {
        parts.push("  ! what is in force was read before the core's start".to_owned());
    }
    if let Some(trouble) = &state.trouble {
        parts.push(format!(
            "  ! {} (since {}, {} looks)",
            text::terminal(&trouble.error),
            time::short(trouble.since),
            trouble.looks
        ));
    }
    if let Some(because) = &state.parked_because {
        parts.push(format!("  ! parked: {}", text::terminal(because)));
    }
    parts.extend(state.remarks.iter().map(|remark| format!("  - {}", text::terminal(remark))));
    parts.extend(state.sysvol.as_ref().map(sysvol));
    parts.join("\n")
}

fn sysvol(view: &SysvolView) -> String {
    let mut parts = vec![output::fields([
        ("SYSVOL", view.state.clone()),
        ("looked at", or_dash(view.at.map(time::short))),
        ("holds", format!("{} GPOs", view.gpos)),
    ])];
    if view.restored {
        parts.push("  ! what is in force was read before the core's start".to_owned());
    }
    parts.extend(view.troubles.iter().map(|gpo| {
        let held = gpo.in_force.map_or("nothing".to_owned(), |version| format!("version {version}"));
        let (name, detail) = (text::terminal(&gpo.name), text::terminal(&gpo.detail));
        format!("  - {name}: {detail}; {held} is in force (since {})", time::short(gpo.since))
    }));
    parts.join("\n")
}

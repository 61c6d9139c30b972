//! The command line of posternctl.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    admin, alarm, approval, audit, ca, command, conformance, device, directory, enrolment, gateway, group,
    lock, login, mail, mo, quirks, recovery, safety, server, session, settings, token, wipe,
};
use crate::{bootstrap, notification, policy, syncml};

/// Manages an installation of Postern, and reads SyncML messages offline.
///
/// Exit codes: 0 done, 1 refused (or not healthy), 2 invalid input, 3 unreachable, 4 denied, 64 usage.
#[derive(Debug, Parser)]
#[command(name = "posternctl", version, propagate_version = true)]
pub struct Cli {
    /// Where the admin API is and how to be let in.
    #[command(flatten)]
    pub connection: Connection,

    /// How answers are written.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "POSTERN_OUTPUT",
        help_heading = "Global options"
    )]
    pub output: Format,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the admin API is and how to be let in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Connection {
    /// The core's admin address, such as `https://core.example:8443`.
    #[arg(long, global = true, env = "POSTERN_URL", value_name = "URL")]
    pub url: Option<String>,

    /// A file that holds the admin token.
    #[arg(long, global = true, env = "POSTERN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// The CA that the core's certificate must come from, in PEM. Without it: the machine's own trust store.
    #[arg(long, global = true, env = "POSTERN_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Go by break-glass, which has to be open (`posternctl break-glass`): past limits and freeze, and loud.
    #[arg(long, global = true)]
    pub break_glass: bool,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts: one JSON document, or one a line where an answer goes on.
    Json,
    /// For spreadsheets: CSV of an answer that has rows (`policy explain`, `what-if` and `compare`); of any other JSON.
    Csv,
}

/// What posternctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enrol, list, show and retire devices; queue DM commands.
    #[command(subcommand)]
    Device(device::Action),
    /// The directory: how its reading stands, read it now, who devices are in it.
    #[command(subcommand)]
    Directory(directory::Action),
    /// Sign in by the directory; the token goes to the file of --token-file, and holds for a while.
    Login(login::Login),
    /// Sign out: the token of --token-file holds no more, and the file goes.
    Logout,
    /// Requests for enrolments over the air and their one-time passwords; the log of attempts.
    #[command(subcommand)]
    Enrolment(enrolment::Action),
    /// Wipes: ask for one, follow it, agree, take it back, let a device off, prove it.
    #[command(subcommand)]
    Wipe(wipe::Action),
    /// Show, watch and cancel queued commands.
    #[command(subcommand)]
    Command(command::Action),
    /// Management objects: what descriptions say of nodes; import one, complete an address.
    #[command(subcommand)]
    Mo(mo::Action),
    /// Groups of devices.
    #[command(subcommand)]
    Group(group::Action),
    /// What models of devices cannot do, and how they are recognised: list, show, add, delete.
    #[command(subcommand)]
    Quirks(quirks::Action),
    /// Recovery passwords: how they stand, read one out, renew, roll the escrow key over.
    #[command(subcommand)]
    Recovery(recovery::Action),
    /// Sessions of a device: list, watch live, record, save, replay.
    #[command(subcommand)]
    Session(session::Action),
    /// Intervals and limits: for everything, a group or a device.
    #[command(subcommand)]
    Settings(settings::Action),
    /// Gateways, their links and settings.
    #[command(subcommand)]
    Gateway(gateway::Action),
    /// CAs, their roll-over, certificates and CRLs.
    #[command(subcommand)]
    Ca(ca::Action),
    /// Admins: the people and services that hold roles and tokens.
    #[command(subcommand)]
    Admin(admin::Action),
    /// Roles: what each may do, give one, take one.
    #[command(subcommand)]
    Role(admin::RoleAction),
    /// API tokens.
    #[command(subcommand)]
    Token(token::Action),
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Action),
    /// Alarms: what a person has to know of, or to do.
    #[command(subcommand)]
    Alarm(alarm::Action),
    /// What people and other systems are told of: the outbox, letters, tests, addresses.
    #[command(subcommand)]
    Mail(mail::Action),
    /// How it stands with destructive operations: freeze, limits, who may approve. Exit code 1 while frozen.
    Safety,
    /// Freeze: nothing destructive is accepted or sent, also what was queued.
    Freeze {
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// End a freeze: two persons ask for it.
    Thaw {
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Open break-glass with a code from the safe; then give --break-glass with each command.
    BreakGlass {
        /// A file that holds the code.
        #[arg(long, value_name = "FILE")]
        code_file: PathBuf,
        /// For how many devices, 1 to 25.
        #[arg(long, default_value_t = 1)]
        devices: u64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// The limits of destructive operations.
    #[command(subcommand)]
    Limits(safety::LimitsAction),
    /// Requests that somebody else has to agree to.
    #[command(subcommand)]
    Approval(approval::Action),
    /// Lock devices.
    Lock {
        /// Which, and why.
        #[command(flatten)]
        which: lock::Which,
        /// How far.
        #[command(flatten)]
        how: lock::How,
    },
    /// Unlock devices.
    Unlock {
        /// Which, and why.
        #[command(flatten)]
        which: lock::Which,
    },
    /// The system's own parts: list them, release them after a restore.
    #[command(subcommand)]
    Server(server::Action),
    /// For who helps from outside.
    #[command(subcommand)]
    Support(server::SupportAction),
    /// Look at clocks, certificates, keys, database, disks and gateways. Exit code 0 well, 1 not, 3 unreachable.
    Doctor,
    /// The system on one screen. Exit code 0 healthy, 1 degraded, 3 unreachable.
    Status,
    /// Why a device is as it is: findings, refusals, sessions, what its commands wait for.
    Why {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// SyncML messages in files, offline.
    #[command(subcommand)]
    Syncml(syncml::Action),
    /// Notifications (package 0) in files, offline.
    #[command(subcommand)]
    Notification(notification::Action),
    /// Policy: documents and what they come to on a server; Group Policy, tests and coverage in files, offline.
    #[command(subcommand)]
    Policy(policy::Action),
    /// Bootstraps of both profiles: make one for a device; read one in a file, offline.
    #[command(subcommand)]
    Bootstrap(bootstrap::Action),
    /// The conformance cases of OMA DM, against a server, a client or the codec.
    #[command(subcommand)]
    Conformance(conformance::Action),
    /// The rules behind it all, offline: the transitions of a machine.
    #[command(subcommand)]
    Engine(wipe::Engine),
    /// Write a completion script for a shell to stdout.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

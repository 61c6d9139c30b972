//! `posternctl policy …`: policy in files, offline (docs/POLICY.md); what needs a server is [`crate::commands::policy`].

pub mod import_check;
pub mod registry_pol;
pub mod rsop;
pub mod sysvol;
pub mod test;

use clap::Subcommand;

use crate::{
    commands,
    failure::{Exit, Failure},
    output::Output,
};

/// What can be done with policy in files.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Read a Registry.pol and show its records. Exit code 2 with the reason and its offset when it is refused.
    RegistryPol(registry_pol::Args),
    /// The resultant set of policy of a device, or of a user on it, with the reason of every link.
    Rsop(rsop::Args),
    /// What of a GPO, a backup of GPOs or a SYSVOL reaches a device, and what does not and why.
    ImportCheck(import_check::Args),
    /// Run policy tests: what devices in files end with, by their containers and groups. Exit code 1 when one fails.
    Test(test::Args),
    /// What needs a server.
    #[command(flatten)]
    Server(commands::policy::Action),
}

impl Action {
    /// Whether it needs no server.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        !matches!(self, Self::Server(_))
    }

    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::RegistryPol(args) => args.run(output),
            Self::Rsop(args) => args.run(output),
            Self::ImportCheck(args) => args.run(output),
            Self::Test(args) => args.run(output),
            Self::Server(_) => Ok(Exit::Done),
        }
    }
}

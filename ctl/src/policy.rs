//! `posternctl policy …`: Group Policy in files, offline (docs/POLICY.md).

pub mod import_check;
pub mod registry_pol;
pub mod rsop;
pub mod sysvol;

use clap::Subcommand;

use crate::{
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
}

impl Action {
    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::RegistryPol(args) => args.run(output),
            Self::Rsop(args) => args.run(output),
            Self::ImportCheck(args) => args.run(output),
        }
    }
}

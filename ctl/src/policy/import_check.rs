//! `posternctl policy import-check PATH`: what of a GPO, a backup of GPOs or a SYSVOL reaches a device, and what does
//! not and why.

mod gather;
mod report;

use std::path::PathBuf;

use postern_api::problem::ProblemItem;
use postern_engine::policy::mapping::{operator, table::Table};

use self::report::Report;
use crate::{
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// What is to be checked, and against what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A Registry.pol, a GPO's folder, a folder of GPO backups, or a SYSVOL.
    pub path: PathBuf,
    /// A table of an operator's own, read as a core reads it; it counts before the built-in ones. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub table: Vec<PathBuf>,
    /// Show settings that map, too.
    #[arg(long)]
    pub all: bool,
}

impl Args {
    /// Checks it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let own = own_tables(&self.table)?;
        let built_in = [Table::windows(), Table::classic("postern"), Table::classic("windows-mobile")];
        let gpos = gather::gpos(&self.path)?;
        if gpos.is_empty() {
            let sentence = format!("{} holds no GPO and no Registry.pol", self.path.display());
            return Err(Failure::invalid("no-gpo", sentence));
        }
        let report = Report::of(&gpos, &own, &built_in);
        output.answer(&report, |report| report.table(self.all))?;
        Ok(Exit::Done)
    }
}

/// An operator's tables, in their order.
pub(super) fn own_tables(paths: &[PathBuf]) -> Result<Vec<Table>, Failure> {
    let one = |path: &PathBuf| {
        let octets = files::octets_up_to(path, operator::OCTETS as u64)?;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(operator::File { path: path.display().to_string(), name, octets })
    };
    let read = paths.iter().map(one).collect::<Result<Vec<_>, Failure>>()?;
    operator::tables(&read).map_err(|refused| {
        let at = format!("line {}", refused.error.line);
        let errors = vec![ProblemItem { at, detail: refused.error.kind.to_string() }];
        let sentence = format!("{} is not a table of mappings", refused.path);
        Failure { errors, ..Failure::invalid("invalid-table", sentence) }
    })
}

//! `posternctl policy import-check PATH`: what of a GPO, a backup of GPOs or a SYSVOL reaches a device, and what does
//! not and why.

mod gather;
mod report;

use std::path::PathBuf;

use postern_api::problem::ProblemItem;
use postern_engine::policy::mapping::{Dialect, table::Table};

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
    /// A table of an operator's own; its nodes count beside the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub table: Vec<PathBuf>,
    /// Show settings that map, too.
    #[arg(long)]
    pub all: bool,
}

impl Args {
    /// Checks it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let mut tables = vec![Table::windows(), Table::classic("postern"), Table::classic("windows-mobile")];
        for path in &self.table {
            tables.push(read_table(path)?);
        }
        let gpos = gather::gpos(&self.path)?;
        if gpos.is_empty() {
            let sentence = format!("{} holds no GPO and no Registry.pol", self.path.display());
            return Err(Failure::invalid("no-gpo", sentence));
        }
        let report = Report::of(&gpos, &tables);
        output.answer(&report, |report| report.table(self.all))?;
        Ok(Exit::Done)
    }
}

fn read_table(path: &std::path::Path) -> Result<Table, Failure> {
    let text = files::text(path)?;
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Table::read(&name, Dialect::Classic, &text).map_err(|error| {
        let errors = vec![ProblemItem { at: format!("line {}", error.line), detail: error.kind.to_string() }];
        let sentence = format!("{} is not a table of mappings", path.display());
        Failure { errors, ..Failure::invalid("invalid-table", sentence) }
    })
}

//! `posternctl conformance …`: runs the conformance cases and prints what they came to.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    conformance::{
        report::{self, Report},
        run::{self, Choice},
        table,
    },
    failure::{Exit, Failure},
    files,
    output::{self, Output},
};

/// What can be tested. Exit code 1 when a case fails that no explanation excuses.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// The cases on octets, against this program's own codec. Needs no network.
    Codec(Cases),
    /// The table of cases, without running any.
    List(Cases),
}

/// Which cases.
#[derive(Debug, Args)]
pub struct Cases {
    /// Only these: ids or their beginnings, such as SRV or SEC-0.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Put each case's mutant between it and its peer: every case that applies has to fail.
    #[arg(long)]
    pub mutate: bool,
    /// A file of failures that are expected: `ID: why` on each line.
    #[arg(long, value_name = "FILE")]
    pub explain: Option<PathBuf>,
    /// Write the report as Markdown to this file too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

impl Action {
    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Codec(cases) => {
                let report = run::codec(&cases.choice()?);
                cases.tell(&report, output)
            }
            Self::List(cases) => {
                let choice = cases.choice()?;
                let rows = table::rows().filter(|row| choice.takes(row));
                let lines: Vec<_> = rows.map(|row| report::Line::new(row, Vec::new(), None)).collect();
                output.answer(&lines, |lines| {
                    output::table(
                        ["ID", "BY", "SECTION", "RULE"],
                        lines.iter().map(|line| {
                            let by = format!("{:?}", line.obligation);
                            [line.id.to_owned(), by, line.section.to_owned(), line.rule.to_owned()]
                        }),
                    )
                })?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Cases {
    fn choice(&self) -> Result<Choice, Failure> {
        let explanations = match &self.explain {
            Some(path) => {
                let text = files::text(path)?;
                report::explanations(&text).map_err(|what| Failure::invalid("explain", what))?
            }
            None => std::collections::BTreeMap::new(),
        };
        Ok(Choice { only: self.only.clone(), mutate: self.mutate, explanations })
    }

    fn tell(&self, report: &Report, output: &mut Output<'_>) -> Result<Exit, Failure> {
        if let Some(path) = &self.markdown {
            std::fs::write(path, report.markdown()).map_err(|error| Failure::file(path, &error))?;
        }
        output.answer(report, |report| {
            let rows = report.cases.iter().map(|line| {
                let verdict = line.verdict.to_string();
                [line.id.to_owned(), verdict, line.section.to_owned(), line.rule.to_owned(), line.reason()]
            });
            let table = output::table(["ID", "VERDICT", "SECTION", "RULE", "REASON"], rows);
            format!("{table}\n\n{}", report.summary())
        })?;
        Ok(if report.is_bad() { Exit::Refused } else { Exit::Done })
    }
}

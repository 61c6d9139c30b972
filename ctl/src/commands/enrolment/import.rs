//! `posternctl enrolment import FILE.csv`: many requests at once.
//!
//! Promise: the whole file is read and checked before anything is asked for; each refusal names its line. The passwords go
//! into a new file that only its owner reads, never to the terminal.

use std::path::PathBuf;

use clap::Args;
use postern_api::enrolment::{
    ImportEnrolments, ImportedEnrolment, ImportedEnrolments, MOST_IMPORTED, RequestEnrolment,
};

use crate::csv::{self, Record};
use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
};

/// The columns that a file may have, in any order; only `name` has to be there.
const COLUMNS: &[&str] =
    &["name", "owner", "groups", "platform", "auth", "email_domain", "hardware_id", "renews", "expires"];

/// Arguments of `enrolment import`.
#[derive(Debug, Args)]
pub struct Import {
    /// A CSV file whose first line names its columns: name, owner, groups (with `;` between), platform, auth,
    /// email_domain, hardware_id, renews, expires.
    pub file: PathBuf,
    /// Write the result, with the one-time passwords, to this new file (readable by its owner only).
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    pub out: Option<PathBuf>,
    /// Make all of them or none.
    #[arg(long)]
    pub all_or_none: bool,
    /// Only read and check the file.
    #[arg(long)]
    pub check: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

/// A line that was refused.
type Fault = (usize, String);

impl Import {
    /// Does it.
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let (lines, requests) = read(&files::text(&self.file)?, self.reason.as_deref()).map_err(faults)?;
        if self.check {
            output.remark(&format!("{} requests, and nothing wrong with them", requests.len()));
            return Ok(Exit::Done);
        }
        let Some(out) = &self.out else { return Err(Failure::usage("give --out FILE")) };
        if out.exists() {
            return Err(Failure::invalid("out-exists", format!("{} is there already", out.display())));
        }
        if self.all_or_none && requests.len() > MOST_IMPORTED {
            let why = format!("all or none is for at most {MOST_IMPORTED} lines");
            return Err(Failure::invalid("too-many", why));
        }
        let mut done = ImportedEnrolments::default();
        for chunk in requests.chunks(MOST_IMPORTED) {
            let body = ImportEnrolments { requests: chunk.to_vec(), all_or_none: self.all_or_none };
            let part: ImportedEnrolments = client.post(&["enrolment-imports"], &body).await?;
            let before = done.items.len();
            done.made += part.made;
            done.refused += part.refused;
            done.items.extend(
                part.items.into_iter().map(|item| ImportedEnrolment { index: before + item.index, ..item }),
            );
        }
        files::write_secret(out, result(&lines, &requests, &done).as_bytes())?;
        let refused: Vec<[String; 2]> = done
            .items
            .iter()
            .filter_map(|item| Some([lines.get(item.index)?.to_string(), item.refused.clone()?]))
            .collect();
        let figures = (done.made, done.refused);
        output.answer(&Told { made: done.made, refused: done.refused, lines: &refused }, |_| {
            let summary =
                format!("{} made, {} refused; the passwords are in {}", figures.0, figures.1, out.display());
            if refused.is_empty() {
                summary
            } else {
                format!("{summary}\n\n{}", output::table(["LINE", "REFUSED BECAUSE"], refused.clone()))
            }
        })?;
        Ok(if done.refused == 0 { Exit::Done } else { Exit::Refused })
    }
}

/// What a script is told: no password.
#[derive(serde::Serialize)]
struct Told<'a> {
    made: usize,
    refused: usize,
    lines: &'a [[String; 2]],
}

fn faults(faults: Vec<Fault>) -> Failure {
    let text: Vec<String> = faults.iter().map(|(line, why)| format!("line {line}: {why}")).collect();
    Failure::invalid("csv", text.join("\n"))
}

/// The requests of a file, each with its line; or everything that is wrong with it.
fn read(text: &str, reason: Option<&str>) -> Result<(Vec<usize>, Vec<RequestEnrolment>), Vec<Fault>> {
    let records = csv::read(text).map_err(|(line, why)| vec![(line, why.to_owned())])?;
    let Some((head, rest)) = records.split_first() else {
        return Err(vec![(1, "the file is empty".to_owned())]);
    };
    let columns: Vec<String> = head.fields.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let mut wrong: Vec<Fault> = columns
        .iter()
        .filter(|name| !COLUMNS.contains(&name.as_str()))
        .map(|name| (head.line, format!("{name:?} is no column; there are {}", COLUMNS.join(", "))))
        .collect();
    if !columns.iter().any(|name| name == "name") {
        wrong.push((head.line, "the column name is missing".to_owned()));
    }
    if rest.is_empty() {
        wrong.push((head.line, "no line follows the names of the columns".to_owned()));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let (mut lines, mut requests) = (Vec::new(), Vec::new());
    for record in rest {
        match one(record, &columns, reason) {
            Ok(request) => {
                lines.push(record.line);
                requests.push(request);
            }
            Err(why) => wrong.push((record.line, why)),
        }
    }
    if wrong.is_empty() { Ok((lines, requests)) } else { Err(wrong) }
}

fn one(record: &Record, columns: &[String], reason: Option<&str>) -> Result<RequestEnrolment, String> {
    if record.fields.len() != columns.len() {
        return Err(format!("{} fields where the first line has {}", record.fields.len(), columns.len()));
    }
    let mut request = RequestEnrolment { reason: reason.map(str::to_owned), ..RequestEnrolment::default() };
    for (column, field) in columns.iter().zip(&record.fields) {
        let text = field.trim();
        if text.is_empty() {
            continue;
        }
        let value = Some(text.to_owned());
        match column.as_str() {
            "name" => text.clone_into(&mut request.name),
            "owner" => request.owner = value,
            "groups" => {
                let groups = text.split(';').map(str::trim).filter(|group| !group.is_empty());
                request.groups = groups.map(str::to_owned).collect();
            }
            "platform" => request.platform = value,
            "auth" => request.auth = Some(text.parse().map_err(|error| format!("auth: {error}"))?),
            "email_domain" => request.email_domain = value,
            "hardware_id" => request.hardware_id = value,
            "renews" => request.renews = value,
            _ => request.expires = Some(text.parse().map_err(|error| format!("expires: {error}"))?),
        }
    }
    if request.name.is_empty() && request.renews.is_none() {
        return Err("the name is missing".to_owned());
    }
    Ok(request)
}

/// The result: every line, with its password or why there is none.
fn result(lines: &[usize], requests: &[RequestEnrolment], done: &ImportedEnrolments) -> String {
    let head = ["line", "name", "owner", "code", "one_time_password", "expires", "server", "refused"];
    let mut text = csv::write(&head);
    for item in &done.items {
        let (Some(line), Some(request)) = (lines.get(item.index), requests.get(item.index)) else { continue };
        let made = item.made.as_ref();
        let expires = made.map(|made| made.request.expires.to_string()).unwrap_or_default();
        text.push_str(&csv::write(&[
            &line.to_string(),
            &request.name,
            request.owner.as_deref().unwrap_or_default(),
            made.map_or("", |made| made.request.code.as_str()),
            made.map_or("", |made| made.password.as_str()),
            &expires,
            made.map_or("", |made| made.server.as_str()),
            item.refused.as_deref().unwrap_or_default(),
        ]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_by_its_columns_in_any_order() {
        let text =
            "owner,name,groups,auth\nann@example.com,Handheld 1,\"Sales; Field\",signed\n,Handheld 2,,\n";
        let (lines, requests) = read(text, Some("roll-out")).unwrap();
        assert_eq!(lines, [2, 3]);
        assert_eq!(requests[0].name, "Handheld 1");
        assert_eq!(requests[0].groups, ["Sales", "Field"]);
        assert_eq!(requests[0].reason.as_deref(), Some("roll-out"));
        assert_eq!((requests[1].owner.as_deref(), requests[1].auth), (None, None));
    }

    #[test]
    fn every_line_that_is_wrong_is_named_and_nothing_is_asked_for() {
        let text = "name,auth,expires\nA,signed,\nB,nothing,\n,md5,\nD,md5,tomorrow\nE\n";
        let wrong: Vec<usize> = read(text, None).unwrap_err().into_iter().map(|(line, _)| line).collect();
        assert_eq!(wrong, [3, 4, 5, 6]);
        for head in ["", "name\n", "owner\nx\n", "name,colour\nx,red\n"] {
            assert!(read(head, None).is_err(), "{head:?}");
        }
    }
}

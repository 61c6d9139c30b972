//! `policy explain`, `what-if` and `compare`.

use std::path::PathBuf;

use clap::Args;
use postern_api::{
    device_policy::{PolicySetting, PolicySource},
    policy_answers::{
        PolicyComparison, PolicyExplanation, PolicyLayer, PolicyLink, PolicyNodeDifference, PolicyValue,
        SupposeLink, SupposePolicy,
    },
};
use serde_json::json;

use super::files;
use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash, or_empty},
    time,
};

/// What is supposed of a device.
#[derive(Debug, Args)]
pub struct WhatIf {
    /// An enrolment's id, a DevId or a name.
    device: String,
    /// Its computer object lies in this container.
    #[arg(long, value_name = "OU")]
    move_to: Option<String>,
    /// It is in this group, too: of documents, or of the directory. May be given several times.
    #[arg(long, value_name = "GROUP")]
    add_group: Vec<String>,
    /// This GPO is linked, too: `NAME@OU`, the weakest link there. May be given several times.
    #[arg(long, value_name = "GPO@OU")]
    link: Vec<String>,
    /// The same, enforced.
    #[arg(long, value_name = "GPO@OU")]
    link_enforced: Vec<String>,
    /// These documents are applied: a file or a folder. May be given several times.
    #[arg(long, value_name = "FILE|DIR")]
    document: Vec<PathBuf>,
}

/// Explains a device's policy, or one setting of it.
pub(super) async fn explain(
    device: &str,
    setting: Option<&str>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let path = ["devices", device, "policy", "explain"];
    let explanation: PolicyExplanation = client.get(&path, &json!({ "setting": setting })).await?;
    explained(&explanation, setting.is_some(), output)
}

fn explained(explanation: &PolicyExplanation, one: bool, output: &mut Output<'_>) -> Result<Exit, Failure> {
    output.rows(
        explanation,
        |explanation| if one { settings(explanation) } else { whole(explanation) },
        [
            "device",
            "uri",
            "state",
            "value",
            "format",
            "source",
            "name",
            "place",
            "enforced",
            "losers",
            "removal",
            "confirmed_at",
            "code",
            "because",
        ],
        rows,
    )?;
    Ok(Exit::Done)
}

/// Compares two devices.
pub(super) async fn compare(
    one: &str,
    other: &str,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let query = json!({ "one": one, "other": other });
    let comparison: PolicyComparison = client.get(&["policy", "compare"], &query).await?;
    told(&comparison, output)
}

impl WhatIf {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let mut links = Vec::new();
        for (texts, enforced) in [(&self.link, false), (&self.link_enforced, true)] {
            for text in texts {
                let (gpo, som) = text.rsplit_once('@').ok_or_else(|| {
                    Failure::usage(format!("{text:?} is no GPO@OU: the GPO's name, an @, the container's DN"))
                })?;
                links.push(SupposeLink { gpo: gpo.to_owned(), som: som.to_owned(), enforced });
            }
        }
        let files = if self.document.is_empty() { Vec::new() } else { files::gather(&self.document)? };
        let body = SupposePolicy { move_to: self.move_to, add_groups: self.add_group, links, files };
        if body == SupposePolicy::default() {
            return Err(Failure::usage("suppose something: --move-to, --add-group, --link or --document"));
        }
        let path = ["devices", &self.device, "policy", "what-if"];
        let comparison: PolicyComparison = client.post(&path, &body).await?;
        told(&comparison, output)
    }
}

fn told(comparison: &PolicyComparison, output: &mut Output<'_>) -> Result<Exit, Failure> {
    output.rows(
        comparison,
        compared,
        ["uri", "what", "one", "one_value", "one_source", "other", "other_value", "other_source"],
        |comparison| {
            let row = |difference: &PolicyNodeDifference| {
                [
                    difference.uri.clone(),
                    difference.what.clone(),
                    comparison.one.clone(),
                    value(difference.one.as_ref()),
                    from(difference.one.as_ref()),
                    comparison.other.clone(),
                    value(difference.other.as_ref()),
                    from(difference.other.as_ref()),
                ]
            };
            comparison.differences.iter().map(row).collect()
        },
    )?;
    Ok(Exit::Done)
}

fn compared(comparison: &PolicyComparison) -> String {
    let head = output::fields([
        ("supposed", comparison.supposed.join("; ")),
        ("left", comparison.one.clone()),
        ("right", comparison.other.clone()),
        ("the same", comparison.same.to_string()),
    ]);
    let rows = comparison.differences.iter().map(|difference| {
        [
            difference.uri.clone(),
            value(difference.one.as_ref()),
            from(difference.one.as_ref()),
            value(difference.other.as_ref()),
            from(difference.other.as_ref()),
        ]
    });
    let table = output::table(["NODE", "LEFT", "FROM", "RIGHT", "FROM"], rows);
    format!("{head}\n\nDifferences\n{table}{}", chain(&comparison.links, &comparison.documents))
}

fn value(side: Option<&PolicyValue>) -> String {
    side.map_or_else(
        || "not set".to_owned(),
        |side| side.value.clone().unwrap_or_else(|| "absent".to_owned()),
    )
}

fn from(side: Option<&PolicyValue>) -> String {
    or_dash(side.map(|side| &side.source.name))
}

fn whole(explanation: &PolicyExplanation) -> String {
    let head = output::fields([
        ("device", format!("{} ({})", explanation.name, explanation.device)),
        ("computer", or_empty(explanation.computer.as_ref())),
        ("user", or_empty(explanation.user.as_ref())),
        ("site", site(explanation)),
        ("groups", explanation.groups.join(", ")),
        ("mapping tables", explanation.tables.join(", ")),
        ("cannot be computed now", or_empty(explanation.stale.as_ref())),
    ]);
    let unmapped = explanation
        .unmapped
        .iter()
        .map(|one| [one.setting.clone(), one.source.name.clone(), one.reason.clone(), one.detail.clone()]);
    let unmapped = if explanation.unmapped.is_empty() {
        String::new()
    } else {
        let table = output::table(["SETTING", "FROM", "REASON", "DETAIL"], unmapped);
        format!("\n\nGoes nowhere on this device\n{table}")
    };
    format!(
        "{head}{}\n\nSettings\n{}{unmapped}",
        chain(&explanation.links, &explanation.documents),
        output::table(
            ["NODE", "VALUE", "FROM", "STATE", "CONFIRMED", "LOSERS"],
            explanation.settings.iter().map(|setting| [
                setting.uri.clone(),
                shown(setting),
                or_dash(setting.source.as_ref().map(|source| &source.name)),
                setting.state.clone(),
                or_dash(setting.confirmed_at.map(time::short)),
                setting.losers.iter().map(|loser| loser.name.as_str()).collect::<Vec<_>>().join(", "),
            ])
        )
    )
}

/// The site with why it is that one.
fn site(explanation: &PolicyExplanation) -> String {
    match (&explanation.site, &explanation.site_because) {
        (Some(site), Some(because)) => format!("{site} ({because})"),
        (None, Some(because)) => format!("none: {because}"),
        (site, None) => or_empty(site.as_ref()),
    }
}

/// The links and the documents on the way.
fn chain(links: &[PolicyLink], documents: &[PolicyLayer]) -> String {
    let mut text = String::new();
    if !links.is_empty() {
        let rows = links.iter().map(|link| {
            [
                or_dash(link.applied),
                link.part.clone(),
                link.gpo.clone(),
                link.som.clone(),
                link.link_order.to_string(),
                if link.enforced { "enforced" } else { "" }.to_owned(),
                link.reason.clone(),
                link.detail.clone(),
            ]
        });
        let names = ["APPLIED", "PART", "GPO", "CONTAINER", "ORDER", "", "REASON", "DETAIL"];
        text.push_str(
            "\n\nLinks, nearest container first; APPLIED is the place in the order, the last wins\n",
        );
        text.push_str(&output::table(names, rows));
    }
    if !documents.is_empty() {
        let rows = documents.iter().map(|layer| {
            [
                layer.name.clone(),
                if layer.version == 0 { "supposed".to_owned() } else { layer.version.to_string() },
                layer.group.clone(),
                layer.depth.to_string(),
                layer.order.to_string(),
                if layer.enforced { "enforced" } else { "" }.to_owned(),
            ]
        });
        text.push_str("\n\nDocuments in their order, the last wins\n");
        text.push_str(&output::table(["DOCUMENT", "VERSION", "GROUP", "DEPTH", "ORDER", ""], rows));
    }
    text
}

/// Each setting with everything that is known of it.
fn settings(explanation: &PolicyExplanation) -> String {
    let one = |setting: &PolicySetting| {
        let losers: Vec<String> = setting.losers.iter().map(source).collect();
        output::fields([
            ("node", setting.uri.clone()),
            ("value", shown(setting)),
            ("format", or_empty(setting.format.as_ref())),
            ("won", setting.source.as_ref().map(source).unwrap_or_default()),
            ("lost, nearest first", losers.join("; ")),
            ("when nobody wants it", or_empty(setting.removal.as_ref())),
            ("state", setting.state.clone()),
            ("because", setting.because.clone()),
            ("device's code", or_empty(setting.code)),
            ("confirmed", or_empty(setting.confirmed_at.map(time::short))),
            (
                "found otherwise",
                if setting.drift == 0 { String::new() } else { format!("{} times", setting.drift) },
            ),
            ("cannot be computed now", or_empty(explanation.stale.as_ref())),
        ])
    };
    let all: Vec<String> = explanation.settings.iter().map(one).collect();
    format!("{}{}", all.join("\n\n"), chain(&explanation.links, &explanation.documents))
}

fn shown(setting: &PolicySetting) -> String {
    match (&setting.value, setting.leaving) {
        (Some(value), _) => value.clone(),
        (None, true) => "wanted by nobody".to_owned(),
        (None, false) => "absent".to_owned(),
    }
}

fn source(source: &PolicySource) -> String {
    let enforced = if source.enforced { ", enforced" } else { "" };
    let setting = source.setting.as_ref().map(|setting| format!(" ({setting})")).unwrap_or_default();
    let version = source.version.map(|version| format!(" version {version}")).unwrap_or_default();
    format!("{} {}{version} at {}{enforced}{setting}", source.kind, source.name, source.place)
}

fn rows(explanation: &PolicyExplanation) -> Vec<[String; 14]> {
    let row = |setting: &PolicySetting| {
        let source = setting.source.as_ref();
        [
            explanation.name.clone(),
            setting.uri.clone(),
            setting.state.clone(),
            setting.value.clone().unwrap_or_default(),
            or_empty(setting.format.as_ref()),
            or_empty(source.map(|source| &source.kind)),
            or_empty(source.map(|source| &source.name)),
            or_empty(source.map(|source| &source.place)),
            or_empty(source.map(|source| source.enforced)),
            setting.losers.iter().map(|loser| loser.name.as_str()).collect::<Vec<_>>().join("; "),
            or_empty(setting.removal.as_ref()),
            or_empty(setting.confirmed_at.map(time::short)),
            or_empty(setting.code),
            setting.because.clone(),
        ]
    };
    explanation.settings.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::Format, csv};

    /// What a directory, a device or a document could say, to act on a spreadsheet, a terminal or the columns.
    const HOSTILE: [&str; 5] =
        ["=HYPERLINK(\"http://x\")", "+1,2", "-2+3|cmd", "@SUM(A1)", "a \"b\", c\u{1b}[2J\r\nd"];

    fn printed(format: Format, print: impl FnOnce(&mut Output<'_>) -> Result<Exit, Failure>) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(print(&mut Output { format, out: &mut out, err: &mut err }).unwrap(), Exit::Done);
        String::from_utf8(out).unwrap()
    }

    fn explanation() -> PolicyExplanation {
        let source = |name: &str| json!({"kind": "gpo", "name": name, "place": HOSTILE[3], "enforced": false, "setting": HOSTILE[0]});
        let setting = |value: &str| {
            json!({"uri": "./A", "state": "error", "value": value, "format": "chr", "deleted": false, "leaving": false,
                "source": source(value), "losers": [source(HOSTILE[1])], "removal": "delete", "drift": 0, "because": value})
        };
        let settings: Vec<_> = HOSTILE.iter().map(|text| setting(text)).collect();
        let links: Vec<String> = Vec::new();
        serde_json::from_value(
            json!({"device": "0199f7a0-0000-7000-8000-000000000001", "name": HOSTILE[0], "groups": [],
            "links": links, "documents": [], "tables": [], "settings": settings, "unmapped": []}),
        )
        .unwrap()
    }

    fn comparison() -> PolicyComparison {
        let side = |value: &str| {
            let source = json!({"kind": "document", "name": value, "place": "g", "enforced": false});
            json!({"value": value, "source": source})
        };
        let differences: Vec<_> = HOSTILE
            .iter()
            .map(|text| json!({"uri": "./A", "what": "value", "one": side(text), "other": side(text)}))
            .collect();
        serde_json::from_value(
            json!({"one": HOSTILE[1], "other": HOSTILE[2], "differences": differences, "same": 1}),
        )
        .unwrap()
    }

    /// Rows of equal length, each ended as RFC 4180 has it, no cell of which acts on anything.
    fn is_harmless(text: &str, rows: usize) {
        assert!(text.ends_with("\r\n") && !text.contains('\u{1b}'), "{text:?}");
        let read = csv::read(text).unwrap();
        assert_eq!(read.len(), rows + 1);
        for record in &read {
            assert_eq!(record.fields.len(), read[0].fields.len(), "{record:?}");
            for field in &record.fields {
                assert!(!field.starts_with(['=', '+', '-', '@']), "{field:?}");
                assert!(!field.contains(['\r', '\n']), "{field:?}");
            }
        }
    }

    #[test]
    fn explanations_and_comparisons_are_exported_as_csv_that_acts_on_nothing_and_as_json_that_is_whole() {
        let (explanation, comparison) = (explanation(), comparison());
        is_harmless(&printed(Format::Csv, |output| explained(&explanation, false, output)), HOSTILE.len());
        is_harmless(&printed(Format::Csv, |output| explained(&explanation, true, output)), HOSTILE.len());
        // what-if and compare print by the same function.
        let csv = printed(Format::Csv, |output| told(&comparison, output));
        is_harmless(&csv, HOSTILE.len());
        assert!(csv.contains("'=HYPERLINK(\"\"http://x\"\")"), "{csv}");

        let json = printed(Format::Json, |output| explained(&explanation, false, output));
        assert_eq!(serde_json::from_str::<PolicyExplanation>(&json).unwrap(), explanation);
        let json = printed(Format::Json, |output| told(&comparison, output));
        assert_eq!(serde_json::from_str::<PolicyComparison>(&json).unwrap(), comparison);
    }
}

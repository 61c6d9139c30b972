//! `posternctl quirks …`: what models of devices cannot do, and how they are recognised.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Subcommand;
use postern_api::{
    Page,
    quirks::{AddQuirks, QuirkProfile},
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with quirk profiles.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the profiles in force, in the order in which they add up.
    List,
    /// Show a profile as TOML, with who added it.
    Show {
        /// Its name.
        profile: String,
    },
    /// Add profiles, or put them in the place of those of their names. Sessions that begin from now on go by them.
    Add {
        /// A file of [[profile]] tables: name, source, match, quirks; `-` is stdin.
        file: PathBuf,
    },
    /// Delete a profile that was added; a built-in one of its name counts again.
    Delete {
        /// Its name.
        profile: String,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let profiles: Vec<QuirkProfile> = client.list(&["quirks"], &(), None).await?;
                output.answer(&profiles, |profiles| listed(profiles))?;
            }
            Self::Show { profile } => {
                let profile: QuirkProfile = client.get(&["quirks", &profile], &()).await?;
                output.answer(&profile, shown)?;
            }
            Self::Add { file } => {
                let document = files::text(&file)?;
                let added: Page<QuirkProfile> = client.post(&["quirks"], &AddQuirks { document }).await?;
                output.answer(&added.items, |profiles| listed(profiles))?;
            }
            Self::Delete { profile } => {
                client.delete(&["quirks", &profile], &()).await?;
                output.remark(&format!("deleted {profile}"));
            }
        }
        Ok(Exit::Done)
    }
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn listed(profiles: &[QuirkProfile]) -> String {
    output::table(
        ["PROFILE", "ORIGIN", "MATCHES", "QUIRKS", "SEEN"],
        profiles.iter().map(|profile| {
            [
                profile.name.clone(),
                profile.origin.clone(),
                pairs(&profile.matches),
                pairs(&profile.quirks),
                profile.source.clone(),
            ]
        }),
    )
}

fn shown(profile: &QuirkProfile) -> String {
    let document: Vec<_> = profile.document.lines().map(text::terminal).collect();
    format!(
        "# {}, added by {} at {}\n{}",
        profile.origin,
        or_dash(profile.added_by.as_deref().map(text::terminal).as_ref()),
        or_dash(profile.added_at.map(time::short)),
        document.join("\n")
    )
}

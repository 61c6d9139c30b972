//! `posternctl mo …`: management objects, their descriptions, and addresses completed by them.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use postern_api::objects::{
    CompleteQuery, Completions, DescribedNode, ImportObject, ManagementObject, ManagementObjectDetail,
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
};

/// What can be done with management objects.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the management objects that are known: built in and imported.
    List,
    /// Show a management object and its nodes: formats, access types, occurrence.
    Show {
        /// Its name.
        object: String,
    },
    /// Import a description: a DDF document (version 1.2) in XML or WBXML.
    Import {
        /// The document; `-` is stdin.
        file: PathBuf,
        /// What it is to be called; the name of its first node when absent. One of this name is replaced.
        #[arg(long)]
        name: Option<String>,
    },
    /// Delete an imported description.
    Delete {
        /// Its name.
        object: String,
    },
    /// Complete an address that was begun, such as ./DMAcc/.
    Complete {
        /// What was begun.
        #[arg(default_value = "")]
        prefix: String,
        /// Use the names and places that this device is known to have.
        #[arg(long)]
        device: Option<String>,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let objects: Vec<ManagementObject> = client.list(&["objects"], &(), None).await?;
                output.answer(&objects, |objects| listed(objects))?;
            }
            Self::Show { object } => {
                let object: ManagementObjectDetail = client.get(&["objects", &object], &()).await?;
                output.answer(&object, |object| {
                    format!(
                        "{}\n\n{}",
                        listed(std::slice::from_ref(&object.object)),
                        nodes(&object.described)
                    )
                })?;
            }
            Self::Import { file, name } => {
                let octets = files::octets(&file)?;
                let body = match String::from_utf8(octets) {
                    Ok(text) if text.trim_start().trim_start_matches('\u{FEFF}').starts_with('<') => {
                        ImportObject { name, document: Some(text), document_base64: None }
                    }
                    Ok(text) => packed(name, text.as_bytes()),
                    Err(error) => packed(name, error.as_bytes()),
                };
                let object: ManagementObject = client.post(&["objects"], &body).await?;
                output.answer(&object, |object| listed(std::slice::from_ref(object)))?;
            }
            Self::Delete { object } => {
                client.delete(&["objects", &object], &()).await?;
                output.remark(&format!("deleted {object}"));
            }
            Self::Complete { prefix, device } => {
                let query = CompleteQuery { prefix, device };
                let found: Completions = client.get(&["completions"], &query).await?;
                output.answer(&found, |found| nodes(&found.items))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn packed(name: Option<String>, octets: &[u8]) -> ImportObject {
    ImportObject { name, document: None, document_base64: Some(STANDARD.encode(octets)) }
}

fn listed(objects: &[ManagementObject]) -> String {
    output::table(
        ["NAME", "ORIGIN", "IDENTIFIER", "STANDS AT", "NODES", "READ OVER"],
        objects.iter().map(|object| {
            [
                object.name.clone(),
                object.origin.clone(),
                or_dash((!object.ids.is_empty()).then(|| object.ids.join(" ")).as_ref()),
                object.places.join(" "),
                object.nodes.to_string(),
                object.skipped.to_string(),
            ]
        }),
    )
}

fn nodes(nodes: &[DescribedNode]) -> String {
    output::table(
        ["NODE", "FORMAT", "ACCESS", "OCCURRENCE", "DESCRIPTION"],
        nodes.iter().map(|node| {
            [
                if node.more { format!("{}/", node.uri) } else { node.uri.clone() },
                or_dash(node.format.as_ref()),
                if node.access.is_empty() { "-".to_owned() } else { node.access.join(" ") },
                or_dash(node.occurrence.as_ref()),
                node.description.clone().unwrap_or_default(),
            ]
        }),
    )
}

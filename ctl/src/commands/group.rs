//! `posternctl group …`: static groups of devices, nested without cycles.

use clap::{Args, Subcommand};
use postern_api::{
    devices::ReasonQuery,
    groups::{CreateGroup, Group, GroupDetail},
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash, or_empty},
    text,
};

/// What can be done with groups.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List groups by name.
    List,
    /// Make a group.
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
    },
    /// Show a group and its direct members.
    Show {
        /// Its id or name.
        group: String,
    },
    /// Delete a group; its members stay.
    Delete {
        /// Its id or name.
        group: String,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Put a device or a group into a group.
    Add(Member),
    /// Take a device or a group out of a group.
    Remove(Member),
}

/// A group and the member to add or remove.
#[derive(Debug, Args)]
pub struct Member {
    /// The group's id or name.
    pub group: String,
    /// The device: an enrolment's id, a DevId or a name.
    #[arg(required_unless_present = "member", conflicts_with = "member")]
    pub device: Option<String>,
    /// A group as the member, by id or name.
    #[arg(long = "group-member", value_name = "GROUP")]
    pub member: Option<String>,
}

impl Member {
    fn path(&self) -> Result<[&str; 4], Failure> {
        match (&self.device, &self.member) {
            (Some(device), None) => Ok(["groups", &self.group, "devices", device]),
            (None, Some(member)) => Ok(["groups", &self.group, "groups", member]),
            _ => Err(Failure::usage("give a device, or --group-member GROUP")),
        }
    }
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let groups: Vec<Group> = client.list(&["groups"], &(), None).await?;
                output.answer(&groups, |groups| listed(groups))?;
            }
            Self::Create { name, description } => {
                let group: Group = client.post(&["groups"], &CreateGroup { name, description }).await?;
                output.answer(&group, |group| {
                    format!("made group {} ({})", text::terminal(&group.name), group.id)
                })?;
            }
            Self::Show { group } => {
                let group: GroupDetail = client.get(&["groups", &group], &()).await?;
                output.answer(&group, shown)?;
            }
            Self::Delete { group, reason } => {
                client.delete(&["groups", &group], &ReasonQuery { reason }).await?;
                output.remark(&format!("deleted group {group}"));
            }
            Self::Add(member) => {
                client.put(&member.path()?).await?;
                output.remark("added");
            }
            Self::Remove(member) => {
                client.delete(&member.path()?, &()).await?;
                output.remark("removed");
            }
        }
        Ok(Exit::Done)
    }
}

fn listed(groups: &[Group]) -> String {
    output::table(
        ["ID", "NAME", "DEVICES", "GROUPS", "DESCRIPTION"],
        groups.iter().map(|group| {
            [
                group.id.to_string(),
                group.name.clone(),
                group.device_count.to_string(),
                group.group_count.to_string(),
                or_dash(group.description.as_ref()),
            ]
        }),
    )
}

fn shown(detail: &GroupDetail) -> String {
    let names = |groups: &[postern_api::groups::GroupRef]| {
        groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let fields = output::fields([
        ("id", detail.group.id.to_string()),
        ("name", detail.group.name.clone()),
        ("description", or_empty(detail.group.description.as_ref())),
        ("devices", detail.group.device_count.to_string()),
        ("groups in it", names(&detail.groups)),
        ("member of", names(&detail.member_of)),
    ]);
    if detail.devices.is_empty() {
        return fields;
    }
    let rows = detail
        .devices
        .iter()
        .map(|device| [device.id.to_string(), device.device_id.clone(), or_dash(device.name.as_ref())]);
    format!("{fields}\n\n{}", output::table(["DEVICE", "DEVICE ID", "NAME"], rows))
}

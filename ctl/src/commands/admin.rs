//! `posternctl admin …` and `posternctl role …`: who may do what. Nobody changes their own roles.

use std::path::PathBuf;

use clap::Subcommand;
use postern_api::{
    admins::{Admin, CreateAdmin, Me, RoleInfo, UpdateAdmin},
    recovery::SetPassword,
};
use postern_wire::terms::Role;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use crate::{
    client::Client,
    commands::recovery::asked,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
    text, time,
};

/// What can be done with admins.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List admins by name.
    List,
    /// Show an admin.
    Show {
        /// Its id or name.
        admin: String,
    },
    /// Show who the token in use belongs to and what it may do.
    Me,
    /// Set your own password, which is asked for before a secret is shown.
    Password {
        /// A file that holds the new one; without it the terminal is asked.
        #[arg(long)]
        new_file: Option<PathBuf>,
        /// A file that holds the one that is set, where there is one.
        #[arg(long)]
        current_file: Option<PathBuf>,
    },
    /// Make an admin.
    Create {
        /// Its name.
        name: String,
        /// A role that it gets; may be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Disable an admin: its tokens no longer hold.
    Disable {
        /// Its id or name.
        admin: String,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Enable an admin again.
    Enable {
        /// Its id or name.
        admin: String,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// What can be done with roles.
#[derive(Debug, Subcommand)]
pub enum RoleAction {
    /// List roles and what each may do.
    List,
    /// Give an admin a role.
    Give(Gift),
    /// Take a role from an admin.
    Take(Gift),
}

/// An admin and a role.
#[derive(Debug, clap::Args)]
pub struct Gift {
    /// The admin's id or name.
    pub admin: String,
    /// helpdesk, support, device-admin, security-admin, gateway-admin or auditor.
    pub role: Role,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let admins: Vec<Admin> = client.list(&["admins"], &(), None).await?;
                output.answer(&admins, |admins| listed(admins))?;
            }
            Self::Show { admin } => {
                let admin: Admin = client.get(&["admins", &admin], &()).await?;
                output.answer(&admin, shown)?;
            }
            Self::Password { new_file, current_file } => {
                let new = match &new_file {
                    Some(file) => files::secret(file)?,
                    None => asked("New password")?,
                };
                let current = current_file.as_deref().map(files::secret).transpose()?;
                let body = SetPassword {
                    password: new.expose_secret().to_owned(),
                    current: current.map(|current| current.expose_secret().to_owned()),
                };
                client.put_nothing(&["me", "password"], &body).await?;
                output.answer(&serde_json::json!({ "set": true }), |_| "your password is set".to_owned())?;
            }
            Self::Me => {
                let me: Me = client.get(&["me"], &()).await?;
                output.answer(&me, |me| {
                    let permissions: Vec<_> =
                        me.permissions.iter().map(|permission| permission.as_str()).collect();
                    let more =
                        output::fields([("token", me.token.to_string()), ("may", permissions.join(", "))]);
                    format!("{}\n{more}", shown(&me.admin))
                })?;
            }
            Self::Create { name, roles } => {
                let admin: Admin = client.post(&["admins"], &CreateAdmin { name, roles }).await?;
                output.answer(&admin, shown)?;
            }
            Self::Disable { admin, reason } => {
                change(client, &admin, output, |_| UpdateAdmin { roles: None, disabled: Some(true), reason })
                    .await?;
            }
            Self::Enable { admin, reason } => {
                change(client, &admin, output, |_| UpdateAdmin {
                    roles: None,
                    disabled: Some(false),
                    reason,
                })
                .await?;
            }
        }
        Ok(Exit::Done)
    }
}

impl RoleAction {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let roles: Vec<RoleInfo> = client.list(&["roles"], &(), None).await?;
                output.answer(&roles, |roles| roles_listed(roles))?;
            }
            Self::Give(Gift { admin, role, reason }) => {
                change(client, &admin, output, |before| {
                    let mut roles = before.roles.clone();
                    roles.retain(|held| *held != role);
                    roles.push(role);
                    UpdateAdmin { roles: Some(roles), disabled: None, reason }
                })
                .await?;
            }
            Self::Take(Gift { admin, role, reason }) => {
                change(client, &admin, output, |before| {
                    let roles = before.roles.iter().copied().filter(|held| *held != role).collect();
                    UpdateAdmin { roles: Some(roles), disabled: None, reason }
                })
                .await?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Reads an admin and changes exactly what was read.
async fn change(
    client: &Client,
    admin: &str,
    output: &mut Output<'_>,
    update: impl FnOnce(&Admin) -> UpdateAdmin,
) -> Result<(), Failure> {
    let before = client.get_versioned::<Admin>(&["admins", admin]).await?;
    let id = before.value.id.to_string();
    let update = update(&before.value);
    let after: Admin = client.change(Method::PATCH, &["admins", &id], &before.etag, &update).await?;
    output.answer(&after, shown)
}

fn roles(admin: &Admin) -> String {
    let roles: Vec<_> = admin.roles.iter().map(|role| role.as_str()).collect();
    roles.join(", ")
}

fn listed(admins: &[Admin]) -> String {
    output::table(
        ["ID", "NAME", "ROLES", "MADE", "STATE"],
        admins.iter().map(|admin| {
            let state = if admin.disabled { "disabled" } else { "enabled" };
            [
                admin.id.to_string(),
                admin.name.clone(),
                roles(admin),
                time::short(admin.created_at),
                state.to_owned(),
            ]
        }),
    )
}

fn shown(admin: &Admin) -> String {
    output::fields([
        ("id", admin.id.to_string()),
        ("name", admin.name.clone()),
        ("roles", roles(admin)),
        ("made", time::short(admin.created_at)),
        ("disabled", if admin.disabled { "yes".to_owned() } else { String::new() }),
    ])
}

fn roles_listed(roles: &[RoleInfo]) -> String {
    let lines = roles.iter().map(|info| {
        let permissions: Vec<_> = info.permissions.iter().map(|permission| permission.as_str()).collect();
        format!("{}\n  {}", text::terminal(info.role.as_str()), permissions.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

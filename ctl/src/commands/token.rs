//! `posternctl token …`: API tokens. A token's text is shown once, or written to a file.

use std::path::PathBuf;

use clap::Subcommand;
use postern_api::{
    Permission,
    devices::ReasonQuery,
    tokens::{CreateToken, CreatedToken, Token},
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a token; its text is shown once.
    Create {
        /// What it is for.
        name: String,
        /// For which admin, by id or name; the caller when absent.
        #[arg(long)]
        admin: Option<String>,
        /// When it stops holding (RFC 3339); 90 days on when absent.
        #[arg(long, value_name = "TIME")]
        expires: Option<postern_api::Time>,
        /// Narrow it to these permissions, such as devices.read,status.read.
        #[arg(long, value_delimiter = ',', value_parser = permission)]
        scope: Option<Vec<Permission>>,
        /// A network that it may be used from, in CIDR form; may be given several times.
        #[arg(long = "network", value_name = "CIDR")]
        networks: Vec<String>,
        /// Write its text to this new file (readable by its owner only) instead of showing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List tokens, the newest first; never their text.
    List,
    /// Revoke a token.
    Revoke {
        /// The token's id.
        id: uuid::Uuid,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
}

fn permission(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| {
        let known: Vec<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
        format!("not one of: {}", known.join(", "))
    })
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Create { name, admin, expires, scope, networks, out } => {
                let body = CreateToken { name, admin, expires_at: expires, scope, networks };
                let created: CreatedToken = client.post(&["tokens"], &body).await?;
                let Some(path) = out else {
                    output.answer(&created, |created| {
                        let secret = text::terminal(&created.secret);
                        format!("{}\n\nShown once:\n{secret}", listed(std::slice::from_ref(&created.token)))
                    })?;
                    return Ok(Exit::Done);
                };
                let written = files::write_secret(&path, format!("{}\n", created.secret).as_bytes());
                output.answer(&created.token, |token| listed(std::slice::from_ref(token)))?;
                written.map_err(|failure| {
                    let sentence = format!(
                        "{}; the token {} was made and is lost: revoke it",
                        failure.sentence, created.token.id
                    );
                    Failure { sentence, ..failure }
                })?;
            }
            Self::List => {
                let tokens: Vec<Token> = client.list(&["tokens"], &(), None).await?;
                output.answer(&tokens, |tokens| listed(tokens))?;
            }
            Self::Revoke { id, reason } => {
                let token: Token =
                    client.delete_to(&["tokens", &id.to_string()], &ReasonQuery { reason }).await?;
                output.answer(&token, |token| {
                    format!("revoked {} ({})", text::terminal(&token.name), token.id)
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

fn listed(tokens: &[Token]) -> String {
    output::table(
        ["ID", "NAME", "ADMIN", "EXPIRES", "LAST USED", "SCOPE", "NETWORKS", "STATE"],
        tokens.iter().map(|token| {
            let scope = token
                .scope
                .as_ref()
                .map(|scope| scope.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", "));
            [
                token.id.to_string(),
                token.name.clone(),
                token.admin_name.clone(),
                token.expires_at.map_or_else(|| "never".to_owned(), time::short),
                or_dash(token.last_used_at.map(time::short)),
                scope.unwrap_or_else(|| "all".to_owned()),
                if token.networks.is_empty() { "any".to_owned() } else { token.networks.join(", ") },
                token
                    .revoked_at
                    .map_or_else(|| "holds".to_owned(), |at| format!("revoked {}", time::short(at))),
            ]
        }),
    )
}

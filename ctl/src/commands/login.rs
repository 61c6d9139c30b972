//! `posternctl login` and `logout`: a token by the directory, in a file that only its owner can read.
//!
//! Promise: a file that login did not write is never overwritten or taken away: it may hold a token that is the only one.

use std::path::{Path, PathBuf};

use clap::Args;
use postern_api::directory::{SignIn, SignOut, SignedIn};
use secrecy::ExposeSecret as _;

use crate::{
    args::Connection,
    client::Client,
    commands::recovery::asked,
    failure::{Exit, Failure},
    files,
    output::Output,
    text, time,
};

/// The second line of a file that login wrote.
const MARK: &str = "# posternctl login";

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct Login {
    /// Who: `name`, `name@domain` or `DOMAIN\name`.
    #[arg(long)]
    pub user: String,
    /// A file that holds the password; without it the terminal is asked.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl Login {
    /// Does it.
    pub async fn run(self, connection: &Connection, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let file = file_of(connection)?;
        is_ours(file)?;
        let client = Client::without_token(connection)?;
        let password = match &self.password_file {
            Some(path) => files::secret(path)?,
            None => asked(&format!("Password of {}", self.user))?,
        };
        let body = SignIn { user: self.user, password: password.expose_secret().to_owned() };
        // No Idempotency-Key: the answer holds a token, and a password is not sent twice by itself.
        let signed_in: SignedIn = client.post_once(&["sessions"], &body).await?;
        let content = format!("{}\n{MARK} {}\n", signed_in.secret, signed_in.expires_at);
        files::replace_secret(file, content.as_bytes())?;
        let roles: Vec<_> = signed_in.roles.iter().map(|role| role.as_str()).collect();
        output.remark(&format!(
            "signed in as {} ({}) until {}; the token is in {}",
            text::terminal(&signed_in.admin),
            roles.join(", "),
            time::short(signed_in.expires_at),
            file.display()
        ));
        Ok(Exit::Done)
    }
}

/// Signs out, and takes the file away.
pub async fn logout(connection: &Connection, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let file = file_of(connection)?;
    is_ours(file)?;
    let client = Client::new(connection)?;
    client.post_nothing(&["sessions", "close"], &SignOut {}).await?;
    std::fs::remove_file(file).map_err(|error| Failure::file(file, &error))?;
    output.remark("signed out");
    Ok(Exit::Done)
}

fn file_of(connection: &Connection) -> Result<&Path, Failure> {
    let missing = || Failure::usage("name the file of the token: --token-file or POSTERN_TOKEN_FILE");
    connection.token_file.as_deref().ok_or_else(missing)
}

fn is_ours(file: &Path) -> Result<(), Failure> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::file(file, &error)),
        Ok(text) if text.lines().nth(1).is_some_and(|line| line.starts_with(MARK)) => Ok(()),
        Ok(_) => Err(Failure::invalid(
            "file",
            format!("{} holds a token that no login made; name another file", file.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_an_earlier_login_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(is_ours(&file).is_ok());
        std::fs::write(&file, format!("pst_x\n{MARK} 2026\n")).unwrap();
        assert!(is_ours(&file).is_ok());
        std::fs::write(&file, "pst_x\n").unwrap();
        assert!(is_ours(&file).is_err());
    }
}

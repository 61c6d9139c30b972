//! What is written into the directory: a computer made for a device, and taken out of use after its wipe.
//!
//! Promise: nothing outside the one container that is configured is touched, and in it no domain controller and no computer with more
//! rights than a device needs. An entry that is there already is never taken over: what this made bears the mark of its task. The account
//! is one of its own, with no more rights than docs/DIRECTORY.md says.

use std::{collections::HashSet, path::Path};

use futures_util::{FutureExt as _, future::BoxFuture};
use ldap3::{Mod, Scope, ldap_escape};
use postern_actors::{
    DirectoryEntry, DirectoryError, DirectoryWriteError, DirectoryWriter, Dn, NewComputer, Sid, TakeOut,
    TakenOut,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    Controllers, LdapConfig, account,
    privileged::why_privileged,
    session::{Account, Answer, INSUFFICIENT_ACCESS, NO_SUCH_OBJECT, Question, SUCCESS, Session},
};
use crate::OpenError;

/// `userAccountControl`: a computer of the domain (MS-ADTS 2.2.16).
const WORKSTATION: u32 = 0x1000;
/// The account is disabled.
const DISABLED: u32 = 0x2;
/// Questions and changes of one act at most, for its time.
const ANSWERS: u32 = 8;
/// Results (RFC 4511, appendix A).
const REFERRAL: u32 = 10;
const ENTRY_ALREADY_EXISTS: u32 = 68;
/// Operations error, time limit, administrative limit, busy, unavailable, other: the same may do later.
const LATER: [u32; 6] = [1, 3, 11, 51, 52, 80];
/// What has to be known of a computer before it is touched.
const KNOWN: [&str; 7] = [
    "objectClass",
    "objectSid",
    "userAccountControl",
    "primaryGroupID",
    "adminCount",
    "isCriticalSystemObject",
    "description",
];

/// `[directory_writer]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in WRITER_KEYS, where the operator reads it")]
pub struct LdapWriterConfig {
    pub account: String,
    pub password_file: std::path::PathBuf,
    pub below: String,
    #[serde(default)]
    pub after_wipe: AfterWipe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_in: Option<String>,
}

/// What becomes of a device's computer after its wipe succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterWipe {
    /// Nothing.
    #[default]
    Nothing,
    /// It is disabled.
    Disable,
    /// It is moved to another container.
    Move,
    /// It is deleted.
    Delete,
}

/// Keys of `[directory_writer]`, and what each one means.
pub const WRITER_KEYS: &[(&str, &str)] = &[
    ("account", "The account that writes; not the one that reads (docs/DIRECTORY.md has its rights)."),
    ("password_file", "A file whose first line is that account's password."),
    ("below", "The container that the devices' computers lie below: nothing elsewhere is touched."),
    (
        "after_wipe",
        "What becomes of a device's computer when its wipe has succeeded: nothing (default), disable, move or delete.",
    ),
    ("move_to", "Where it is moved to; needed with after_wipe = \"move\"."),
    (
        "create_in",
        "The container in which a computer is made for each newly enrolled device. Without it: none.",
    ),
];

/// Writes into the directory.
pub struct LdapWriter {
    controllers: Controllers,
    account: Account,
    below: Dn,
    move_to: Option<Dn>,
    create_in: Option<Dn>,
}

impl std::fmt::Debug for LdapWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapWriter").field("below", &self.below).finish_non_exhaustive()
    }
}

impl LdapWriter {
    /// By the controllers of `config`, as the account of `writer`. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`OpenError`]: settings that cannot work.
    pub fn open(config: &LdapConfig, writer: &LdapWriterConfig, folder: &Path) -> Result<Self, OpenError> {
        let name = |key, text: &str| {
            Dn::new(text).map_err(|_| OpenError::setting(key, "it is no distinguished name"))
        };
        let below = name("directory_writer.below", &writer.below)?;
        if below.is_a("DC") {
            let why = "a container of devices, not the whole domain";
            return Err(OpenError::setting("directory_writer.below", why));
        }
        let optional = |key, text: &Option<String>| text.as_deref().map(|text| name(key, text)).transpose();
        let move_to = optional("directory_writer.move_to", &writer.move_to)?;
        let create_in = optional("directory_writer.create_in", &writer.create_in)?;
        if writer.after_wipe == AfterWipe::Move && move_to.is_none() {
            return Err(OpenError::setting("directory_writer.move_to", "needed with after_wipe = \"move\""));
        }
        if create_in.as_ref().is_some_and(|create_in| !create_in.is_below(&below)) {
            let why = "it does not lie below directory_writer.below";
            return Err(OpenError::setting("directory_writer.create_in", why));
        }
        if move_to.as_ref().is_some_and(|to| below.is_below(to)) {
            let why = "what is moved there would lie where devices' computers are in use";
            return Err(OpenError::setting("directory_writer.move_to", why));
        }
        if writer.account.trim().eq_ignore_ascii_case(config.account.trim()) {
            let why = "the account that reads is another one, without these rights";
            return Err(OpenError::setting("directory_writer.account", why));
        }
        let password = folder.join(&writer.password_file);
        let account = account("directory_writer.account", &writer.account, &password)?;
        Ok(Self { controllers: Controllers::open(config, folder)?, account, below, move_to, create_in })
    }

    async fn make(&self, computer: NewComputer) -> Result<(Sid, Dn), DirectoryWriteError> {
        let container = self.create_in.as_ref().ok_or_else(|| never("no container is set"))?;
        if !computer.names.iter().all(|name| is_computer_name(name)) {
            return Err(never("its name cannot be a computer's"));
        }
        let mut session = self.controllers.session(&self.account).await?;
        let dn = |name: &String| format!("CN={name},{container}");
        for name in &computer.names {
            let found = session.one(&dn(name), &KNOWN).await?.map(|found| found.entry);
            if let Some(entry) = found.filter(|entry| is_marked(entry, &computer.mark)) {
                return made(&entry);
            }
        }
        is_there(&mut session, container).await?;
        for name in &computer.names {
            let attributes = attributes(name, &computer.mark, &computer.password);
            let answer = session.add(&dn(name), attributes).await?;
            if answer.code == ENTRY_ALREADY_EXISTS {
                continue;
            }
            judged(&answer, &format!("make a computer in {container}"))?;
            let found = session.one(&dn(name), &KNOWN).await?.map(|found| found.entry);
            let found = found.filter(|entry| is_marked(entry, &computer.mark));
            return made(&found.ok_or_else(|| half("it was made, and cannot be read"))?);
        }
        let names = computer.names.join(" and ");
        Err(DirectoryWriteError::Refused(format!("{names}: others have these names, and keep them")))
    }

    async fn take(&self, sid: &Sid, act: TakeOut) -> Result<TakenOut, DirectoryWriteError> {
        let mut session = self.controllers.session(&self.account).await?;
        let Some(entry) = self.find(&mut session, sid).await? else { return Ok(TakenOut::NotThere) };
        let dn = Dn::new(&entry.dn).map_err(|_| never("it has no name"))?;
        if let Some(why) = why_privileged(&mut session, &entry).await? {
            return Err(DirectoryWriteError::Never(format!("{dn} is not touched: {why}")));
        }
        // After a move it lies where it was moved to.
        if act == TakeOut::Move && self.move_to.is_some() && dn.parent() == self.move_to {
            return Ok(TakenOut::Done(format!("it lies at {dn}")));
        }
        if !dn.is_below(&self.below) || dn == self.below {
            return Err(DirectoryWriteError::Never(format!("{dn} does not lie below {}", self.below)));
        }
        let done = match act {
            TakeOut::Disable => disable(&mut session, &entry, &dn).await?,
            TakeOut::Move => self.shift(&mut session, &entry, &dn, sid).await?,
            TakeOut::Delete => {
                judged(&session.delete(&entry.dn).await?, &format!("delete {dn}"))?;
                format!("{dn} was deleted")
            }
        };
        Ok(TakenOut::Done(done))
    }

    async fn shift(
        &self,
        session: &mut Session,
        entry: &DirectoryEntry,
        dn: &Dn,
        sid: &Sid,
    ) -> Result<String, DirectoryWriteError> {
        let to = self.move_to.as_ref().ok_or_else(|| never("no container to move it to is set"))?;
        is_there(session, to).await?;
        // Another of the same name may lie there already.
        let number = sid.in_domain().map(|(_, rid)| rid.to_string()).unwrap_or_default();
        let other: String = dn.name().chars().take(50).chain(['-']).chain(number.chars()).collect();
        for name in [dn.name(), other] {
            let name = format!("CN={}", rdn_escape(&name));
            let answer = session.rename(&entry.dn, &name, to.as_str()).await?;
            if answer.code != ENTRY_ALREADY_EXISTS {
                judged(&answer, &format!("move {dn} to {to}"))?;
                return Ok(format!("{dn} was moved to {to}"));
            }
        }
        Err(DirectoryWriteError::Refused(format!("{to} holds others of the name of {dn}")))
    }

    /// The computer of a SID, wherever in the domain it lies.
    async fn find(
        &self,
        session: &mut Session,
        sid: &Sid,
    ) -> Result<Option<DirectoryEntry>, DirectoryWriteError> {
        let root = session.one("", &["defaultNamingContext"]).await?;
        let domain = root.as_ref().and_then(|root| root.entry.text("defaultnamingcontext"));
        let domain = domain.ok_or_else(|| half("no domain"))?.to_owned();
        let question = Question {
            base: &domain,
            scope: Scope::Subtree,
            filter: &format!("(&(objectClass=computer)(objectSid={}))", ldap_escape(sid.to_string())),
            attributes: &KNOWN.map(str::to_owned),
            security: false,
        };
        let mut found = session.ask(&question).await?.into_iter().map(|found| found.entry);
        match (found.next(), found.next()) {
            (found, None) => Ok(found.filter(|entry| sid_of(entry).as_ref() == Some(sid))),
            _ => Err(half("several computers of one SID").into()),
        }
    }
}

impl DirectoryWriter for LdapWriter {
    fn create(&self, computer: NewComputer) -> BoxFuture<'_, Result<(Sid, Dn), DirectoryWriteError>> {
        let made = async move { timeout(self.controllers.within(ANSWERS), self.make(computer)).await };
        made.map(|made| made.unwrap_or(Err(DirectoryError::Slow.into()))).boxed()
    }

    fn take_out(&self, sid: Sid, act: TakeOut) -> BoxFuture<'_, Result<TakenOut, DirectoryWriteError>> {
        let taken = async move { timeout(self.controllers.within(ANSWERS), self.take(&sid, act)).await };
        taken.map(|taken| taken.unwrap_or(Err(DirectoryError::Slow.into()))).boxed()
    }
}

async fn disable(
    session: &mut Session,
    entry: &DirectoryEntry,
    dn: &Dn,
) -> Result<String, DirectoryWriteError> {
    let flags = entry.text("useraccountcontrol").and_then(|flags| flags.trim().parse::<u32>().ok());
    let flags = flags.ok_or_else(|| half("a computer without userAccountControl"))?;
    if flags & DISABLED == 0 {
        let flags = (flags | DISABLED).to_string().into_bytes();
        let change = Mod::Replace(b"userAccountControl".to_vec(), HashSet::from([flags]));
        judged(&session.modify(&entry.dn, vec![change]).await?, &format!("disable {dn}"))?;
    }
    Ok(format!("{dn} is disabled"))
}

/// What a controller says to a change, and whom that concerns.
fn judged(answer: &Answer, what: &str) -> Result<(), DirectoryWriteError> {
    let said = &answer.said;
    match answer.code {
        SUCCESS => Ok(()),
        // It went meanwhile: the next try sees.
        NO_SUCH_OBJECT => Err(half(said).into()),
        code if LATER.contains(&code) => Err(half(said).into()),
        INSUFFICIENT_ACCESS => Err(DirectoryWriteError::Refused(format!(
            "the account that writes has no right to {what} (docs/DIRECTORY.md, \"What is written\"): {said}"
        ))),
        REFERRAL => Err(DirectoryWriteError::Refused(format!(
            "this controller takes no changes, so it did not {what}: name one that is not read-only: {said}"
        ))),
        _ => Err(DirectoryWriteError::Refused(format!("the controller refuses to {what}: {said}"))),
    }
}

async fn is_there(session: &mut Session, container: &Dn) -> Result<(), DirectoryWriteError> {
    match session.one(container.as_str(), &["objectClass"]).await? {
        Some(_) => Ok(()),
        None => Err(DirectoryWriteError::Refused(format!(
            "{container} is not there, or the account that writes does not see it"
        ))),
    }
}

fn attributes(name: &str, mark: &str, password: &SecretString) -> Vec<(Vec<u8>, HashSet<Vec<u8>>)> {
    let text =
        |name: &str, value: &str| (name.as_bytes().to_vec(), HashSet::from([value.as_bytes().to_vec()]));
    // In quotes, UTF-16 (MS-ADTS 3.1.1.3.1.5).
    let quoted = zeroize::Zeroizing::new(format!("\"{}\"", password.expose_secret()));
    let password: Vec<u8> = quoted.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        text("objectClass", "computer"),
        text("sAMAccountName", &format!("{name}$")),
        text("userAccountControl", &WORKSTATION.to_string()),
        text("description", mark),
        (b"unicodePwd".to_vec(), HashSet::from([password])),
    ]
}

/// Whether this is what the task with this mark made.
fn is_marked(entry: &DirectoryEntry, mark: &str) -> bool {
    entry.has("objectclass", "computer") && entry.values("description") == [mark.as_bytes()]
}

fn made(entry: &DirectoryEntry) -> Result<(Sid, Dn), DirectoryWriteError> {
    let sid = sid_of(entry).ok_or_else(|| half("it was made, and its SID cannot be read"))?;
    let dn = Dn::new(&entry.dn).map_err(|_| half("an entry without a name"))?;
    Ok((sid, dn))
}

fn is_computer_name(name: &str) -> bool {
    (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn half(why: &str) -> DirectoryError {
    DirectoryError::Half(why.to_owned())
}

fn never(why: &str) -> DirectoryWriteError {
    DirectoryWriteError::Never(why.to_owned())
}

fn sid_of(entry: &DirectoryEntry) -> Option<Sid> {
    entry.values("objectsid").first().and_then(|octets| Sid::read(octets).ok()).map(|(sid, _)| sid)
}

/// A value of a name (RFC 4514 2.4).
fn rdn_escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=');
        if special || c == ' ' && (at == 0 || at == last) || c == '#' && at == 0 {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_controller_says_tells_who_has_to_do_something() {
        let judged = |code| judged(&Answer { code, said: "x".to_owned() }, "do it");
        assert_eq!(judged(0), Ok(()));
        for later in [32, 51, 52, 80] {
            assert!(!judged(later).unwrap_err().needs_a_person(), "{later}");
        }
        for person in [10, 19, 50, 53, 66] {
            assert!(judged(person).unwrap_err().needs_a_person(), "{person}");
        }
    }

    #[test]
    fn a_value_is_no_more_than_one_part_of_a_name() {
        assert_eq!(rdn_escape(" a,OU=x "), "\\ a\\,OU\\=x\\ ");
        assert_eq!(rdn_escape("#1"), "\\#1");
        assert_eq!(Dn::new(&format!("CN={},DC=x", rdn_escape("a,DC=y"))).unwrap().name(), "a,DC=y");
    }
}

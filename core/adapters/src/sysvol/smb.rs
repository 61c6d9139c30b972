//! SYSVOL over SMB 3, from a domain controller's own share (MS-SMB2; feature `smb`).
//!
//! Promise: every answer that counts was signed or encrypted under a key that only the server and the account can have; a session as a guest
//! or as nobody is refused, and so is SMB below 3.0. The client opens for reading only, follows neither links nor referrals, and works on a
//! thread of its own, so that what panics or hangs in it costs one reading. It signs in by NTLM: it takes no keytab, so `ntlm` has to be
//! allowed; Kerberos is what a mounted share is for. Its cryptography is pre-release RustCrypto: the recorded exception of docs/POLICY.md.

use std::{
    cell::RefCell,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use postern_actors::{
    SysvolError, SysvolRead, SysvolSource,
    sysvol::{Entry, Gpo, Kind, Limits, Tree, places},
};
use secrecy::{ExposeSecret as _, SecretString};
use smb::{
    Client, ClientConfig, ConnectionConfig, CreateOptions, Dialect, DirAccessMask, Directory, Error,
    FileAccessMask, FileCreateArgs, FileDirectoryInformation, Resource, Status, UncPath,
    connection::{AuthMethodsConfig, EncryptionMode},
};
use tokio::runtime::Runtime;

use super::{SysvolConfig, readings::Readings};
use crate::{OpenError, files};

/// The share.
const SHARE: &str = "sysvol";
/// Octets asked for at once.
const BLOCK: usize = 64 * 1024;

/// SYSVOL of a domain controller.
#[derive(Clone)]
pub struct SmbSysvol {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for SmbSysvol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmbSysvol").field("servers", &self.inner.servers).finish_non_exhaustive()
    }
}

struct Inner {
    servers: Vec<String>,
    account: String,
    password: SecretString,
    encrypt: bool,
    answer: Duration,
    readings: Readings,
    limits: Limits,
    connected: Mutex<Option<Connected>>,
    runtime: Option<Runtime>,
}

struct Connected {
    client: Client,
    server: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not here: this may be another runtime's thread, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SmbSysvol {
    /// As a configuration says; relative paths are taken from `folder`.
    ///
    /// # Errors
    /// A setting that cannot be right, or a password that cannot be read.
    pub fn of(config: &SysvolConfig, folder: &Path) -> Result<Self, OpenError> {
        let missing = |key| OpenError::setting(key, "is missing");
        let account = config.account.clone().ok_or_else(|| missing("sysvol.account"))?;
        let file = config.password_file.as_ref().ok_or_else(|| missing("sysvol.password_file"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postern-smb")
            .enable_all()
            .build()
            .map_err(|error| OpenError::setting("sysvol.kind", error.to_string()))?;
        let inner = Inner {
            servers: config.servers.clone(),
            account,
            password: files::secret(&folder.join(file))?,
            encrypt: config.encrypt,
            answer: Duration::from_millis(config.answer_ms),
            readings: Readings::new(Duration::from_millis(config.answer_ms)),
            limits: Limits::default(),
            connected: Mutex::default(),
            runtime: Some(runtime),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl SysvolSource for SmbSysvol {
    fn folder<'s>(
        &'s self,
        gpo: &'s Gpo,
        known: Option<u32>,
    ) -> BoxFuture<'s, Result<SysvolRead, SysvolError>> {
        let inner = Arc::clone(&self.inner);
        let place = places(gpo).map(|[place, ..]| place);
        async move {
            let place = place.ok_or(SysvolError::NoName)?;
            let readings = inner.readings.clone();
            readings.run(move || inner.read(&place, known)).await
        }
        .boxed()
    }
}

impl Inner {
    /// Reads with the connection that is there, or with a new one.
    fn read(&self, place: &[String], known: Option<u32>) -> Result<SysvolRead, SysvolError> {
        let kept = self.connected.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connected) = kept {
            match self.read_by(connected, place, known) {
                // It may have been idle for too long.
                Err(error) if error.is_of_the_place() => {}
                read => return read,
            }
        }
        let connected = self.connect()?;
        self.read_by(connected, place, known)
    }

    fn read_by(
        &self,
        connected: Connected,
        place: &[String],
        known: Option<u32>,
    ) -> Result<SysvolRead, SysvolError> {
        let tree = Share { inner: self, connected: &connected, place, broken: RefCell::default() };
        let read = SysvolRead::of(&tree, known, &self.limits);
        let read = match tree.broken.take() {
            Some(error) => Err(error),
            None => read,
        };
        if !matches!(&read, Err(error) if error.is_of_the_place()) {
            *self.connected.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected);
        }
        read
    }

    fn block_on<F: Future>(&self, future: F) -> Result<F::Output, SysvolError> {
        let runtime = self.runtime.as_ref().ok_or_else(|| SysvolError::Down("it stops".to_owned()))?;
        Ok(runtime.block_on(future))
    }

    /// The servers in turn; one that refuses the account ends it, so that a wrong password is tried once.
    fn connect(&self) -> Result<Connected, SysvolError> {
        let mut last = SysvolError::Down("no server is named".to_owned());
        for server in &self.servers {
            let client = Client::new(self.client());
            let attempt = async {
                let unc = unc(server)?;
                let password = self.password.expose_secret().to_owned();
                client.share_connect(&unc, &self.account, password).await.map_err(|error| of_place(&error))
            };
            match self.block_on(attempt)? {
                Ok(()) => return Ok(Connected { client, server: server.clone() }),
                Err(error @ SysvolError::Account(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn client(&self) -> ClientConfig {
        ClientConfig {
            dfs: false,
            connection: ConnectionConfig {
                timeout: Some(self.answer.min(Duration::from_secs(30))),
                min_dialect: Some(Dialect::Smb030),
                encryption_mode: if self.encrypt {
                    EncryptionMode::Required
                } else {
                    EncryptionMode::Allowed
                },
                allow_unsigned_guest_access: false,
                compression_enabled: false,
                smb2_only_negotiate: true,
                disable_notifications: true,
                client_name: Some("postern".to_owned()),
                auth_methods: AuthMethodsConfig { ntlm: true, kerberos: false },
                ..ConnectionConfig::default()
            },
            ..ClientConfig::default()
        }
    }
}

fn unc(server: &str) -> Result<UncPath, SysvolError> {
    let unc = UncPath::new(server).and_then(|unc| unc.with_share(SHARE));
    unc.map_err(|error| SysvolError::Down(error.to_string()))
}

/// A GPO's folder in the share.
struct Share<'s> {
    inner: &'s Inner,
    connected: &'s Connected,
    place: &'s [String],
    /// What is wrong with the place rather than with the folder.
    broken: RefCell<Option<SysvolError>>,
}

impl Share<'_> {
    fn path(&self, at: &[&str]) -> Result<UncPath, SysvolError> {
        let names = self.place.iter().map(String::as_str).chain(at.iter().copied());
        Ok(unc(&self.connected.server)?.with_path(&names.collect::<Vec<_>>().join("\\")))
    }

    fn open(&self, at: &[&str], folder: bool) -> Result<Resource, SysvolError> {
        let path = self.path(at)?;
        let options = CreateOptions::new()
            .with_open_reparse_point(true)
            .with_directory_file(folder)
            .with_non_directory_file(!folder);
        let desired_access = if folder {
            DirAccessMask::new().with_list_directory(true).with_synchronize(true).into()
        } else {
            FileAccessMask::new().with_generic_read(true)
        };
        let args = FileCreateArgs { options, ..FileCreateArgs::make_open_existing(desired_access) };
        self.inner.block_on(self.connected.client.create_file(&path, &args))?.map_err(|error| of_file(&error))
    }

    fn list(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, SysvolError> {
        let Resource::Directory(directory) = self.open(at, true)? else {
            return Err(SysvolError::Damaged("no folder".to_owned()));
        };
        let directory = Arc::new(directory);
        let listed = async {
            let mut entries = Vec::new();
            let mut listing = Directory::query::<FileDirectoryInformation>(&directory, "*").await?;
            while let Some(found) = listing.next().await {
                let found = found?;
                let name = found.file_name.to_string();
                if matches!(name.as_str(), "." | "..") {
                    continue;
                }
                let attributes = found.file_attributes;
                let kind = match (attributes.reparse_point(), attributes.directory()) {
                    (true, _) => Kind::Other,
                    (_, true) => Kind::Folder,
                    _ => Kind::File,
                };
                entries.push(Entry { name, kind });
                if entries.len() > most {
                    break;
                }
            }
            Ok(entries)
        };
        self.inner.block_on(listed)?.map_err(|error: Error| of_file(&error))
    }

    fn file(&self, at: &[&str], most: usize) -> Result<Vec<u8>, SysvolError> {
        let Resource::File(file) = self.open(at, false)? else {
            return Err(SysvolError::Damaged("no plain file".to_owned()));
        };
        let read = async {
            let mut octets = Vec::new();
            let mut block = vec![0; BLOCK];
            while octets.len() <= most {
                let wanted = (most - octets.len()).saturating_add(1).min(BLOCK);
                let at = octets.len() as u64;
                let read = file.read_block(&mut block[..wanted], at, None, false).await?;
                if read == 0 {
                    break;
                }
                octets.extend_from_slice(&block[..read]);
            }
            file.close().await.map_err(std::io::Error::other)?;
            Ok(octets)
        };
        let read: std::io::Result<_> = self.inner.block_on(read)?;
        read.map_err(|error| SysvolError::Down(error.to_string()))
    }

    /// Says it, and keeps what concerns the place.
    fn say(&self, error: SysvolError) -> String {
        let text = error.to_string();
        if error.is_of_the_place() || error == SysvolError::NoFolder {
            self.broken.borrow_mut().get_or_insert(error);
        }
        text
    }
}

impl Tree for Share<'_> {
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String> {
        self.list(at, most).map_err(|error| self.say(error))
    }

    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String> {
        self.file(at, most).map_err(|error| self.say(error))
    }
}

/// What a status means, at sign-in.
fn of_place(error: &Error) -> SysvolError {
    let text = error.to_string();
    match error {
        Error::UnexpectedMessageStatus(status) | Error::ReceivedErrorMessage(status, _) => {
            if is_account(*status) { SysvolError::Account(text) } else { SysvolError::Down(text) }
        }
        Error::SspiError(_) | Error::UnsupportedAuthenticationMechanism(_) | Error::MissingPermissions(_) => {
            SysvolError::Account(text)
        }
        Error::OperationTimeout(..) => SysvolError::Slow,
        Error::InvalidMessage(_)
        | Error::NegotiationError(_)
        | Error::SignatureVerificationFailed
        | Error::CryptoError(_)
        | Error::TranformFailed(_) => SysvolError::Unprotected(text),
        _ => SysvolError::Down(text),
    }
}

/// What a status means, of a folder or a file.
fn of_file(error: &Error) -> SysvolError {
    match error {
        Error::UnexpectedMessageStatus(status) | Error::ReceivedErrorMessage(status, _) => match *status {
            Status::U32_OBJECT_NAME_NOT_FOUND | Status::U32_OBJECT_PATH_NOT_FOUND => SysvolError::NoFolder,
            status if is_account(status) => SysvolError::Damaged(error.to_string()),
            _ => of_place(error),
        },
        Error::NotFound(_) => SysvolError::NoFolder,
        _ => of_place(error),
    }
}

fn is_account(status: u32) -> bool {
    [
        Status::AccessDenied as u32,
        Status::LogonFailure as u32,
        0xc000_006e, // account restriction
        0xc000_0071, // password expired
        0xc000_0072, // account disabled
        0xc000_0193, // account expired
        0xc000_0224, // password must change
        0xc000_0234, // account locked out
    ]
    .contains(&status)
}

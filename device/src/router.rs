//! The push router: what becomes of a notification (OMA-TS-DM_Notification 1.2.1, 5 and 6).
//!
//! Promise: a notification opens a session only when its account is here, its digest is made with that account's secret
//! and a nonce that counts, and it was not seen before; anything else is ignored and changes nothing. A device whose nonce
//! went astray is found by the default nonce, and then both sides prove themselves with it in that session only.

use postern_wire::{
    auth::encode_nonce,
    notification::{BadNotification, NonceReading, Package0, UiMode},
};

use crate::{
    enrolment::Account,
    interaction::{Kind, Options, Prompt, Reaction, UserInterface},
    state::State,
    unit::Cause,
};

/// A session that a notification asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Of which account.
    pub server_id: String,
    /// With Alert 1200 and the notification's session id.
    pub cause: Cause,
    /// The notification's digest, by which it is known again.
    pub digest: [u8; 16],
}

/// Why a notification is ignored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] BadNotification),
    /// No account of that server.
    #[error("it is of a server without an account here")]
    NoAccount,
    /// The account has no secret that a digest could be made with.
    #[error("the account has no secret for notifications")]
    NoSecret,
    /// The digest is not the server's.
    #[error("its digest is not the server's")]
    Forged,
    /// Seen before, or its session was held.
    #[error("it was seen before")]
    Seen,
    /// The user does not want the session.
    #[error("the user declined")]
    Declined,
}

/// Judges a notification. `accounts` are those of the device.
pub fn judge<'a>(
    octets: &[u8],
    accounts: impl IntoIterator<Item = &'a Account>,
    state: &State,
    user: &mut dyn UserInterface,
) -> Result<Start, Ignored> {
    let package = Package0::decode(octets)?;
    let trigger = &package.trigger;
    let account = accounts.into_iter().find(|account| account.server_id == trigger.server_id);
    let account = account.ok_or(Ignored::NoAccount)?;
    let hash = account.notification_hash().ok_or(Ignored::NoSecret)?;
    let nonces = state.nonces(&account.server_id).cloned().unwrap_or_default();
    let stored = [nonces.server, nonces.server_before]
        .into_iter()
        .flatten()
        .find_map(|nonce| package.verify(&hash, &encode_nonce(&nonce), &NonceReading::STORED));
    let reading = match stored {
        Some(reading) => reading,
        None => package.verify(&hash, "", &DEFAULTS).ok_or(Ignored::Forged)?,
    };
    let session = trigger.session_id.number();
    if state.has_seen(&account.server_id, session, &package.digest()) {
        return Err(Ignored::Seen);
    }
    agreed(trigger.ui_mode, account, user)?;
    // without nonces there is nothing to find back to
    let finds_back = reading.is_resynchronisation() && (account.uses_nonces());
    let cause = match finds_back {
        true => Cause::Resynchronise { session, reading },
        false => Cause::Server { session },
    };
    Ok(Start { server_id: account.server_id.clone(), cause, digest: package.digest() })
}

/// The default nonce in every way that it is understood.
const DEFAULTS: [NonceReading; 3] =
    [NonceReading::ZeroOctets, NonceReading::ZeroText, NonceReading::ZeroUndecoded];

fn agreed(mode: UiMode, account: &Account, user: &mut dyn UserInterface) -> Result<(), Ignored> {
    let kind = match mode {
        UiMode::NotSpecified | UiMode::Background => return Ok(()),
        UiMode::Informative => Kind::Display,
        UiMode::UserInteraction => Kind::Confirm,
    };
    let text = format!("The management server {} wants a session.", account.server_id);
    let prompt = Prompt { kind, text, choices: Vec::new(), options: Options::default() };
    match user.ask(&prompt) {
        Reaction::Yes | Reaction::Shown | Reaction::Nobody => Ok(()),
        _ => Err(Ignored::Declined),
    }
}

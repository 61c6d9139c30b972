//! Who is who: the device's proof and the server's (OMA-TS-DM_Security 1.2.1, 5.3 and 5.4).
//!
//! Promise: a challenge of the account's own type is answered, at most so often in a session; any other ends
//! it. A nonce from a peer that has not proved itself serves this session only, and what is issued to such a peer is
//! not remembered either. Our own challenge carries a fresh nonce each time. Where auth-MAC is
//! agreed on, it covers every message of the session.

mod own;
mod server;

use postern_wire::{auth::encode_nonce, syncml::Meta};

pub(super) use own::OwnProof;
pub(super) use server::{ServerStanding, Shown};

fn is_type(meta: &Meta, kind: &str) -> bool {
    meta.type_.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case(kind))
}

fn chal(kind: &str, nonce: Option<&[u8]>) -> Meta {
    Meta {
        format: Some("b64".into()),
        type_: Some(kind.into()),
        next_nonce: nonce.map(encode_nonce),
        ..Meta::default()
    }
}

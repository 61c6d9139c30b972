//! An admin's own password: set by itself, and asked for once more before a secret is shown.
//!
//! Promise: argon2id, compared in constant time; a wrong one counts against the address like a wrong token. A token alone shows no secret.

use actix_web::web;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use postern_api::{problem::Slug, recovery::SetPassword};
use postern_store::admins;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    answer::{self, Answer},
    auth::Caller,
    problem::{Refused, internal},
    write::Done,
};
use crate::inside::Inside;

/// Characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
const SALT_OCTETS: usize = 16;
const HASH_OCTETS: usize = 32;
/// argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

pub(super) async fn set(inside: web::Data<Inside>, body: web::Json<SetPassword>, caller: Caller) -> Answer {
    let SetPassword { password, current } = body.into_inner();
    let (password, current) = (Zeroizing::new(password), current.map(Zeroizing::new));
    if !LENGTH.contains(&password.chars().count()) || password.chars().any(char::is_control) {
        let why = "a password has 12 to 256 characters, none of them a control character";
        return Err(Refused::invalid("/password", why));
    }
    if caller.admin.password.is_some() {
        check(&inside, &caller, current).await?;
    }
    let mut salt = [0; SALT_OCTETS];
    inside.random.fill(&mut salt);
    let hash = web::block(move || phc(&password, &salt)).await.map_err(|error| internal(&error))?;
    let (id, had) = (caller.admin.id, caller.admin.password.is_some());
    inside
        .change(&caller, move |tx| {
            admins::set_password(tx, id, &hash)?;
            Ok(Done { object: format!("admin:{id}"), detail: json!({ "changed": had }), value: () })
        })
        .await?;
    answer::nothing()
}

/// The caller's own password, once more.
pub(super) async fn again(inside: &Inside, caller: &Caller, given: Option<String>) -> Result<(), Refused> {
    if caller.admin.password.is_none() {
        let why = "set a password of your own first (posternctl admin password); this is not shown for a token alone";
        return Err(Refused::new(Slug::Reauthenticate, why));
    }
    check(inside, caller, given.map(Zeroizing::new)).await
}

async fn check(inside: &Inside, caller: &Caller, given: Option<Zeroizing<String>>) -> Result<(), Refused> {
    let now = inside.now();
    inside.sign_ins.may_reauthenticate(caller.source, now, inside.config.admin.failures_per_minute)?;
    let (Some(given), Some(held)) = (given, caller.admin.password.clone()) else {
        return Err(Refused::new(Slug::Reauthenticate, "give your own password once more"));
    };
    let right = web::block(move || verifies(&held, &given)).await.map_err(|error| internal(&error))?;
    if right {
        return Ok(());
    }
    inside.sign_ins.failed(caller.source, now);
    tracing::warn!(admin = %caller.admin.name, source = %caller.source, "a wrong password was given");
    Err(Refused::new(Slug::Reauthenticate, "that is not your password"))
}

fn phc(password: &str, salt: &[u8]) -> String {
    format!("{PHC}{}${}", BASE64.encode(salt), BASE64.encode(*hash(password, salt)))
}

fn verifies(held: &str, password: &str) -> bool {
    let Some((salt, expected)) = held.strip_prefix(PHC).and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    let (Ok(salt), Ok(expected)) = (BASE64.decode(salt), BASE64.decode(expected)) else { return false };
    salt.len() == SALT_OCTETS && bool::from(hash(password, &salt).ct_eq(expected.as_slice()))
}

fn hash(password: &str, salt: &[u8]) -> Zeroizing<[u8; HASH_OCTETS]> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(HASH_OCTETS)).expect("they are within RFC 9106");
    let mut hash = Zeroizing::new([0; HASH_OCTETS]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut *hash)
        .expect("a password of a few hundred octets and 16 of salt are within RFC 9106");
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let held = phc("correct horse battery", &[1; 16]);
        assert!(verifies(&held, "correct horse battery"));
        assert!(!verifies(&held, "correct horse batterz"));
        assert_ne!(held, phc("correct horse battery", &[2; 16]));
        for damaged in ["", "x", PHC, "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$v=19$m=8,t=1,p=1$AA$AA"]
        {
            assert!(!verifies(damaged, ""), "{damaged}");
        }
    }
}

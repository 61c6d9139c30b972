//! The recovery password on the device: made, sealed, used and renewed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair},
};
use postern_wire::recovery::{KeyChange, Sealed};
use uuid::Uuid;

use super::*;
use crate::edge;

/// An escrow key with its private half.
pub(crate) struct Escrow {
    pkcs8: Vec<u8>,
    pub(crate) public: EscrowKey,
}

impl Escrow {
    pub(crate) fn new() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        Self { pkcs8: pkcs8.as_ref().to_vec(), public: EscrowKey::from_der(public.as_ref()).unwrap() }
    }

    pub(crate) fn open(&self, text: &str) -> RecoveryPassword {
        let sealed = Sealed::parse(text).unwrap();
        assert_eq!(sealed.header().key, self.public.id());
        let private =
            OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&self.pkcs8).unwrap()).unwrap();
        let mut room = vec![0; private.min_output_size()];
        let parts = sealed.parts();
        let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, &parts.encrypted_key, &mut room, None).unwrap();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        let mut text = [parts.ciphertext.as_slice(), &parts.tag].concat();
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let digits = cipher.open_in_place(nonce, Aad::from(sealed.authenticated()), &mut text).unwrap();
        RecoveryPassword::parse(std::str::from_utf8(digits).unwrap()).unwrap()
    }

    /// The change that puts another key in this one's place.
    pub(crate) fn replaced_by(&self, next: &Self) -> String {
        let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
        assert_eq!(pair.public_key().modulus_len(), 256);
        let change = KeyChange::new(self.public.id(), next.public.clone(), UtcMillis(1));
        let sign = |octets: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), octets, &mut signature).map(|()| signature)
        };
        change.seal(sign).unwrap()
    }
}

const OF: Of = Of { enrolment: EnrolmentId(Uuid::from_u128(5)), generation: 3 };

struct Bench {
    folder: tempfile::TempDir,
    escrow: Escrow,
    recovery: Recovery,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recovery = Recovery::at(folder.path());
        let escrow = Escrow::new();
        recovery.ensure(OF, Some(&escrow.public), UtcMillis(7), &mut edge::random).unwrap();
        Self { folder, escrow, recovery }
    }

    fn sealed(&self) -> (u64, String) {
        self.recovery.undelivered(OF).unwrap().unwrap()
    }

    /// What the server could read out.
    fn password(&self) -> RecoveryPassword {
        self.escrow.open(&self.sealed().1)
    }

    fn deliver(&self) {
        let (number, _) = self.sealed();
        self.recovery.delivered(OF, number).unwrap();
    }

    fn renew(&self) {
        self.recovery.renew(OF, UtcMillis(8), &mut edge::random).unwrap();
    }

    fn reset(&self, with: &RecoveryPassword, new: &str) -> Reset {
        self.recovery.reset(with, &new.into(), || Ok(()), UtcMillis(9), &mut edge::random).unwrap()
    }

    fn is(&self, password: &str) -> bool {
        self.recovery.is_password(&password.into()).unwrap()
    }
}

#[test]
fn a_forgotten_password_is_reset_once_and_the_next_recovery_password_is_made() {
    let bench = Bench::new();
    assert!(bench.recovery.set_password(None, &"old".into(), || Ok(()), &mut edge::random).unwrap());
    let first = bench.password();
    bench.deliver();
    assert_eq!(bench.reset(&first, "new"), Reset::Done { used: 1, next: 2 });
    assert!(bench.is("new") && !bench.is("old"));
    assert_eq!(bench.reset(&first, "again"), Reset::Wrong, "it was used");
    let second = bench.password();
    assert_ne!(second.digits(), first.digits());
    let header = Sealed::parse(&bench.sealed().1).unwrap().header().clone();
    assert_eq!((header.number, header.cause, header.generation), (2, RecoveryCause::Used, 3));
    assert_eq!(bench.reset(&second, "newer"), Reset::Done { used: 2, next: 3 });
}

#[test]
fn the_one_that_the_server_has_works_until_it_has_the_next() {
    let bench = Bench::new();
    let first = bench.password();
    bench.deliver();
    bench.renew();
    bench.renew(); // 2 never left the device, 3 is on its way
    let third = bench.password();
    assert_eq!(bench.reset(&first, "a"), Reset::Done { used: 1, next: 4 });
    assert_eq!(bench.reset(&third, "b"), Reset::Wrong, "after a use nothing before it works");
    let bench = Bench::new();
    let first = bench.password();
    bench.deliver();
    bench.renew();
    bench.deliver();
    assert_eq!(bench.reset(&first, "a"), Reset::Wrong, "the server has the next one");
}

#[test]
fn wrong_ones_are_counted_and_lock_nobody_out() {
    let bench = Bench::new();
    let right = bench.password();
    let wrong = RecoveryPassword::parse("00000000000000000000").unwrap();
    for count in 1..=2 {
        assert_eq!(bench.reset(&wrong, "x"), Reset::Wrong);
        assert_eq!(bench.recovery.standing(OF).unwrap().wrong, count);
    }
    assert!(matches!(bench.reset(&right, "new"), Reset::Done { .. }));
    assert_eq!(bench.recovery.standing(OF).unwrap().wrong, 0);
}

#[test]
fn what_the_machine_does_not_take_changes_nothing() {
    let bench = Bench::new();
    let first = bench.password();
    let refused = || Err("no".to_owned());
    let done = bench.recovery.reset(&first, &"new".into(), refused, UtcMillis(9), &mut edge::random);
    assert!(matches!(done, Err(RecoveryError::Applying(_))));
    assert!(!bench.is("new"));
    assert!(matches!(bench.reset(&first, "new"), Reset::Done { .. }));
}

#[test]
fn the_devices_password_is_changed_by_who_knows_it() {
    let bench = Bench::new();
    let set = |old: Option<&str>, new: &str| {
        let old = old.map(SecretString::from);
        bench.recovery.set_password(old.as_ref(), &new.into(), || Ok(()), &mut edge::random).unwrap()
    };
    assert!(set(None, "one"));
    assert!(!set(None, "two") && !set(Some("x"), "two"));
    assert!(set(Some("one"), "two"));
    assert!(bench.is("two"));
}

#[test]
fn a_new_escrow_key_is_followed_by_its_signature_and_nothing_is_lost_on_the_way() {
    let bench = Bench::new();
    let first = bench.password();
    bench.deliver();
    let (next, stranger) = (Escrow::new(), Escrow::new());
    let chain = |line: &str| KeyChain::parse(line).unwrap();
    let forged = stranger
        .replaced_by(&next)
        .replace(&stranger.public.id().to_string(), &bench.escrow.public.id().to_string());
    let followed = bench.recovery.follow(OF, &chain(&forged)).unwrap();
    assert_eq!(followed, Err(BadChain::Unsigned(1)));
    let key = bench.recovery.follow(OF, &chain(&bench.escrow.replaced_by(&next))).unwrap().unwrap();
    bench.recovery.pin(OF, key.clone(), UtcMillis(8), &mut edge::random).unwrap();
    let sealed = bench.sealed();
    bench.recovery.pin(OF, key, UtcMillis(8), &mut edge::random).unwrap();
    assert_eq!(bench.sealed(), sealed, "the same key again changes nothing");
    assert_eq!(Sealed::parse(&sealed.1).unwrap().header().cause, RecoveryCause::Key);
    let second = next.open(&sealed.1);
    assert!(matches!(bench.reset(&first, "a"), Reset::Done { used: 1, .. }), "the server still has it");
    assert_eq!(bench.reset(&second, "b"), Reset::Wrong);
}

#[test]
fn without_an_escrow_key_there_is_no_recovery_password() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = Recovery::at(folder.path());
    recovery.ensure(OF, None, UtcMillis(1), &mut edge::random).unwrap();
    assert_eq!(recovery.standing(OF).unwrap(), Standing::default());
    let any = RecoveryPassword::parse("00000000000000000000").unwrap();
    let done = recovery.reset(&any, &"x".into(), || Ok(()), UtcMillis(1), &mut edge::random).unwrap();
    assert_eq!(done, Reset::None);
    assert!(matches!(recovery.renew(OF, UtcMillis(1), &mut edge::random), Err(RecoveryError::NoKey)));
}

#[test]
fn another_generation_begins_anew_with_its_own_key() {
    let bench = Bench::new();
    let (before, other) = (bench.password(), Escrow::new());
    let next = Of { generation: 4, ..OF };
    bench.recovery.ensure(next, Some(&other.public), UtcMillis(9), &mut edge::random).unwrap();
    assert_eq!(bench.recovery.undelivered(OF).unwrap(), None);
    let standing = bench.recovery.standing(next).unwrap();
    assert_eq!((standing.number, standing.key), (1, Some(other.public)));
    assert_eq!(bench.reset(&before, "x"), Reset::Wrong);
}

#[test]
fn nothing_of_a_password_rests_in_the_folder_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let first = bench.password();
    bench.deliver();
    assert!(matches!(bench.reset(&first, "a new device password"), Reset::Done { .. }));
    let second = bench.password();
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for secret in [first.digits(), second.digits(), "a new device password"] {
            assert!(!text.contains(secret), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let bench = Bench::new();
    let file = bench.folder.path().join("recovery.json");
    for text in ["", "{", "{\"version\":1}"] {
        std::fs::write(&file, text).unwrap();
        assert!(matches!(bench.recovery.undelivered(OF), Err(RecoveryError::Damaged(_))));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

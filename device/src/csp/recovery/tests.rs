//! The recovery password by its nodes: renewed by order, sealed to the pinned key.

use postern_wire::recovery::{ESCROW_KEY, RENEW, Sealed};

use super::*;
use crate::{
    csp::{Providers, bench::Bench},
    recovery::tests::Escrow,
};

fn bench(folder: &std::path::Path, key: Option<EscrowKey>) -> Bench {
    let account = crate::csp::bench::account("srv", None);
    let of = Of { enrolment: account.enrolment, generation: account.generation };
    Bench::new(Providers::default().with(RecoveryProvider::new(Recovery::at(folder), of, "srv", key)))
}

/// The sealed text that the server is told next.
fn told(bench: &mut Bench) -> Option<Sealed> {
    let mut ended = bench.ended();
    assert!(ended.len() <= 1);
    let alert = ended.pop()?;
    assert_eq!((alert.alert_type.as_str(), alert.source.as_str()), (ALERT, NODE));
    Some(Sealed::parse(&alert.data).unwrap())
}

fn answer(bench: &mut Bench, code: Code) {
    RecoveryProvider::answered(&mut bench.state, code);
}

fn replace_key(bench: &mut Bench, number: u128, chain: &str) -> Result<(), Code> {
    let uri = uri_with_content(ESCROW_KEY, chain.as_bytes());
    let order = bench.order(&uri, number, |_| {});
    bench.replace(ESCROW_KEY, &format!("{order}\n{chain}"))
}

#[test]
fn a_device_tells_its_server_until_it_has_answered_and_makes_a_new_one_when_asked() {
    let (folder, escrow) = (tempfile::tempdir().unwrap(), Escrow::new());
    let mut bench = bench(folder.path(), Some(escrow.public.clone()));
    let first = told(&mut bench).unwrap();
    assert_eq!((first.header().number, first.header().enrolment), (1, bench.account.enrolment));
    assert_eq!(told(&mut bench), None, "one alert for each");
    answer(&mut bench, Code::OK);
    assert_eq!(told(&mut bench), None);
    assert_eq!(bench.read("./Vendor/Postern/Recovery/Delivered"), Ok("1".into()));
    assert_eq!(bench.exec(RENEW, ""), Ok(Code::OK));
    let second = told(&mut bench).unwrap();
    assert_eq!(second.header().number, 2);
    assert_ne!(escrow.open(&first.text()).digits(), escrow.open(&second.text()).digits());
    assert_eq!(bench.read("./Vendor/Postern/Recovery/Number"), Ok("2".into()));
    assert_eq!(bench.read("./Vendor/Postern/Recovery/Delivered"), Ok("1".into()));
}

#[test]
fn a_refused_alert_delivers_nothing() {
    let (folder, escrow) = (tempfile::tempdir().unwrap(), Escrow::new());
    let mut bench = bench(folder.path(), Some(escrow.public));
    told(&mut bench).unwrap();
    answer(&mut bench, Code::BAD_FORMAT);
    told(&mut bench);
    assert_eq!(bench.read("./Vendor/Postern/Recovery/Delivered"), Ok("0".into()));
}

#[test]
fn another_escrow_key_needs_an_order_and_the_signature_of_the_pinned_one() {
    let (folder, first, next) = (tempfile::tempdir().unwrap(), Escrow::new(), Escrow::new());
    let mut bench = bench(folder.path(), Some(first.public.clone()));
    told(&mut bench).unwrap();
    let good = first.replaced_by(&next);
    assert_eq!(bench.replace(ESCROW_KEY, &good), Err(Code::BAD_FORMAT), "no order");
    let other = bench.order(&uri_with_content(ESCROW_KEY, b"something else"), 1, |_| {});
    assert_eq!(bench.replace(ESCROW_KEY, &format!("{other}\n{good}")), Err(Code::FORBIDDEN));
    assert_eq!(
        replace_key(&mut bench, 2, &Escrow::new().replaced_by(&next)),
        Err(Code::FORBIDDEN),
        "not by the pinned"
    );
    assert_eq!(replace_key(&mut bench, 3, "no chain"), Err(Code::BAD_FORMAT));
    assert_eq!(bench.read(ESCROW_KEY), Ok(first.public.to_base64()));
    assert_eq!(told(&mut bench), None);
    assert_eq!(replace_key(&mut bench, 4, &good), Ok(()));
    assert_eq!(bench.read(ESCROW_KEY), Ok(next.public.to_base64()));
    let sealed = told(&mut bench).unwrap();
    assert_eq!(sealed.header().key, next.public.id());
    next.open(&sealed.text());
}

#[test]
fn a_device_enrolled_without_a_key_takes_its_first_from_an_order_only() {
    let (folder, first, key) = (tempfile::tempdir().unwrap(), Escrow::new(), Escrow::new());
    let mut bench = bench(folder.path(), None);
    assert_eq!(told(&mut bench), None);
    assert_eq!(bench.exec(RENEW, ""), Err(Code::INCOMPLETE));
    assert_eq!(replace_key(&mut bench, 1, &first.replaced_by(&key)), Ok(()));
    assert_eq!(told(&mut bench).unwrap().header().key, key.public.id());
    assert_eq!(
        replace_key(&mut bench, 2, &key.replaced_by(&first)),
        Ok(()),
        "and the next from its signature"
    );
}

#[test]
fn no_other_server_reaches_it() {
    let (folder, escrow) = (tempfile::tempdir().unwrap(), Escrow::new());
    let bench = bench(folder.path(), Some(escrow.public));
    let mut other = bench.by("other");
    assert_eq!(other.exec(RENEW, ""), Err(Code::DENIED));
    assert_eq!(other.read(RENEW), Err(Code::NOT_ALLOWED));
}

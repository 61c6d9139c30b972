//! The device's certificate by its nodes: what is ordered, and what is taken.

use postern_wire::order::uri_with_content;

use super::{
    super::{Providers, bench::Bench},
    *,
};
use crate::enrolment::identity::{certificates, testing::TestCa};

const CERTIFICATE: &str = "./Vendor/Postern/Certificate";
const SERVERS: &str = "./Vendor/Postern/Trust/ServerCas";
const DEVICES: &str = "./Vendor/Postern/Trust/DeviceCas";

/// A device that believes `ca`, and the URI of its enrolment.
fn bench(ca: &TestCa) -> (Bench, String) {
    let mut bench = Bench::new(Providers::default());
    bench.now = UtcMillis(1_780_000_000_000);
    bench.account.device_cas = certificates(&ca.pem).unwrap();
    let uri = format!("postern:device:{}", bench.account.enrolment);
    (bench, uri)
}

fn node(name: &str) -> String {
    format!("{CERTIFICATE}/{name}")
}

/// Has the device make a key; the key, which a server never sees.
fn renew(bench: &mut Bench) -> String {
    assert_eq!(bench.exec(&node("Renew"), ""), Ok(Code::OK));
    bench.state.memory::<Renewal>(NAME).requested_key.unwrap()
}

#[test]
fn a_renewed_certificate_is_taken_with_its_key_and_tried_in_the_next_session() {
    let ca = TestCa::new();
    let (mut bench, uri) = bench(&ca);
    let key = renew(&mut bench);
    let csr = bench.read(&node("Csr")).unwrap();
    assert!(csr.contains("BEGIN CERTIFICATE REQUEST") && !csr.contains("PRIVATE"));
    assert_eq!(bench.read(&node("State")), Ok("requested".into()));
    assert_eq!(Renewal::next(&bench.state), None);
    let chain = format!("{}{}", ca.issue(&key, &[&uri]), ca.pem);
    // twice: the answer to the first may be lost
    for _ in 0..2 {
        assert_eq!(bench.replace(&node("Chain"), &chain), Ok(()));
    }
    assert_eq!(bench.read(&node("State")), Ok("taken".into()));
    assert_eq!(bench.read(&node("Csr")), Ok(String::new()));
    let next = Renewal::next(&bench.state).unwrap();
    assert_eq!((next.key_pem, next.certificate_pem.as_ref()), (Some(key), Some(&chain)));
    let next = Renewal::next(&bench.state).unwrap();
    Renewal::proved(&mut bench.state, &next);
    assert_eq!((Renewal::next(&bench.state), bench.read(&node("State"))), (None, Ok("none".into())));
}

#[test]
fn a_chain_that_does_not_fit_is_refused_and_changes_nothing() {
    let (ca, other_ca) = (TestCa::new(), TestCa::new());
    let (mut bench, uri) = bench(&ca);
    let early = ca.issue(&NewRequest::make("d").unwrap().key_pem, &[&uri]);
    assert_eq!(bench.replace(&node("Chain"), &early), Err(Code::INCOMPLETE), "none was asked for");
    let key = renew(&mut bench);
    for (chain, code) in [
        (ca.issue(&NewRequest::make("d").unwrap().key_pem, &[&uri]), Code::FORBIDDEN),
        (other_ca.issue(&key, &[&uri]), Code::FORBIDDEN),
        (ca.issue(&key, &["postern:device:someone"]), Code::FORBIDDEN),
        ("no certificate".to_owned(), Code::BAD_FORMAT),
        (String::new(), Code::BAD_FORMAT),
    ] {
        assert_eq!(bench.replace(&node("Chain"), &chain), Err(code));
        assert_eq!(Renewal::next(&bench.state), None);
    }
    assert_eq!(bench.replace(&node("Chain"), &ca.issue(&key, &[&uri])), Ok(()), "the right one still fits");
    assert_eq!(bench.by("other").exec(&node("Renew"), ""), Err(Code::DENIED));
}

#[test]
fn a_new_identity_that_the_server_refuses_is_forgotten_in_the_end() {
    let ca = TestCa::new();
    let (mut bench, uri) = bench(&ca);
    let key = renew(&mut bench);
    bench.replace(&node("Chain"), &ca.issue(&key, &[&uri])).unwrap();
    assert_eq!([1, 2, 3].map(|_| Renewal::refused(&mut bench.state)), [false, false, true]);
    assert_eq!(Renewal::next(&bench.state), None);
}

#[test]
fn anchors_are_replaced_by_an_order_for_just_them_and_once() {
    let (ca, new_ca, forged) = (TestCa::new(), TestCa::new(), TestCa::new());
    let (mut bench, uri) = bench(&ca);
    let both = format!("{}{}", ca.pem, new_ca.pem);
    let order = bench.order(&uri_with_content(SERVERS, both.as_bytes()), 1, |_| {});
    // the order of one content with another, or at another node
    assert_eq!(bench.replace(SERVERS, &format!("{order}\n{}", forged.pem)), Err(Code::FORBIDDEN));
    assert_eq!(bench.replace(DEVICES, &format!("{order}\n{both}")), Err(Code::FORBIDDEN));
    let plain = bench.order(SERVERS, 2, |_| {});
    assert_eq!(bench.replace(SERVERS, &format!("{plain}\n{both}")), Err(Code::FORBIDDEN));
    assert_eq!(bench.replace(SERVERS, &both), Err(Code::FORBIDDEN));
    assert_eq!(bench.replace(SERVERS, ""), Err(Code::BAD_FORMAT));
    assert_eq!(Renewal::next(&bench.state), None);
    assert_eq!(bench.replace(SERVERS, &format!("{order}\n{both}")), Ok(()));
    assert_eq!(bench.read(SERVERS), Ok(both.clone()));
    assert_eq!(Renewal::next(&bench.state).unwrap().ca_pem, Some(both.clone()));
    assert_eq!(bench.replace(SERVERS, &format!("{order}\n{both}")), Err(Code::FORBIDDEN), "a replay");
    // a second generation of the device CA issues the next certificate
    let order = bench.order(&uri_with_content(DEVICES, both.as_bytes()), 3, |_| {});
    bench.replace(DEVICES, &format!("{order}\n{both}")).unwrap();
    let key = renew(&mut bench);
    assert_eq!(bench.replace(&node("Chain"), &new_ca.issue(&key, &[&uri])), Ok(()));
    let next = Renewal::next(&bench.state).unwrap();
    assert!(next.ca_pem.is_some() && next.device_ca_pem.is_some() && next.certificate_pem.is_some());
}

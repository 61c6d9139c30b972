//! Pushes by SMPP 3.4 against a short-message centre of the tests' own: segments, window, throttling, receipts, broken
//! connections, garbage.

use std::{path::Path, sync::Arc, time::Duration};

use postern_actors::{
    Clock as _, PushBearer as _, PushError, PushOrder, PushOutcome, PushReport, SystemClock,
};
use postern_adapters::smpp::{IdForm, KEYS, SmppBearer, SmppConfig, SmppState};
use postern_tests::{
    smsc::{INVALID_DESTINATION, Receipts, SYSTEM_ERROR, Smsc, Submitted, THROTTLED, deliver, pdu},
    wait,
};
use postern_wire::{
    notification::{Package0, SessionId, Trigger},
    push::{
        Push,
        sms::{Reassembly, ReassemblyLimits},
        wsp,
    },
    terms::UtcMillis,
};
use tokio::sync::mpsc;
use uuid::Uuid;

const NUMBER: &str = "+15550100001";
const LIMIT: Duration = Duration::from_secs(20);

fn config(smsc: &Smsc, folder: &Path) -> SmppConfig {
    std::fs::write(folder.join("password"), "pw\n").expect("a file in the test's folder");
    let text = format!(
        "address = \"{}\"\nsystem_id = \"postern\"\npassword_file = \"password\"\nsource = \"Postern\"\n\
         reconnect_ms = 20\nreconnect_most_ms = 100\nthrottle_ms = 20\npush_ms = 15000\n",
        smsc.address()
    );
    toml(&text)
}

fn toml(text: &str) -> SmppConfig {
    let value: serde_json::Map<String, serde_json::Value> = text
        .lines()
        .map(|line| line.split_once(" = ").expect("key = value"))
        .map(|(key, value)| (key.to_owned(), serde_json::from_str(value).expect("a JSON value")))
        .collect();
    serde_json::from_value(serde_json::Value::Object(value)).expect("settings")
}

struct Site {
    smsc: Smsc,
    bearer: SmppBearer,
    reports: mpsc::Receiver<PushReport>,
    _folder: tempfile::TempDir,
}

impl Site {
    fn start(change: impl FnOnce(&mut SmppConfig), room: usize) -> Self {
        let (smsc, folder) = (Smsc::start(), tempfile::tempdir().expect("a folder"));
        let mut config = config(&smsc, folder.path());
        change(&mut config);
        let (sender, reports) = mpsc::channel(room);
        let clock = Arc::new(SystemClock::new());
        let bearer = SmppBearer::start(&config, folder.path(), clock, sender).expect("settings that work");
        Self { smsc, bearer, reports, _folder: folder }
    }

    /// A bearer that is bound: a push before that is told to come again.
    async fn bound(change: impl FnOnce(&mut SmppConfig)) -> Self {
        let site = Self::start(change, 16);
        site.is(SmppState::Bound).await;
        site
    }

    async fn is(&self, wanted: SmppState) {
        let mut state = self.bearer.state();
        let changed = tokio::time::timeout(LIMIT, state.wait_for(|state| *state == wanted));
        changed.await.expect("a state in time").expect("a client that runs");
    }

    async fn report(&mut self) -> PushReport {
        tokio::time::timeout(LIMIT, self.reports.recv()).await.expect("a report in time").expect("a client")
    }

    /// Waits, off the runtime's threads, for something that the centre counts.
    async fn until(&self, what: &str, holds: impl Fn(&Smsc) -> bool) {
        for _ in 0..1_000 {
            if holds(&self.smsc) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited for {what} in vain");
    }
}

fn notification(vendor: usize) -> Push {
    let trigger = Trigger {
        vendor: vec![0x5A; vendor],
        ..Trigger::new(SessionId::new(7).expect("not zero"), "com.mgmtsrv.manage")
    };
    Push::notification(Package0::seal(trigger, "hash", b"nonce").expect("a trigger").encode())
}

fn order(id: u128, content: Push) -> PushOrder {
    let valid_until = SystemClock::new().wall().plus(1_800_000);
    PushOrder { id: Uuid::from_u128(id), to: NUMBER.to_owned(), content, valid_until }
}

fn assembled(submitted: &[Submitted]) -> Push {
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    for message in submitted {
        let taken = reassembly.take(UtcMillis(0), &message.source.2, &message.user_data).expect("user data");
        if let Some(whole) = taken {
            assert_eq!(whole.ports.expect("ports").destination, 2948);
            return wsp::decode(&whole.datagram).expect("a WSP push").push;
        }
    }
    panic!("the segments are not complete: {submitted:?}")
}

#[tokio::test]
async fn not_07_a_push_is_one_binary_short_message_to_the_push_port() {
    let site = Site::bound(|_| {}).await;
    let sent = notification(0);

    let receipt = site.bearer.push(order(0x42, sent.clone())).await.unwrap();

    let submitted = site.smsc.submitted();
    assert_eq!(submitted.len(), 1);
    let message = &submitted[0];
    assert_eq!((receipt.reference.as_str(), receipt.reported), (message.message_id.as_str(), true));
    assert_eq!(message.source, (5, 0, "Postern".to_owned()));
    assert_eq!(message.destination, (1, 1, "15550100001".to_owned()));
    assert_eq!((message.esm_class, message.data_coding, message.registered_delivery), (0x40, 0x04, 1));
    assert!(
        message.validity.starts_with("00000000") && message.validity.ends_with("000R"),
        "{}",
        message.validity
    );
    assert_eq!(message.user_data[..13], *b"\x06\x05\x04\x0B\x84\x23\xF0\x42\x06\x03\xC4\xAF\x87");
    assert_eq!(assembled(&submitted), sent);
}

#[tokio::test]
async fn not_08_a_long_push_goes_in_segments_with_one_reference_made_of_the_orders_id() {
    let mut site = Site::bound(|_| {}).await;
    site.smsc.behave(|behaviour| behaviour.receipts = Receipts::Text);
    let sent = notification(400);

    let receipt = site.bearer.push(order(0xABCD, sent.clone())).await.unwrap();

    let submitted = site.smsc.submitted();
    assert_eq!(submitted.len(), 4);
    for (at, message) in submitted.iter().enumerate() {
        assert_eq!(message.user_data[7..12], [0x00, 0x03, 0xCD, 4, at as u8 + 1]);
    }
    assert_eq!(assembled(&submitted), sent);
    let report = site.report().await;
    let expected = PushReport {
        bearer: "smpp".to_owned(),
        reference: receipt.reference,
        outcome: PushOutcome::Delivered,
    };
    assert_eq!(report, expected, "one report for the push");
    assert_eq!(submitted[0].message_id, report.reference);
}

#[tokio::test]
async fn a_receipt_by_text_by_parameters_before_its_response_or_in_another_base_finds_its_push() {
    for receipts in [Receipts::Text, Receipts::Parameters, Receipts::Data, Receipts::Early] {
        for hex_ids in [false, true] {
            let mut site = Site::bound(|config| {
                if hex_ids {
                    (config.response_ids, config.receipt_ids) = (IdForm::Hex, IdForm::Decimal);
                }
            })
            .await;
            site.smsc.behave(|behaviour| (behaviour.receipts, behaviour.hex_ids) = (receipts, hex_ids));
            let receipt = site.bearer.push(order(1, notification(0))).await.unwrap();
            let report = site.report().await;
            assert_eq!(report.reference, receipt.reference, "{receipts:?} {hex_ids}");
            assert_eq!(report.outcome, PushOutcome::Delivered);
            site.until("an answered receipt", |smsc| smsc.delivered() == [0]).await;
        }
    }
}

#[tokio::test]
async fn a_failed_delivery_is_reported_with_its_reason_and_one_of_an_earlier_process_by_its_id() {
    let mut site = Site::bound(|_| {}).await;
    let receipt = site.bearer.push(order(1, notification(0))).await.unwrap();
    site.smsc.send_receipt(&receipt.reference, "ENROUTE");
    site.smsc.send_receipt(&receipt.reference, "UNDELIV");
    let report = site.report().await;
    assert_eq!(report.reference, receipt.reference);
    assert_eq!(report.outcome, PushOutcome::Failed("UNDELIV, error 000".to_owned()));
    site.smsc.send_receipt("of-old", "DELIVRD");
    assert_eq!(site.report().await.reference, "of-old");
}

#[tokio::test]
async fn a_receipt_that_nobody_could_take_is_not_acknowledged() {
    let mut site = Site::start(|_| {}, 1);
    site.is(SmppState::Bound).await;
    for id in ["a", "b"] {
        site.smsc.send_receipt(id, "DELIVRD");
    }
    site.until("two answers", |smsc| smsc.delivered().len() == 2).await;
    assert_eq!(site.smsc.delivered(), [0, 0x14], "the second has to come again");
    assert_eq!(site.report().await.reference, "a");
    site.smsc.send_receipt("b", "DELIVRD");
    assert_eq!(site.report().await.reference, "b");
}

#[tokio::test]
async fn a_centre_that_throttles_gets_the_same_submission_again_after_a_pause() {
    let site = Site::bound(|_| {}).await;
    site.smsc.behave(|behaviour| behaviour.statuses = [THROTTLED, THROTTLED, 0x14].into());
    site.bearer.push(order(1, notification(400))).await.unwrap();
    assert_eq!(site.smsc.submitted().len(), 4);
    assert_eq!(assembled(&site.smsc.submitted()), notification(400));
}

#[tokio::test]
async fn a_centre_that_throttles_for_ever_costs_one_push_its_time_and_no_more() {
    let site = Site::bound(|config| config.push_ms = 300).await;
    site.smsc.behave(|behaviour| behaviour.statuses = std::iter::repeat_n(THROTTLED, 1_000).collect());
    let error = site.bearer.push(order(1, notification(0))).await.unwrap_err();
    assert!(matches!(error, PushError::Retry { .. }), "{error:?}");
    site.smsc.behave(|behaviour| behaviour.statuses.clear());
    let patient = order(2, notification(0));
    assert!(site.bearer.push(patient.clone()).await.is_ok() || site.bearer.push(patient).await.is_ok());
}

#[tokio::test]
async fn a_status_of_the_centre_decides_whether_the_push_goes_again() {
    let site = Site::bound(|_| {}).await;
    site.smsc.behave(|behaviour| behaviour.statuses = [SYSTEM_ERROR, INVALID_DESTINATION].into());
    let busy = site.bearer.push(order(1, notification(0))).await.unwrap_err();
    assert!(matches!(&busy, PushError::Retry { reason, .. } if reason.contains("ESME_RSYSERR")), "{busy:?}");
    let wrong = site.bearer.push(order(2, notification(0))).await.unwrap_err();
    assert!(
        matches!(&wrong, PushError::Refused { reason } if reason.contains("ESME_RINVDSTADR")),
        "{wrong:?}"
    );
    assert!(site.bearer.push(order(3, notification(0))).await.is_ok());
}

#[tokio::test]
async fn a_push_whose_second_segment_is_refused_is_not_reported_as_delivered() {
    let mut site = Site::bound(|_| {}).await;
    site.smsc.behave(|behaviour| {
        behaviour.receipts = Receipts::Text;
        behaviour.refuse_after = Some((1, SYSTEM_ERROR));
    });
    let error = site.bearer.push(order(1, notification(400))).await.unwrap_err();
    assert!(matches!(error, PushError::Retry { .. }), "{error:?}");
    assert_eq!(site.smsc.submitted().len(), 1);

    // The same push again: the device puts the segments together by their reference, and one report comes.
    let receipt = site.bearer.push(order(1, notification(400))).await.unwrap();
    let report = site.report().await;
    assert_eq!((report.reference, report.outcome), (receipt.reference, PushOutcome::Delivered));
    let references: Vec<_> = site.smsc.submitted().iter().map(|message| message.user_data[9]).collect();
    assert_eq!(references, [1; 5]);
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_what_was_in_flight_may_go_again() {
    let site = Site::bound(|_| {}).await;
    site.smsc.behave(|behaviour| behaviour.drop_after = Some(1));
    let error = site.bearer.push(order(1, notification(0))).await.unwrap_err();
    assert!(matches!(error, PushError::Retry { .. }), "{error:?}");
    site.until("a second bind", |smsc| smsc.counts().0 == 2).await;
    site.is(SmppState::Bound).await;
    assert!(site.bearer.push(order(1, notification(0))).await.is_ok());

    site.smsc.disconnect();
    site.until("a third bind", |smsc| smsc.counts().0 == 3).await;
}

#[tokio::test]
async fn a_centre_that_refuses_the_bind_is_named_and_tried_again() {
    let site = Site::start(|config| config.password_file = None, 1);
    site.until("a bind", |smsc| smsc.counts().0 >= 2).await;
    let error = site.bearer.push(order(1, notification(0))).await.unwrap_err();
    assert!(
        matches!(&error, PushError::Retry { reason, .. } if reason.contains("ESME_RINVPASWD")),
        "{error:?}"
    );
    site.smsc.behave(|behaviour| behaviour.password.clear());
    site.is(SmppState::Bound).await;
    assert!(site.bearer.push(order(1, notification(0))).await.is_ok());
}

#[tokio::test]
async fn a_silent_centre_is_asked_and_a_deaf_one_left() {
    let site = Site::bound(|config| (config.enquire_link_ms, config.response_ms) = (50, 200)).await;
    site.until("enquire_link", |smsc| smsc.counts().1 >= 3).await;
    assert_eq!(site.smsc.counts().0, 1, "it answers, so the connection stays");
    site.smsc.behave(|behaviour| behaviour.deaf = true);
    site.until("a new bind", |smsc| smsc.counts().0 >= 2).await;
}

#[tokio::test]
async fn a_submission_that_is_never_answered_is_given_up() {
    let site = Site::bound(|config| config.response_ms = 200).await;
    site.smsc.behave(|behaviour| behaviour.silent = true);
    let error = site.bearer.push(order(1, notification(0))).await.unwrap_err();
    assert!(matches!(error, PushError::Retry { .. }), "{error:?}");
}

#[tokio::test]
async fn garbage_ends_the_connection_and_what_has_a_header_is_answered() {
    let site = Site::bound(|_| {}).await;
    // A command that nobody knows, one whose body is cut, and an ordinary enquiry.
    site.smsc.send(0x0000_0104, 5, b"no such command");
    site.smsc.send(0x0000_0005, 6, b"\0\x01\x01cut");
    site.smsc.send(0x0000_0015, 7, b"");
    site.smsc.send(0x0000_0005, 8, &deliver(0, b"hello", b""));
    site.until("two generic_nack", |smsc| smsc.nacked() == [0x03, 0x02]).await;
    site.until("an answer", |smsc| smsc.delivered() == [0]).await;
    assert_eq!(site.smsc.counts().0, 1);
    for garbage in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[0; 4], &[0xFF; 64]] {
        let binds = site.smsc.counts().0;
        site.smsc.send_raw(garbage);
        site.until("a new bind", |smsc| smsc.counts().0 > binds).await;
    }
    site.is(SmppState::Bound).await;
    assert!(site.bearer.push(order(1, notification(0))).await.is_ok());
}

#[tokio::test]
async fn an_unbind_of_the_centre_is_answered_and_a_dropped_bearer_unbinds() {
    let site = Site::bound(|_| {}).await;
    site.smsc.send_raw(&pdu(0x06, 0, 77, b""));
    site.until("a new bind", |smsc| smsc.counts().0 == 2).await;
    site.is(SmppState::Bound).await;
    let Site { smsc, bearer, .. } = site;
    drop(bearer);
    let unbound = tokio::task::spawn_blocking(move || wait::holds_within(LIMIT, || smsc.counts().2 == 1));
    assert!(unbound.await.unwrap());
}

#[tokio::test]
async fn pushes_share_the_window_and_all_arrive() {
    let site = Site::bound(|config| config.window = 3).await;
    let pushes = (1..=40_u128).map(|id| site.bearer.push(order(id, notification(id as usize % 200))));
    let taken = futures_util::future::join_all(pushes).await;
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    let mut references: Vec<_> = taken.into_iter().map(|taken| taken.unwrap().reference).collect();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), 40);
}

#[tokio::test]
async fn a_push_that_is_worth_nothing_or_has_no_number_never_reaches_the_centre() {
    let site = Site::bound(|_| {}).await;
    let late = PushOrder { valid_until: UtcMillis(0), ..order(1, notification(0)) };
    let nowhere = PushOrder { to: "alice".to_owned(), ..order(1, notification(0)) };
    for refused in [late, nowhere] {
        let error = site.bearer.push(refused).await.unwrap_err();
        assert!(matches!(error, PushError::Refused { .. }), "{error:?}");
    }
    assert!(site.smsc.submitted().is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_their_key() {
    let (smsc, folder) = (Smsc::start(), tempfile::tempdir().unwrap());
    let good = config(&smsc, folder.path());
    std::fs::write(folder.path().join("long"), "123456789\n").unwrap();
    for (config, key) in [
        (SmppConfig { address: "nowhere".to_owned(), ..good.clone() }, "push.smpp.address"),
        (SmppConfig { address: "h:99999".to_owned(), ..good.clone() }, "push.smpp.address"),
        (SmppConfig { system_id: "1234567890123456".to_owned(), ..good.clone() }, "push.smpp.system_id"),
        (SmppConfig { service_type: "123456".to_owned(), ..good.clone() }, "push.smpp.service_type"),
        (SmppConfig { password_file: Some("long".into()), ..good.clone() }, "push.smpp.password_file"),
        (SmppConfig { password_file: Some("absent".into()), ..good.clone() }, "absent"),
        (SmppConfig { ca: Some("password".into()), ..good }, "password"),
    ] {
        let (reports, _) = mpsc::channel(1);
        let started = SmppBearer::start(&config, folder.path(), Arc::new(SystemClock::new()), reports);
        let error = started.unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}

#[test]
fn every_key_of_the_settings_is_documented() {
    let full = toml(
        "address = \"h:1\"\nsystem_id = \"s\"\npassword_file = \"p\"\nca = \"c\"\nsource_ton = 1\nsource_npi = 1",
    );
    let written = serde_json::to_value(&full).unwrap();
    let mut keys: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    let mut documented: Vec<_> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    keys.sort();
    documented.sort();
    assert_eq!(keys, documented);
}

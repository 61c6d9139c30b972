//! A mail server that is down, refuses, or breaks off; a core that dies; a database that is away. No event is lost, and
//! none comes twice that was answered once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{Carrier, CarryError, Parcel};
use postern_adapters::smtp::SmtpCarrier;
use postern_store::Store;
use postern_wire::terms::{Channel, DeliveryState};
use serde_json::json;

use crate::{
    exim::{Exim, Verdicts},
    mails::carrier,
    rig::Rig,
    scripted::{Script, Scripted},
};

const EVENTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_for_an_hour_costs_no_event_and_brings_none_twice() {
    let mut exim = Exim::new();
    let rig = Rig::with(vec![carrier(&exim, &exim.settings())]).await;
    let mut tries = 0;
    for minute in 0..60 {
        if minute < EVENTS {
            rig.put(&minute.to_string(), json!({})).await;
        }
        tries += rig.step().await;
        rig.advance(60);
    }
    assert!(exim.taken().is_empty());
    assert!(tries < 60 * 5, "a server that is down is not asked for each event: {tries}");
    assert_eq!(rig.alarms().await, ["mail-late"]);
    exim.start(Verdicts::default());
    for _ in 0..70 {
        rig.advance(60);
        rig.step().await;
    }
    let mut ids = exim.taken();
    assert_eq!(ids.len(), EVENTS);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), EVENTS, "each once");
    assert!(rig.rows().await.iter().all(|(row, _)| row.state == DeliveryState::Delivered));
    assert!(rig.alarms().await.is_empty(), "{:?}", rig.alarms().await);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_with_4xx_waits_longer_each_time_and_goes_once() {
    let verdicts = Verdicts { later: "busy", later_data: "full", ..Verdicts::default() };
    let mut exim = Exim::running(verdicts);
    let rig = Rig::with(vec![carrier(&exim, &exim.settings())]).await;
    rig.put_to("busy@corp.example").await;
    rig.put_to("full@corp.example").await;
    rig.put_to("ada@corp.example").await;
    assert_eq!((rig.step().await, rig.step().await), (3, 0));
    for (seconds, tries) in [(59, 0), (1, 2), (119, 0), (1, 2)] {
        rig.advance(seconds);
        assert_eq!(rig.step().await, tries, "after {seconds} s");
    }
    for (row, _) in rig.rows().await {
        match row.target.as_str() {
            "ada@corp.example" => assert_eq!(row.state, DeliveryState::Delivered, "others are not held up"),
            _ => {
                assert_eq!((row.state, row.attempts), (DeliveryState::Waiting, 3));
                assert!(row.cause.contains("451"), "{}", row.cause);
            }
        }
    }
    exim.start(Verdicts::default());
    rig.advance(3_600);
    assert_eq!((rig.step().await, rig.step().await), (2, 0));
    assert_eq!(exim.taken().len(), 3);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_with_5xx_is_parked_with_the_reason_until_a_person_has_it_tried_again() {
    for (verdicts, to, reason) in [
        (Verdicts { never: "gone", ..Verdicts::default() }, "gone@corp.example", "no such user"),
        (Verdicts { never_data: "spam", ..Verdicts::default() }, "spam@corp.example", "content refused"),
    ] {
        let mut exim = Exim::running(verdicts);
        let rig = Rig::with(vec![carrier(&exim, &exim.settings())]).await;
        rig.put_to(to).await;
        rig.step().await;
        rig.advance(10 * 24 * 3_600);
        assert_eq!(rig.step().await, 0, "never by itself");
        let row = rig.only().await;
        assert_eq!((row.state, row.attempts), (DeliveryState::Parked, 1));
        assert!(row.cause.contains("550") && row.cause.contains(reason), "{}", row.cause);
        assert_eq!(rig.alarms().await, ["mail-parked"]);
        exim.start(Verdicts::default());
        rig.retry(&row, false).await;
        assert_eq!(rig.step().await, 1);
        assert_eq!(exim.taken(), [row.message_id]);
        assert!(rig.alarms().await.is_empty());
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_after_data_brings_the_same_mail_again() {
    let server = Scripted::start(Script { drop_after_data: 1, ..Script::default() }).await;
    let rig = Rig::with(vec![server.carrier()]).await;
    rig.put_to("ada@corp.example").await;
    rig.step().await;
    let row = rig.only().await;
    assert_eq!((row.state, row.attempts), (DeliveryState::Waiting, 1), "nobody said that it was taken");
    rig.advance(60);
    rig.step().await;
    let row = rig.only().await;
    assert_eq!((row.state, row.attempts), (DeliveryState::Delivered, 2));
    let mails = server.mails();
    assert_eq!(mails.len(), 2, "the server had the first one too, and can tell by its Message-ID");
    for name in ["Message-ID", "Date", "Subject", "To"] {
        let lines: Vec<_> = mails
            .iter()
            .map(|mail| mail.lines().find(|line| line.starts_with(&format!("{name}: "))).map(str::to_owned))
            .collect();
        assert!(lines[0].is_some() && lines[0] == lines[1], "{name}: {lines:?}");
    }
    assert!(mails[0].contains(&row.message_id));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_starttls_or_without_auth_gets_neither_credentials_nor_mail() {
    for script in
        [Script { no_starttls: true, ..Script::default() }, Script { no_auth: true, ..Script::default() }]
    {
        let server = Scripted::start(script).await;
        let rig = Rig::with(vec![server.carrier()]).await;
        rig.put_to("ada@corp.example").await;
        rig.step().await;
        assert_eq!(rig.only().await.state, DeliveryState::Waiting);
        let said = server.said();
        let secret = |line: &String| line.starts_with("AUTH") || line.starts_with("MAIL");
        assert!(!said.iter().any(secret), "{said:?}");
        rig.end().await;
    }
}

/// A mail server behind which the core fares badly just when the mail is taken.
struct Unlucky {
    inner: SmtpCarrier,
    /// The core dies: nobody ever hears the answer.
    dies: AtomicBool,
    /// The database goes away.
    store: Option<Store>,
}

impl Carrier for Unlucky {
    fn channel(&self) -> Channel {
        Channel::Mail
    }
    fn name(&self) -> Option<&str> {
        None
    }
    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>> {
        async move {
            let said = self.inner.carry(parcel).await;
            if self.dies.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if let Some(store) = self.store.clone() {
                tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
            }
            said
        }
        .boxed()
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>> {
        self.inner.probe()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_dies_between_the_mail_and_its_note_sends_the_same_mail_again() {
    let exim = Exim::running(Verdicts::default());
    let inner = SmtpCarrier::open(&exim.settings(), exim.folder()).unwrap();
    let rig = Rig::with(vec![Arc::new(Unlucky { inner, dies: AtomicBool::new(true), store: None })]).await;
    rig.put("1", json!({})).await;
    let step = rig.mail.step();
    tokio::select! {
        _ = step => panic!("the core died"),
        () = async { while exim.taken().is_empty() { tokio::task::yield_now().await } } => {}
    }
    let other = rig.after_a_crash(vec![carrier(&exim, &exim.settings())]);
    assert_eq!(other.step().await.unwrap(), 0, "the try that nobody ended may still end");
    rig.advance(5 * 60);
    assert_eq!(other.step().await.unwrap(), 1);
    let taken = exim.taken();
    assert_eq!((taken.len(), taken.first() == taken.last()), (2, true), "{taken:?}");
    assert_eq!(rig.only().await.state, DeliveryState::Delivered);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_when_the_answer_comes_sends_nothing_again() {
    let exim = Exim::running(Verdicts::default());
    let rig = Rig::with(Vec::new()).await;
    let inner = SmtpCarrier::open(&exim.settings(), exim.folder()).unwrap();
    let store = Some(rig.store.clone());
    let mail = rig.after_a_crash(vec![Arc::new(Unlucky { inner, dies: AtomicBool::new(false), store })]);
    rig.put("1", json!({})).await;
    for _ in 0..5 {
        assert!(mail.step().await.is_err());
        rig.advance(3_600);
    }
    assert_eq!(exim.taken().len(), 1);
}

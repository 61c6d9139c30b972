//! Mail by Exim: who gets what, over what, and when nothing must go.

use std::sync::Arc;

use postern_actors::Carrier;
use postern_adapters::smtp::{SmtpCarrier, SmtpConfig};
use postern_store::{
    Ambient,
    admins::{self, Admin},
    mail_addresses::{self, MailAddress},
    outbox::{self, Recipients},
};
use postern_wire::terms::DeliveryState;
use serde_json::json;

use crate::{
    exim::{Exim, Verdicts},
    rig::Rig,
};

pub(crate) fn carrier(exim: &Exim, config: &SmtpConfig) -> Arc<dyn Carrier> {
    Arc::new(SmtpCarrier::open(config, exim.folder()).unwrap())
}

async fn rig(exim: &Exim) -> Rig {
    Rig::with(vec![carrier(exim, &exim.settings())]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_its_people_once_each_over_tls_with_auth() {
    let exim = Exim::running(Verdicts::default());
    let rig = rig(&exim).await;
    let owner = rig.device("ada@corp.example").await;
    let admin = (Ambient::system().id)();
    rig.store
        .write(move |tx| {
            let now = tx.now();
            let row = Admin {
                id: admin,
                name: "grace".to_owned(),
                password: None,
                created_at: now,
                created_by: "a test".to_owned(),
                may_approve_from: now,
                disabled_at: None,
                revision: 1,
            };
            admins::insert(tx, row)?;
            let address = MailAddress {
                subject: mail_addresses::of_admin(admin),
                address: "grace@corp.example".to_owned(),
                second: None,
                at: now,
                set_by: "a test".to_owned(),
            };
            mail_addresses::set(tx, address)
        })
        .await
        .unwrap();
    let all = Recipients { requester: Some(admin), owner: Some(owner), security_list: true };
    rig.put_for("1", json!({"reason": "left in a train", "by": "grace"}), all, None).await;
    assert_eq!((rig.step().await, rig.step().await), (3, 0));

    let mails = exim.mails(3);
    let mut ids = exim.taken();
    let mut known: Vec<String> = rig.rows().await.into_iter().map(|(row, _)| row.message_id).collect();
    ids.sort();
    known.sort();
    assert_eq!(ids, known, "each was taken once, under its own Message-ID");
    for to in ["ada", "grace", "security"] {
        let mail = mails.iter().find(|mail| mail.contains(&format!("\nTo: {to}@corp.example\n"))).expect(to);
        let wanted = [
            "with esmtpsa ",
            "\nFrom: Postern <mdm@corp.example>\n",
            "\nSubject: [Postern] Wipe requested: Ada's <phone>\n",
            "\nAuto-Submitted: auto-generated\n",
            "\nReason: left in a train\n",
            "https://console.corp.example/sign-in?about=wipe%3A1",
            "Ada&#39;s &lt;phone&gt;",
        ];
        let soft = mail.replace("=\n", "").replace("=3D", "=");
        for wanted in wanted {
            assert!(soft.contains(wanted), "{wanted:?} is not in {soft}");
        }
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_lost_device_is_told_when_the_wipe_is_complete() {
    let exim = Exim::running(Verdicts::default());
    let rig = rig(&exim).await;
    let owner = rig.device("ada@corp.example").await;
    let both = Recipients { requester: None, owner: Some(owner), security_list: true };
    rig.put_for("1", json!({"reason": "lost"}), both, Some("wipe:1")).await;
    assert_eq!(rig.step().await, 1, "the security list alone");
    rig.advance(3_600);
    assert_eq!(rig.step().await, 0);
    assert_eq!(rig.store.write(|tx| outbox::release(tx, "wipe:1")).await.unwrap(), 1);
    assert_eq!(rig.step().await, 1);
    let mails = exim.mails(2);
    assert!(mails.iter().any(|mail| mail.contains("\nTo: ada@corp.example\n")), "{mails:#?}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_take_our_credentials_or_is_not_ours_gets_nothing() {
    let exim = Exim::running(Verdicts::default());
    let other = Exim::new();
    std::fs::write(exim.folder().join("wrong"), "wrong\n").unwrap();
    std::fs::copy(other.folder().join("ca.pem"), exim.folder().join("other-ca.pem")).unwrap();
    let good = exim.settings();
    let wrong = [
        (SmtpConfig { password_file: "wrong".into(), ..good.clone() }, "credentials"),
        (SmtpConfig { ca: Some("other-ca.pem".into()), ..good.clone() }, "TLS"),
        (SmtpConfig { server: "localhost".to_owned(), port: 1, ..good.clone() }, "reached"),
    ];
    for (config, why) in wrong {
        let carrier = carrier(&exim, &config);
        let probed = carrier.probe().await.unwrap_err().to_string();
        assert!(probed.contains(why), "{probed}");
        let rig = Rig::with(vec![carrier]).await;
        rig.put("1", json!({})).await;
        assert_eq!((rig.step().await, rig.step().await), (1, 0), "it rests");
        let row = rig.only().await;
        assert_eq!(
            row.state,
            DeliveryState::Waiting,
            "what is wrong with the server is not the mail's fault"
        );
        assert!(row.cause.contains(why), "{}", row.cause);
        rig.end().await;
    }
    assert!(exim.taken().is_empty());
    let found = carrier(&exim, &good).probe().await.unwrap();
    assert!(found.contains("TLS and credentials are right"), "{found}");
    assert!(exim.taken().is_empty(), "a look sends nothing");
}

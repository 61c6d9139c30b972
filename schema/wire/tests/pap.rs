//! PAP (NOT-14): what is posted to a push proxy gateway, and what its answers mean.

use postern_wire::{
    push::{
        Application, Push, PushMedia, SecurityMethod,
        pap::{
            Answer, BadPap, BadXml, Code, MessageState, PushMessage, ResultCode, Submission, Verdict,
            Version, notification_response, plmn_address,
        },
    },
    terms::UtcMillis,
};

fn message() -> PushMessage {
    PushMessage {
        push_id: "0197@postern.example".to_owned(),
        address: plmn_address("+15550100001", "ppg.example").expect("a vector of the project"),
        deliver_before: Some(UtcMillis(1_795_306_906_789)),
        notify_to: None,
        sms_required: false,
    }
}

#[test]
fn not_14_a_push_message_is_multipart_related_with_the_control_entity_first() {
    let push = Push::notification(b"\x00\x01\r\n--x".to_vec());

    let submission = Submission::write(&message(), &push, Version::V2_0).unwrap();

    assert_eq!(
        submission.content_type,
        "multipart/related; boundary=postern-part-0; type=\"application/xml\""
    );
    let expected = b"--postern-part-0\r\n\
        Content-Type: application/xml\r\n\r\n\
        <?xml version=\"1.0\"?>\n\
        <!DOCTYPE pap PUBLIC \"-//WAPFORUM//DTD PAP 2.0//EN\" \"http://www.wapforum.org/DTD/pap_2.0.dtd\">\n\
        <pap product-name=\"Postern\">\
        <push-message push-id=\"0197@postern.example\" deliver-before-timestamp=\"2026-11-22T00:21:46Z\">\
        <address address-value=\"WAPPUSH=+15550100001/TYPE=PLMN@ppg.example\"/>\
        <quality-of-service delivery-method=\"unconfirmed\"/>\
        </push-message></pap>\r\n\
        --postern-part-0\r\n\
        Content-Type: application/vnd.syncml.notification\r\n\
        X-Wap-Application-Id: x-wap-application:syncml.dm\r\n\r\n\
        \x00\x01\r\n--x\r\n\
        --postern-part-0--\r\n";
    assert_eq!(String::from_utf8_lossy(&submission.body), String::from_utf8_lossy(expected));
    assert!(!format!("{submission:?}").contains("15550100001"));
}

#[test]
fn not_14_options_stand_in_the_control_entity() {
    let message = PushMessage {
        notify_to: Some("https://core.example/pap?a=1&b=2".to_owned()),
        sms_required: true,
        deliver_before: None,
        ..message()
    };
    let body = Submission::write(&message, &Push::notification(vec![]), Version::V1_0).unwrap().body;
    let text = String::from_utf8(body).unwrap();
    for part in [
        "DTD PAP 1.0//EN",
        "ppg-notify-requested-to=\"https://core.example/pap?a=1&amp;b=2\"",
        "network-required=\"true\" network=\"GSM\" bearer-required=\"true\" bearer=\"SMS\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("deliver-before"));
}

#[test]
fn not_14_a_boundary_never_occurs_in_what_it_bounds() {
    let push = Push::notification(b"\r\n--postern-part-0--\r\npostern-part-1".to_vec());
    let submission = Submission::write(&message(), &push, Version::V2_0).unwrap();
    assert!(submission.content_type.contains("boundary=postern-part-2;"));
}

#[test]
fn not_14_a_bootstraps_secret_is_named_in_its_content_type() {
    let media = PushMedia::ConnectivityWbxml;
    let security = postern_wire::push::Security { method: SecurityMethod::UserPin, mac: None };
    let push = Push::bootstrap(media, Some(security), vec![1]);
    let body = Submission::write(&message(), &push, Version::V2_0).unwrap().body;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(text.contains("Content-Type: application/vnd.wap.connectivity-wbxml; SEC=USERPIN\r\n\r\n"));
    assert!(!text.contains("X-Wap-Application-Id"));
}

#[test]
fn not_14_nothing_that_a_caller_gives_can_split_a_header_or_an_address() {
    let split = |application: &str| Push {
        application: Some(Application::Name(application.to_owned())),
        ..Push::notification(vec![])
    };
    for bad in ["a\r\nX: y", "é", &"a".repeat(513)] {
        let refused = Submission::write(&message(), &split(bad), Version::V2_0);
        assert_eq!(refused.unwrap_err(), BadPap::Header, "{bad:?}");
    }
    for bad in ["", "+", "1a", "+1/TYPE=X", "123456789012345678901"] {
        assert_eq!(plmn_address(bad, "h"), Err(BadPap::Number), "{bad}");
    }
    for bad in ["", "a b", "a@b", "a/b"] {
        assert_eq!(plmn_address("+1", bad), Err(BadPap::Host), "{bad}");
    }
    let control = PushMessage { push_id: "\u{1}".to_owned(), ..message() };
    let refused = Submission::write(&control, &Push::notification(vec![]), Version::V2_0);
    assert_eq!(refused.unwrap_err(), BadPap::Xml(BadXml::Character(1)));
    let far = PushMessage { deliver_before: Some(UtcMillis(i64::MAX)), ..message() };
    assert_eq!(
        Submission::write(&far, &Push::notification(vec![]), Version::V2_0).unwrap_err(),
        BadPap::Time
    );
}

#[test]
fn not_14_the_answers_of_a_gateway_are_read() {
    let result =
        |code, description: &str| ResultCode { code: Code(code), description: description.to_owned() };
    for (xml, answer) in [
        (
            // As Kannel 1.4.5 answers.
            "<?xml version=\"1.0\"?>\n<!DOCTYPE pap PUBLIC \"-//WAPFORUM//DTD PAP 1.0//EN\" \
             \"http://www.wapforum.org/DTD/pap_1.0.dtd\">\n<pap>\n<push-response push-id=\"n1@dm.test\" \
             sender-address=\"http://x\" sender-name=\"wap\" reply-time=\"2026-11-21T19:32:50Z\">\n\
             <response-result code =\"1001\" desc=\"The request has been accepted for processing\">\n\
             </response-result></push-response></pap>",
            Answer::Push {
                push_id: Some("n1@dm.test".to_owned()),
                result: result(1001, "The request has been accepted for processing"),
            },
        ),
        (
            "<pap><push-response><progress-note stage='x'/><response-result code='4001'/></push-response></pap>",
            Answer::Push { push_id: None, result: result(4001, "") },
        ),
        (
            "<pap><badmessage-response code='2000' desc='&#10;Bad' bad-message-fragment='x'/></pap>",
            Answer::BadMessage(result(2000, "Bad")),
        ),
        (
            "<pap><resultnotification-message push-id='p' message-state='delivered' code='1000' desc='d'>\
             <address address-value='a'/></resultnotification-message></pap>",
            Answer::ResultNotification {
                push_id: "p".to_owned(),
                state: MessageState::Delivered,
                result: result(1000, "d"),
            },
        ),
    ] {
        assert_eq!(Answer::read(xml.as_bytes()), Ok(answer), "{xml}");
    }
    for (state, read) in [
        ("pending", MessageState::Pending),
        ("undeliverable", MessageState::Failed),
        ("expired", MessageState::Failed),
        ("surprise", MessageState::Failed),
    ] {
        let xml =
            format!("<pap><resultnotification-message push-id='p' code='1' message-state='{state}'/></pap>");
        let Ok(Answer::ResultNotification { state, .. }) = Answer::read(xml.as_bytes()) else {
            panic!("{xml}")
        };
        assert_eq!(state, read);
    }
}

#[test]
fn not_14_an_answer_that_is_none_is_refused_with_its_reason() {
    for (xml, refusal) in [
        ("<html/>", BadPap::NotPap),
        ("<pap/>", BadPap::NotPap),
        ("<pap><push-response/></pap>", BadPap::Missing("response-result")),
        ("<pap><badmessage-response/></pap>", BadPap::Missing("code")),
        ("<pap><badmessage-response code='70000'/></pap>", BadPap::Code),
        ("<pap><resultnotification-message code='1'/></pap>", BadPap::Missing("push-id")),
        ("<pap><resultnotification-message code='1' push-id='p'/></pap>", BadPap::Missing("message-state")),
    ] {
        assert_eq!(Answer::read(xml.as_bytes()), Err(refusal), "{xml}");
    }
    assert!(matches!(Answer::read(b"OK"), Err(BadPap::Xml(_))));
    let endless = format!("<pap><badmessage-response code='1' desc='{}'/></pap>", "x".repeat(9_000));
    let Ok(Answer::BadMessage(result)) = Answer::read(endless.as_bytes()) else { panic!() };
    assert_eq!(result.description.len(), 256);
}

#[test]
fn not_14_a_code_says_whether_the_same_push_may_go_again() {
    for (code, verdict) in [
        (1000, Verdict::Accepted),
        (1001, Verdict::Accepted),
        (2000, Verdict::Refused),
        (2001, Verdict::Refused),
        (2002, Verdict::Refused),
        (2007, Verdict::Accepted),
        (3000, Verdict::Retry),
        (3001, Verdict::Refused),
        (3010, Verdict::Retry),
        (4000, Verdict::Retry),
        (4001, Verdict::Retry),
        (5000, Verdict::Retry),
        (5999, Verdict::Retry),
        (0, Verdict::Refused),
        (6000, Verdict::Refused),
    ] {
        assert_eq!(Code(code).verdict(), verdict, "{code}");
    }
}

#[test]
fn a_resultnotification_is_answered() {
    let response = notification_response("a&b", Version::V2_0).unwrap();
    assert!(
        response.ends_with("<pap><resultnotification-response push-id=\"a&amp;b\" code=\"1000\"/></pap>")
    );
}

//! SEC-05, SEC-15, SEC-18: the formulas of credentials and the grammar of the MAC's header.

use postern_wire::auth::{self, HmacHeader};

use super::{Bench, messages::vector};
use crate::conformance::verdict::{Outcome, same};

pub(crate) fn digests(bench: &mut Bench) -> Outcome {
    let basic = bench.text(Ok(auth::basic("Bruce2", "OhBehave"))).unwrap_or_default();
    same("auth-basic", basic.as_str(), "QnJ1Y2UyOk9oQmVoYXZl")?;
    let binary: Vec<u8> = (0..16).collect();
    for (nonce, wanted) in [
        (&b"Nonce"[..], "Zz6EivR3yeaaENcRN6lpAQ=="),
        (&binary, "ClaA48A1VYROr4FUwjaBYw=="),
        (&[0; 4], "cnPI6nO9RgujiHU0y58kNA=="),
        (b"", "lEf25jyjHbCcTbj4p/1pUw=="),
    ] {
        same(&format!("auth-md5 under {nonce:?}"), bench.md5("Bruce2", "OhBehave", nonce).as_str(), wanted)?;
    }
    Ok(())
}

pub(crate) fn mac(bench: &mut Bench) -> Outcome {
    let hash = auth::user_password_hash("Bruce2", "OhBehave");
    let nonce: Vec<u8> = (0..16).collect();
    for (octets, wanted) in [
        (&vector!("xml/own_06_next_message_1222.xml")[..], "KhHO8fMUT1huCwa1f9LtTg=="),
        (vector!("wbxml/own_06_next_message_1222.wbxml"), "s0E5VfRv5hG5dtoruSjzcw=="),
    ] {
        let mac = bench.text(Ok(auth::mac(&hash, &nonce, octets))).unwrap_or_default();
        same("the MAC", mac.as_str(), wanted)?;
    }
    Ok(())
}

pub(crate) fn header(bench: &mut Bench) -> Outcome {
    for text in [
        "algorithm=MD5, username=\"Bruce2\", mac=AAAA",
        "mac=AAAA,username=\"Bruce2\"",
        "  username = \"Bru\\ce2\" ,\r\n algorithm=md5 , mac = AAAA ",
        "username=Bruce2, mac=\"AAAA\"",
    ] {
        let read = HmacHeader::parse(text).map(|header| format!("{} {}", header.username, header.mac));
        let read = bench.text(read.map_err(|error| error.to_string()));
        same(&format!("{text:?}"), read, Ok("Bruce2 AAAA".to_owned()))?;
    }
    for text in ["algorithm=SHA, username=\"a\", mac=AAAA", "username=\"a\"", "mac=AAAA", "username=\"a"] {
        let refused = bench.judged(HmacHeader::parse(text).is_err());
        same(&format!("whether {text:?} is refused"), refused, true)?;
    }
    Ok(())
}

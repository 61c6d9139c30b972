//! What a signature covers, and what it does not let pass.

use std::convert::Infallible;

use super::*;

/// RFC 9421 B.2.4: the base of the ECDSA P-256 response example, word for word.
#[test]
fn the_base_is_built_as_rfc_9421_builds_its_own_example() {
    let base = signature_base(
        &["@status", "content-type", "content-digest", "content-length"],
        &[
            "200",
            "application/json",
            "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
            "23",
        ],
        "(\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"",
    );
    assert_eq!(
        base,
        "\"@status\": 200\n\
         \"content-type\": application/json\n\
         \"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\
         \"content-length\": 23\n\
         \"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\""
    );
}

/// RFC 9530 appendix D: `{"hello": "world"}` and a line feed.
#[test]
fn the_digest_is_that_of_rfc_9530() {
    let body = b"{\"hello\": \"world\"}\n";
    let value = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    assert_eq!(content_digest(body), value);
    assert_eq!(verify_content_digest(value, body), Ok(()));
    assert_eq!(verify_content_digest(&format!("sha-512=:AAAA:, {value}"), body), Ok(()));
    assert_eq!(verify_content_digest(value, b"{}"), Err(SignatureError::DigestMismatch));
    assert_eq!(verify_content_digest("sha-512=:AAAA:", body), Err(SignatureError::NoMember(CONTENT_DIGEST)));
}

#[test]
fn a_signed_request_has_exactly_the_fields_of_the_profile() {
    let fields = signed(&REQUEST);
    assert_eq!(
        fields.signature_input,
        "dm=(\"@method\" \"@path\" \"content-type\" \"content-digest\");created=1700000000;\
         nonce=\"AAECAwQFBgcICQoLDA0ODw==\";keyid=\"0190c0de\";alg=\"ecdsa-p256-sha256\";tag=\"postern-dm-1\""
    );
    assert!(fields.signature.starts_with("dm=:") && fields.signature.ends_with("==:"));
}

#[test]
fn what_was_signed_verifies_and_gives_its_parameters_back() {
    assert_eq!(verified(&REQUEST, &signed(&REQUEST)), Ok(parameters()));
}

#[test]
fn a_query_is_not_part_of_the_path() {
    let with_query = RequestParts { path: "/dm/1/abc?mode=Maintenance", ..REQUEST };
    assert_eq!(verified(&with_query, &signed(&REQUEST)), Ok(parameters()));
    assert_eq!(path_only(""), "/");
    assert_eq!(path_only("?x"), "/");
}

#[test]
fn a_change_of_any_covered_part_breaks_the_signature() {
    let fields = signed(&REQUEST);
    for (parts, error) in [
        (RequestParts { method: "PUT", ..REQUEST }, SignatureError::Forged),
        (RequestParts { path: "/dm/1/other", ..REQUEST }, SignatureError::Forged),
        (RequestParts { content_type: "application/vnd.syncml.dm+xml", ..REQUEST }, SignatureError::Forged),
        (RequestParts { body: b"another", ..REQUEST }, SignatureError::DigestMismatch),
    ] {
        assert_eq!(verified(&parts, &fields), Err(error));
    }
    // body and digest changed together
    let other = RequestParts { body: b"another", ..REQUEST };
    let fields = Fields { content_digest: content_digest(b"another"), ..fields };
    assert_eq!(verified(&other, &fields), Err(SignatureError::Forged));
}

#[test]
fn a_missing_field_is_named() {
    let fields = signed(&REQUEST);
    let all = received(&fields);
    for (fields, name) in [
        (FieldsReceived { content_digest: None, ..all }, CONTENT_DIGEST),
        (FieldsReceived { signature_input: None, ..all }, SIGNATURE_INPUT),
        (FieldsReceived { signature: None, ..all }, SIGNATURE),
    ] {
        assert_eq!(verify_request(&REQUEST, &fields, |_, _, _| true), Err(SignatureError::Missing(name)));
    }
}

#[test]
fn another_shape_than_the_profile_is_refused() {
    let good = signed(&REQUEST);
    let with = |from: &str, to: &str| Fields {
        signature_input: good.signature_input.replace(from, to),
        ..good.clone()
    };
    let long = "x".repeat(FIELD_LIMIT);
    for (fields, error) in [
        (with("\"@path\" ", ""), SignatureError::Components),
        (with("\"@method\" \"@path\"", "\"@path\" \"@method\""), SignatureError::Components),
        (with("\"@path\"", "\"@path\";req"), SignatureError::Components),
        (with("ecdsa-p256-sha256", "rsa-pss-sha512"), SignatureError::Parameter("alg")),
        (with(";alg=\"ecdsa-p256-sha256\"", ""), SignatureError::Parameter("alg")),
        (with("postern-dm-1", "other"), SignatureError::Parameter("tag")),
        (with("created=1700000000;", ""), SignatureError::Parameter("created")),
        (with("AAECAwQFBgcICQoLDA0ODw==", "AAEC"), SignatureError::Parameter("nonce")),
        (with(";keyid=\"0190c0de\"", ""), SignatureError::Parameter("keyid")),
        (
            with(";created", ";expires=5;created"),
            SignatureError::Parameter("that is unknown or of another type"),
        ),
        (with("dm=", "sig1="), SignatureError::NoMember(SIGNATURE_INPUT)),
        (with(")", ""), SignatureError::Malformed { field: SIGNATURE_INPUT, at: 165 }),
        (with("0190c0de", &long), SignatureError::TooLong(SIGNATURE_INPUT)),
        (Fields { signature: "dm=:AAAA:".into(), ..good.clone() }, SignatureError::Forged),
        (Fields { signature: "sig=:AAAA:".into(), ..good.clone() }, SignatureError::NoMember(SIGNATURE)),
    ] {
        assert_eq!(verified(&REQUEST, &fields), Err(error), "{}", fields.signature_input);
    }
}

#[test]
fn a_reply_is_bound_to_its_request_by_the_nonce() {
    let parts =
        ResponseParts { status: 200, content_type: "application/vnd.syncml.dm+xml", body: b"<SyncML/>" };
    let reply = Parameters { key_id: CORE_KEY_ID.into(), ..parameters() };
    let fields = sign_response(&parts, &reply, toy_sign).unwrap();
    let check = |parts: &ResponseParts<'_>, nonce: [u8; 16]| {
        verify_response(parts, &received(&fields), &nonce, toy_verify)
    };
    assert_eq!(check(&parts, reply.nonce), Ok(reply.clone()));
    assert_eq!(check(&parts, [7; 16]), Err(SignatureError::WrongNonce));
    assert_eq!(check(&ResponseParts { status: 202, ..parts }, reply.nonce), Err(SignatureError::Forged));
    let as_device = sign_response(&parts, &parameters(), toy_sign).unwrap();
    assert_eq!(
        verify_response(&parts, &received(&as_device), &reply.nonce, toy_verify),
        Err(SignatureError::Parameter("keyid"))
    );
}

#[test]
fn freshness_is_five_minutes_either_way() {
    let signed = parameters();
    assert!(signed.is_fresh(signed.created + FRESHNESS_S) && signed.is_fresh(signed.created - FRESHNESS_S));
    assert!(
        !signed.is_fresh(signed.created + FRESHNESS_S + 1)
            && !signed.is_fresh(signed.created - FRESHNESS_S - 1)
    );
    assert!(!Parameters { created: i64::MIN, ..signed }.is_fresh(i64::MAX));
}

const REQUEST: RequestParts<'static> = RequestParts {
    method: "POST",
    path: "/dm/1/abc",
    content_type: "application/vnd.syncml.dm+wbxml",
    body: b"\x02\xa4\x01\x6a\x00",
};

fn parameters() -> Parameters {
    Parameters {
        created: 1_700_000_000,
        nonce: std::array::from_fn(|i| u8::try_from(i).unwrap()),
        key_id: "0190c0de".into(),
    }
}

fn signed(parts: &RequestParts<'_>) -> Fields {
    sign_request(parts, &parameters(), toy_sign).unwrap()
}

fn verified(parts: &RequestParts<'_>, fields: &Fields) -> Result<Parameters, SignatureError> {
    verify_request(parts, &received(fields), toy_verify)
}

fn received(fields: &Fields) -> FieldsReceived<'_> {
    FieldsReceived {
        content_digest: Some(&fields.content_digest),
        signature_input: Some(&fields.signature_input),
        signature: Some(&fields.signature),
    }
}

/// Stands in for a key: the digest of the base, twice.
fn toy_sign(base: &[u8]) -> Result<[u8; 64], Infallible> {
    let digest = Sha256::digest(base);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&digest);
    signature[32..].copy_from_slice(&digest);
    Ok(signature)
}

fn toy_verify(_: &Parameters, base: &[u8], signature: &[u8; 64]) -> bool {
    toy_sign(base).as_ref() == Ok(signature)
}

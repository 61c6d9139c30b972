//! Messages that cases share: written for this project, by the standard's rules.

/// The directory of wire's own vectors.
macro_rules! vector {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/wire/tests/data/omadm/", $path))
    };
}
pub(crate) use vector;

/// A message in XML with this body, and Final where `is_final`.
#[must_use]
pub fn message(body: &str, is_final: bool) -> String {
    let last = if is_final { "<Final/>" } else { "" };
    format!(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>\
         <SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>https://com.mgmtsrv.manage/dm</LocURI></Target>\
         <Source><LocURI>IMEI:493005100592800</LocURI></Source></SyncHdr><SyncBody>{body}{last}</SyncBody></SyncML>"
    )
}

/// A message in XML with this body and Final.
#[must_use]
pub fn whole(body: &str) -> String {
    message(body, true)
}

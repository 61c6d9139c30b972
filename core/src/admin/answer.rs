//! What every handler needs for its answer: pages, ETags, limits of texts.

use actix_web::{HttpRequest, HttpResponse, http::header};
use postern_api::{Page, page, problem::Slug};
use serde::Serialize;

use super::problem::Refused;

/// What a handler gives.
pub(super) type Answer = Result<HttpResponse, Refused>;

/// 200 with a body.
pub(super) fn ok(body: &impl Serialize) -> Answer {
    json(200, body)
}

/// A status with a body.
pub(super) fn json(status: u16, body: &impl Serialize) -> Answer {
    let text = serde_json::to_string(body).map_err(|error| super::problem::internal(&error))?;
    let status =
        actix_web::http::StatusCode::from_u16(status).map_err(|error| super::problem::internal(&error))?;
    Ok(HttpResponse::build(status)
        .content_type("application/json")
        .insert_header(("Cache-Control", "no-store"))
        .body(text))
}

/// A body with the revision that it is at.
pub(super) fn tagged(status: u16, revision: u64, body: &impl Serialize) -> Answer {
    let mut response = json(status, body)?;
    if let Ok(value) = header::HeaderValue::from_str(&etag(revision)) {
        response.headers_mut().insert(header::ETAG, value);
    }
    Ok(response)
}

/// 204.
pub(super) fn nothing() -> Answer {
    Ok(HttpResponse::NoContent().insert_header(("Cache-Control", "no-store")).finish())
}

fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// What `If-Match` demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// `*`: whatever there is.
    Any,
    /// One of our ETags.
    Revision(u64),
}

impl IfMatch {
    /// Reads the header, which has to be there.
    pub(super) fn read(request: &HttpRequest) -> Result<Self, Refused> {
        let value = request.headers().get(header::IF_MATCH).ok_or_else(|| {
            Refused::new(Slug::PreconditionRequired, "send If-Match with the ETag that you read, or with *")
        })?;
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        text.strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|number| number.parse().ok())
            .map(Self::Revision)
            .ok_or_else(|| Refused::new(Slug::PreconditionFailed, "If-Match holds no ETag of this resource"))
    }

    /// Whether it fits `revision`; gives the revision to write at.
    pub(super) fn check(self, revision: u64) -> Result<u64, Refused> {
        match self {
            Self::Any => Ok(revision),
            Self::Revision(wanted) if wanted == revision => Ok(revision),
            Self::Revision(wanted) => Err(changed(wanted, revision)),
        }
    }
}

/// The resource is no longer what the caller read.
pub(super) fn changed(wanted: u64, revision: u64) -> Refused {
    Refused::new(
        Slug::PreconditionFailed,
        format!("it is at revision {revision}, not {wanted}: read it again and decide anew"),
    )
}

/// A list's limit and the place of its cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Most items on the page.
    pub(super) limit: usize,
    /// Where the page before ended.
    pub(super) after: Option<String>,
}

impl Window {
    /// Reads `limit` and `cursor` of the list called `list`: a cursor of another list is refused.
    pub(super) fn read(list: &str, limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Refused> {
        let limit = limit.unwrap_or(page::DEFAULT_LIMIT);
        if !(1..=page::MAX_LIMIT).contains(&limit) {
            return Err(Refused::invalid("limit", format!("limit is 1 to {}", page::MAX_LIMIT)));
        }
        let after = cursor.map(|cursor| open(list, cursor)).transpose()?;
        Ok(Self { limit: limit as usize, after })
    }

    /// The place as one of `T`.
    pub(super) fn place<T: std::str::FromStr>(&self) -> Result<Option<T>, Refused> {
        self.after.as_deref().map(|text| text.parse().map_err(|_| bad_cursor())).transpose()
    }

    /// How many rows to ask for: one more than the page, to know whether there is another.
    pub(super) fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX - 1) + 1
    }

    /// Cuts the rows to the page; `place` names where a row stands in the list's order.
    pub(super) fn page<R, T>(
        &self,
        list: &str,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> String,
        item: impl FnMut(R) -> T,
    ) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| seal(list, &place(row)));
        Page { items: rows.into_iter().map(item).collect(), next_cursor }
    }
}

fn seal(list: &str, place: &str) -> String {
    data_encoding::BASE64URL_NOPAD.encode(format!("{list}\n{place}").as_bytes())
}

fn open(list: &str, cursor: &str) -> Result<String, Refused> {
    let octets = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| bad_cursor())?;
    let text = String::from_utf8(octets).map_err(|_| bad_cursor())?;
    match text.split_once('\n') {
        Some((named, place)) if named == list => Ok(place.to_owned()),
        _ => Err(bad_cursor()),
    }
}

fn bad_cursor() -> Refused {
    Refused::invalid("cursor", "this cursor is not one of this list's; start again without it")
}

/// Checks a text from a caller: `1..=most` characters, nothing that a terminal or a log would take for a command.
pub(super) fn text(at: &str, value: &str, most: usize) -> Result<String, Refused> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > most {
        return Err(Refused::invalid(at, format!("1 to {most} characters are wanted")));
    }
    plain(at, value)?;
    Ok(value.to_owned())
}

/// Like [`text`], where an empty one means none.
pub(super) fn optional_text(at: &str, value: Option<&str>, most: usize) -> Result<Option<String>, Refused> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => text(at, value, most).map(Some),
    }
}

fn plain(at: &str, value: &str) -> Result<(), Refused> {
    // Bidirectional overrides make one name look like another.
    let hostile = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    match value.chars().find(|c| hostile(*c)) {
        Some(c) => Err(Refused::invalid(at, format!("the character U+{:04X} is not allowed", c as u32))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let window = Window { limit: 1, after: None };
        let page = window.page("a", vec![1, 2], ToString::to_string, |n| n);
        assert_eq!(page.items, [1]);
        let cursor = page.next_cursor.unwrap();
        assert_eq!(Window::read("a", None, Some(&cursor)).unwrap().place::<i32>().unwrap(), Some(1));
        assert!(Window::read("b", None, Some(&cursor)).is_err());
        assert!(Window::read("a", None, Some("!")).is_err());
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let window = Window { limit: 2, after: None };
        assert_eq!(window.page("a", vec![1, 2], ToString::to_string, |n| n).next_cursor, None);
    }

    #[test]
    fn a_limit_out_of_its_range_is_refused() {
        assert!(Window::read("a", Some(0), None).is_err());
        assert!(Window::read("a", Some(501), None).is_err());
    }

    #[test]
    fn hostile_text_is_refused_by_its_character() {
        for bad in ["a\u{1b}[31m", "a\u{202e}b", "a\nb", "", "   ", "\u{0}"] {
            assert!(text("/name", bad, 10).is_err(), "{bad:?}");
        }
        assert_eq!(text("/name", " Łódź 7 ", 10).unwrap(), "Łódź 7");
    }
}

//! The commands of scripts, as XML.

/// A command on one node.
#[must_use]
pub fn command(name: &str, id: u32, uri: &str, more: &str) -> String {
    format!("<{name}><CmdID>{id}</CmdID><Item><Target><LocURI>{uri}</LocURI></Target>{more}</Item></{name}>")
}

/// Add of a text leaf.
#[must_use]
pub fn add(id: u32, uri: &str, data: &str) -> String {
    command("Add", id, uri, &format!("<Data>{data}</Data>"))
}

/// Add of an interior node.
#[must_use]
pub fn add_node(id: u32, uri: &str) -> String {
    command("Add", id, uri, "<Meta><Format xmlns='syncml:metinf'>node</Format></Meta>")
}

/// Replace of a text.
#[must_use]
pub fn replace(id: u32, uri: &str, data: &str) -> String {
    command("Replace", id, uri, &format!("<Data>{data}</Data>"))
}

/// Get.
#[must_use]
pub fn get(id: u32, uri: &str) -> String {
    command("Get", id, uri, "")
}

/// Delete.
#[must_use]
pub fn delete(id: u32, uri: &str) -> String {
    command("Delete", id, uri, "")
}

/// Exec.
#[must_use]
pub fn exec(id: u32, uri: &str) -> String {
    command("Exec", id, uri, "<Data>1</Data>")
}

/// Copy.
#[must_use]
pub fn copy(id: u32, from: &str, to: &str) -> String {
    format!(
        "<Copy><CmdID>{id}</CmdID><Item><Target><LocURI>{to}</LocURI></Target><Source><LocURI>{from}</LocURI></Source>\
         </Item></Copy>"
    )
}

/// Atomic or Sequence.
#[must_use]
pub fn group(name: &str, id: u32, inside: &[String]) -> String {
    format!("<{name}><CmdID>{id}</CmdID>{}</{name}>", inside.concat())
}

/// A chunk of a Replace; `size` in the first one.
#[must_use]
pub fn chunk(id: u32, uri: &str, data: &str, size: Option<usize>, more: bool) -> String {
    let size = size.map(|size| format!("<Size xmlns='syncml:metinf'>{size}</Size>")).unwrap_or_default();
    let more = if more { "<MoreData/>" } else { "" };
    let meta = format!("<Meta><Format xmlns='syncml:metinf'>chr</Format>{size}</Meta>");
    command("Replace", id, uri, &format!("{meta}<Data>{data}</Data>{more}"))
}

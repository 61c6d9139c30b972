//! Events as lines of a file, one JSON object each, for whatever reads files.
//!
//! Promise: an event that was taken is on disk, whole; lines are only ever added. One that goes again after a crash
//! bears the same `id`. The file is opened for each line, so that it may be rotated away at any time.

use std::path::{Path, PathBuf};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{Carrier, CarryError, Parcel};
use postern_wire::terms::Channel;
use serde::{Deserialize, Serialize};

use crate::anchor::{AnchorSink as _, FileAnchor};

/// The only one of its name.
const NAME: &str = "stream";

/// `[stream]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct StreamConfig {
    pub file: PathBuf,
}

/// Every key of [`StreamConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[(
    "file",
    "A file that each event is added to as one line of JSON. It may be rotated away at any time.",
)];

/// A file of events.
#[derive(Debug)]
pub struct StreamCarrier {
    path: PathBuf,
}

impl StreamCarrier {
    /// The file that the settings name.
    #[must_use]
    pub fn open(config: &StreamConfig, folder: &Path) -> Self {
        Self { path: folder.join(&config.file) }
    }

    async fn add(&self, line: String) -> Result<String, CarryError> {
        let path = self.path.clone();
        let added = tokio::task::spawn_blocking(move || FileAnchor::at(&path).keep(&line)).await;
        match added {
            Ok(Ok(())) => Ok("added".to_owned()),
            Ok(Err(error)) => Err(CarryError::Closed(format!("{}: {error}", self.path.display()))),
            Err(error) => Err(CarryError::Closed(error.to_string())),
        }
    }
}

impl Carrier for StreamCarrier {
    fn channel(&self) -> Channel {
        Channel::Stream
    }

    fn name(&self) -> Option<&str> {
        Some(NAME)
    }

    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>> {
        self.add(parcel.document.to_string()).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>> {
        let folder = self.path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        async move {
            match tokio::fs::metadata(&folder).await {
                Ok(found) if found.is_dir() => Ok(format!("{} takes events", self.path.display())),
                Ok(_) => Err(CarryError::Closed(format!("{} is no folder", folder.display()))),
                Err(error) => Err(CarryError::Closed(format!("{}: {error}", folder.display()))),
            }
        }
        .boxed()
    }
}

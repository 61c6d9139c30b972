//! The registry of management objects as it stands: the built-in descriptions and those that operators imported, read
//! again when they have changed.

use std::sync::{Arc, PoisonError, RwLock};

use postern_store::{Reader, StoreError, ddfs, trees};
use postern_wire::{
    ddf::{self, Ddf, Limits},
    mo::{Mounts, Object, Origin, Registry},
    syncml::{DecodeError, Encoding},
    terms::EnrolmentId,
};

/// The registry; cheap to clone, all clones are one.
#[derive(Clone, Default)]
pub struct Objects {
    read: Arc<RwLock<Option<(i64, Registry)>>>,
}

/// Snapshots that are asked where objects stand.
const ASKED: usize = 8;

impl Objects {
    /// The registry of now.
    ///
    /// # Errors
    /// As the store's reads.
    pub fn registry(&self, r: &mut Reader) -> Result<Registry, StoreError> {
        let version = ddfs::version(r)?;
        if let Some((read, registry)) = &*self.read.read().unwrap_or_else(PoisonError::into_inner)
            && *read == version
        {
            return Ok(registry.clone());
        }
        let mut objects = Vec::new();
        for row in ddfs::list(r)? {
            match read(&row.document).map(|read| Object::of_ddf(&row.name, read.ddf, Origin::Imported)) {
                Ok(Ok(found)) => objects.extend(found),
                Ok(Err(error)) => {
                    tracing::warn!(name = %row.name, %error, "a stored description stands nowhere")
                }
                Err(error) => tracing::warn!(name = %row.name, %error, "a stored description cannot be read"),
            }
        }
        let registry = Registry::built_in().with(objects);
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((version, registry.clone()));
        Ok(registry)
    }
}

/// Where a device has its management objects, as its newest snapshots say.
///
/// # Errors
/// As the store's reads.
pub fn mounts(r: &mut Reader, device: EnrolmentId) -> Result<Mounts, StoreError> {
    let mut mounts = Mounts::default();
    for head in trees::snapshots(r, device)?.into_iter().take(ASKED) {
        mounts.merge(&serde_json::from_str(&head.mounts).unwrap_or_default());
    }
    Ok(mounts)
}

/// Reads a description as an operator gives it: XML, or WBXML by its first octet.
///
/// # Errors
/// As [`ddf::read`].
pub fn read(document: &[u8]) -> Result<ddf::Read, DecodeError> {
    let wbxml = document.first().is_some_and(|octet| *octet <= 3);
    ddf::read(document, if wbxml { Encoding::Wbxml } else { Encoding::Xml }, &Limits::import())
}

/// How many nodes a description has.
#[must_use]
pub fn nodes(ddf: &Ddf) -> usize {
    fn count(nodes: &[ddf::Node]) -> usize {
        nodes.iter().map(|node| 1 + count(&node.children)).sum()
    }
    count(&ddf.nodes)
}

//! Notes beside a package: what became known about it after its record was written.

use std::sync::Arc;

use super::Key;
use super::key::{Note, Part};
use crate::clock::Timestamp;
use crate::stores::{self, Intent, ObjectName, Store};

/// Leaves a note beside a package; `why` is for people. What counts is the note's name, which any listing shows.
pub async fn leave(
    store: &Arc<dyn Store>,
    key: &Key,
    note: Note,
    now: Timestamp,
    why: &str,
) -> Result<(), stores::Error> {
    let name = ObjectName::new(key.object(&Part::Note(note, now)))?;
    let mut json = serde_json::json!({ "key": key, note.word(): now.to_string() });
    if !why.is_empty() {
        json["why"] = why.into();
    }
    let mut upload = store.create(&name, &Intent::default()).await?;
    match upload.write(format!("{json:#}\n").into()).await {
        Ok(()) => upload.finish().await.map(drop),
        Err(error) => upload.abort().await.and(Err(error)),
    }
}

//! Reading a cursor in raw batches: what the server sent, undecoded, and never an end that is not one.

use std::time::Duration;

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::{RawArray, RawDocument, RawDocumentBuf};
use mongodb::options::RunCursorCommandOptions;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::Error;

/// How long a server may think about one batch. The driver itself would wait for ever.
const STALL: Duration = Duration::from_secs(600);

/// A cursor.
pub(super) struct Batches {
    cursor: RawBatchCursor,
    what: String,
    failed: bool,
}

/// One reply of a cursor.
pub(super) struct Batch {
    reply: RawBatch,
    what: String,
}

impl Batches {
    /// Runs a command whose reply is a cursor. `batch` is for the replies after the first.
    pub(super) async fn open(
        database: &Database,
        command: RawDocumentBuf,
        batch: u32,
        what: String,
    ) -> Result<Self, Error> {
        let mut options = RunCursorCommandOptions::default();
        options.batch_size = Some(batch);
        let opening = database.run_raw_cursor_command(command).with_options(options).batch();
        let opened = tokio::time::timeout(STALL, opening).await.map_err(|_| stalled(&what))?;
        let cursor = opened.map_err(|error| Error::driver(what.as_str(), error))?;
        Ok(Self { cursor, what, failed: false })
    }

    /// The next batch; `None` only when the server has said that there are no more.
    ///
    /// After an error the cursor yields nothing but that there was one: the driver would ask again.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Error> {
        if self.failed {
            return Err(Error::reply(self.what.as_str(), "the cursor has failed before"));
        }
        let next = tokio::time::timeout(STALL, self.cursor.next()).await;
        match next {
            Err(_) => {
                self.failed = true;
                Err(stalled(&self.what))
            }
            Ok(None) => Ok(None),
            Ok(Some(Ok(reply))) => Ok(Some(Batch { reply, what: self.what.clone() })),
            Ok(Some(Err(error))) => {
                self.failed = true;
                Err(Error::driver(self.what.as_str(), error))
            }
        }
    }
}

impl Batch {
    /// The documents, as the server sent them.
    pub(super) fn documents(&self) -> Result<impl Iterator<Item = Result<&RawDocument, Error>>, Error> {
        let array: &RawArray =
            self.reply.doc_slices().map_err(|error| Error::driver(self.what.as_str(), error))?;
        Ok(array.into_iter().map(|element| {
            let element = element.map_err(|error| Error::reply(self.what.as_str(), error))?;
            element.as_document().ok_or_else(|| Error::reply(self.what.as_str(), "a batch holds no document"))
        }))
    }
}

fn stalled(what: &str) -> Error {
    Error::Stalled { what: what.to_owned(), seconds: STALL.as_secs() }
}

//! The bounded bridge between the blocking writers of a package and the async upload.
//!
//! Bytes pass in chunks of about [`CHUNK`]; at most `depth` chunks wait, then the writer blocks, so a slow store slows
//! the source down instead of filling the memory. The reader sees the end only if the writer called
//! [`PipeWriter::finish`]: a writer that was dropped half way is an error, never an end.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// The size of the chunks that pass through a pipe, in bytes. The last may be smaller.
pub const CHUNK: usize = 1 << 20;

enum Piece {
    Data(Bytes),
    End,
}

/// Makes a pipe in which at most `depth` chunks wait.
pub fn pipe(depth: usize) -> (PipeWriter, PipeReader) {
    let (send, receive) = mpsc::channel(depth.max(1));
    (PipeWriter { send, buffer: BytesMut::new() }, PipeReader { receive, ended: false })
}

/// The blocking end. Never used on an async thread: it would block the runtime.
#[derive(Debug)]
pub struct PipeWriter {
    send: mpsc::Sender<Piece>,
    buffer: BytesMut,
}

impl PipeWriter {
    /// Sends what is buffered and then the end, after which the reader knows that it has everything.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the upload ended before the package did");
        self.send.blocking_send(piece).map_err(gone)
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK));
        self.send(Piece::Data(full.freeze()))
    }
}

/// The async end.
#[derive(Debug)]
pub struct PipeReader {
    receive: mpsc::Receiver<Piece>,
    ended: bool,
}

/// The writer was dropped before it finished: what was read so far is not the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the package ended before it was finished")]
pub struct Broken;

impl PipeReader {
    /// The next chunk, or `None` after the writer's `finish`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        if self.ended {
            return Ok(None);
        }
        match self.receive.recv().await {
            Some(Piece::Data(bytes)) => Ok(Some(bytes)),
            Some(Piece::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bytes_pass_in_order_and_end() {
        let (mut writer, mut reader) = pipe(2);
        let sent: Vec<u8> = (0..=250u8).cycle().take(3 * CHUNK + 17).collect();
        let copy = sent.clone();
        let thread = std::thread::spawn(move || {
            writer.write_all(&copy)?;
            writer.finish()
        });
        let mut got = Vec::new();
        while let Some(bytes) = reader.next().await.unwrap() {
            got.extend_from_slice(&bytes);
        }
        thread.join().unwrap().unwrap();
        assert!(got == sent);
        assert_eq!(reader.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_dropped_writer_is_an_error_not_an_end() {
        let (mut writer, mut reader) = pipe(2);
        std::thread::spawn(move || writer.write_all(b"half")).join().unwrap().unwrap();
        assert_eq!(reader.next().await, Err(Broken));
    }

    #[test]
    fn a_dropped_reader_stops_the_writer() {
        let (mut writer, reader) = pipe(1);
        drop(reader);
        writer.write_all(b"x").unwrap();
        assert_eq!(writer.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

//! Decoding members on several threads, handing the plain bytes out in order.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::frame::{HEADER, MAX_MEMBER, MAX_PLAIN, TRAILER, member_length, plain_size};
use super::{BLOCK, Block};

/// A member on its way to a worker.
struct Job {
    member: Vec<u8>,
    done: SyncSender<io::Result<Vec<u8>>>,
}

/// Something in the order of the stream, perhaps still being decoded.
enum Pending {
    Member { length: u32, plain: Receiver<io::Result<Vec<u8>>> },
    Plain(Vec<u8>),
    End,
    Failed(io::Error),
}

/// Reads a gzip stream. Every CRC and size is checked; an end inside a member and bytes behind the last are errors.
///
/// Members that say their length are decoded in parallel; a stream whose first member does not (one that was packed
/// by other tools) is decoded as it comes.
#[derive(Debug)]
pub struct Reader {
    ordered: Receiver<Pending>,
    spent: SyncSender<Vec<u8>>,
    plain: Vec<u8>,
    position: usize,
    next: Block,
    blocks: blake3::Hasher,
    indexed: bool,
    ended: bool,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the decoder stopped")
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl Reader {
    /// Starts decoding `source` on `threads` threads, and reading it on one more.
    pub fn new(source: impl Read + Send + 'static, threads: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, queue) = sync_channel::<Job>(1);
        let (ordered, receive) = sync_channel(threads + 1);
        let (spent, fresh) = sync_channel::<Vec<u8>>(threads + 2);
        let (queue, fresh) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(fresh)));
        for number in 0..threads {
            let (queue, fresh) = (queue.clone(), fresh.clone());
            thread::Builder::new().name(format!("gunzip-{number}")).spawn(move || work(&queue, &fresh))?;
        }
        thread::Builder::new().name("gunzip-read".into()).spawn(move || {
            let end = split(source, &jobs, &ordered).map_or_else(Pending::Failed, |()| Pending::End);
            // The reader is gone when nobody wants the rest.
            let _ = ordered.send(end);
        })?;
        Ok(Self {
            ordered: receive,
            spent,
            plain: Vec::new(),
            position: 0,
            next: Block::default(),
            blocks: blake3::Hasher::new(),
            indexed: true,
            ended: false,
        })
    }

    /// The digest of all blocks read, as [`Block::digest`] makes it; `None` if the stream has no marked blocks.
    pub fn blocks(&self) -> Option<blake3::Hash> {
        self.indexed.then(|| self.blocks.finalize())
    }

    /// The bytes that are decoded and not yet read; empty only at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.position == self.plain.len() && !self.ended {
            let spent = std::mem::take(&mut self.plain);
            // A full return channel means that there are buffers enough.
            let _ = self.spent.try_send(spent);
            self.position = 0;
            match self.ordered.recv().map_err(|_| stopped())? {
                Pending::Member { length, plain } => {
                    self.plain = plain.recv().map_err(|_| stopped())??;
                    let plain_length = u32::try_from(self.plain.len()).unwrap_or(u32::MAX);
                    let block = Block { plain_length, length, ..self.next };
                    block.digest(&mut self.blocks);
                    self.next.plain_offset += u64::from(plain_length);
                    self.next.offset += u64::from(length);
                }
                Pending::Plain(plain) => {
                    self.indexed = false;
                    self.plain = plain;
                }
                Pending::End => self.ended = true,
                Pending::Failed(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(&self.plain[self.position..])
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill()?;
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.position += count;
        Ok(count)
    }
}

impl io::BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()
    }

    fn consume(&mut self, count: usize) {
        self.position = (self.position + count).min(self.plain.len());
    }
}

/// Finds the members' boundaries and sends each to a worker.
fn split(mut source: impl Read, jobs: &SyncSender<Job>, ordered: &SyncSender<Pending>) -> io::Result<()> {
    let mut first = true;
    loop {
        let mut header = [0; HEADER];
        let got = read_up_to(&mut source, &mut header)?;
        if got == 0 && !first {
            return Ok(());
        }
        let length = if got == HEADER { member_length(&header) } else { None };
        let Some(length) = length else {
            if first {
                return stream(Cursor::new(header[..got].to_vec()).chain(source), ordered);
            }
            let what = if got < HEADER { "ends inside a gzip header" } else { "a gzip member is malformed" };
            return Err(damaged(what));
        };
        first = false;
        if !(HEADER + TRAILER..=MAX_MEMBER).contains(&length) {
            return Err(damaged(format!("a gzip member claims {length} bytes")));
        }
        let mut member = vec![0; length];
        member[..HEADER].copy_from_slice(&header);
        source.read_exact(&mut member[HEADER..]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if error.get_ref().is_none() => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "ends inside a gzip member")
            }
            _ => error,
        })?;
        let (done, plain) = sync_channel(1);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        ordered.send(Pending::Member { length, plain }).map_err(|_| stopped())?;
        jobs.send(Job { member, done }).map_err(|_| stopped())?;
    }
}

/// Decodes a stream that does not mark its members.
fn stream(source: impl Read, ordered: &SyncSender<Pending>) -> io::Result<()> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, source));
    loop {
        let mut plain = vec![0; BLOCK];
        let got = read_up_to(&mut decoder, &mut plain)?;
        if got == 0 {
            return Ok(());
        }
        plain.truncate(got);
        ordered.send(Pending::Plain(plain)).map_err(|_| stopped())?;
    }
}

fn work(queue: &Mutex<Receiver<Job>>, fresh: &Mutex<Receiver<Vec<u8>>>) {
    let mut decoder = libdeflater::Decompressor::new();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { member, done }) = job else { return };
        let buffer = fresh.lock().unwrap_or_else(PoisonError::into_inner).try_recv().unwrap_or_default();
        // The receiver is gone when nobody wants the rest.
        let _ = done.send(decode(&mut decoder, &member, buffer));
    }
}

fn decode(decoder: &mut libdeflater::Decompressor, member: &[u8], mut plain: Vec<u8>) -> io::Result<Vec<u8>> {
    let size = plain_size(member);
    if size > MAX_PLAIN {
        return Err(damaged(format!("a gzip member claims {size} bytes of content")));
    }
    plain.resize(size, 0);
    // Checks the CRC and the size as well.
    match decoder.gzip_decompress(member, &mut plain) {
        Ok(got) if got == size => Ok(plain),
        Ok(_) | Err(_) => Err(damaged("a gzip member does not decode")),
    }
}

fn read_up_to(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match source.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

//! Compressing blocks on several threads, handing them out in order.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{BLOCK, Block, Engine, frame};

/// Buffers that go round instead of being allocated anew.
#[derive(Debug, Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// A full block on its way to a worker.
struct Job {
    plain: Vec<u8>,
    filled: usize,
    done: SyncSender<io::Result<(Vec<u8>, usize)>>,
}

/// A block in the order of the stream, perhaps still being compressed.
enum Pending {
    Block { filled: usize, member: Receiver<io::Result<(Vec<u8>, usize)>> },
    End,
}

/// The side that takes plain bytes. Dropped without [`finish`](Self::finish), the other side fails.
#[derive(Debug)]
pub struct Packer {
    block: Vec<u8>,
    filled: usize,
    position: u64,
    jobs: SyncSender<Job>,
    ordered: SyncSender<Pending>,
    plain_pool: Pool,
}

/// The side that hands out compressed members, in order.
#[derive(Debug)]
pub struct Packed {
    ordered: Receiver<Pending>,
    member_pool: Pool,
    next: Block,
}

/// One compressed block.
#[derive(Debug)]
pub struct Compressed {
    /// Where it stands.
    pub block: Block,
    /// The gzip member, at the beginning of a buffer that may be longer.
    buffer: Vec<u8>,
}

impl Compressed {
    /// The gzip member.
    pub fn member(&self) -> &[u8] {
        &self.buffer[..self.block.length as usize]
    }
}

/// Starts `threads` compressing threads and returns both sides. What waits between them is bounded by `threads`.
pub fn pack(level: u8, threads: usize) -> io::Result<(Packer, Packed)> {
    let threads = threads.max(1);
    let (jobs, queue) = sync_channel::<Job>(1);
    let (ordered, receive) = sync_channel(threads + 1);
    let queue = Arc::new(Mutex::new(queue));
    let (plain_pool, member_pool) = (Pool::default(), Pool::default());
    for number in 0..threads {
        let (queue, plain_pool, member_pool) = (queue.clone(), plain_pool.clone(), member_pool.clone());
        thread::Builder::new()
            .name(format!("gzip-{number}"))
            .spawn(move || work(level, &queue, &plain_pool, &member_pool))?;
    }
    let packer = Packer {
        block: vec![0; BLOCK],
        filled: 0,
        position: 0,
        jobs,
        ordered,
        plain_pool: plain_pool.clone(),
    };
    Ok((packer, Packed { ordered: receive, member_pool, next: Block::default() }))
}

/// How much less important compressing is than everything else (`nice`).
///
/// What compresses is rarely what is waited for: a database that answers, or the thread that reads from it, on the same
/// processors is. Blocks wait in bounded queues, so what compresses still gets its share; a container's share is its own,
/// whatever its threads say of themselves.
const NICENESS: i32 = 19;

fn work(level: u8, queue: &Mutex<Receiver<Job>>, plain_pool: &Pool, member_pool: &Pool) {
    // On Linux this is the thread's own. Where it is forbidden, everything is equally important.
    let _ = rustix::process::nice(NICENESS);
    let mut engine = Engine::new(level);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { plain, filled, done }) = job else { return };
        let mut member = member_pool.take();
        let result = frame::compress(&mut engine, &plain[..filled], &mut member);
        plain_pool.give(plain);
        // The receiver is gone when the package was given up; then nobody misses the block.
        let _ = done.send(result.map(|length| (member, length)));
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the compressor stopped")
}

impl Packer {
    /// The position in the plain stream.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Room for the next bytes, never empty. What was written there counts after [`advance`](Self::advance).
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.block[self.filled..]
    }

    /// Takes `count` bytes that were written to the [`room`](Self::room).
    pub fn advance(&mut self, count: usize) -> io::Result<()> {
        self.filled = (self.filled + count).min(self.block.len());
        self.position += count as u64;
        if self.filled == self.block.len() { self.send() } else { Ok(()) }
    }

    /// Takes bytes.
    pub fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.room();
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            room[..count].copy_from_slice(now);
            self.advance(count)?;
            bytes = later;
        }
        Ok(())
    }

    /// Ends the stream. An empty stream becomes one empty member.
    pub fn finish(mut self) -> io::Result<u64> {
        if self.filled > 0 || self.position == 0 {
            self.send()?;
        }
        self.ordered.send(Pending::End).map_err(|_| stopped())?;
        Ok(self.position)
    }

    fn send(&mut self) -> io::Result<()> {
        let mut fresh = self.plain_pool.take();
        fresh.resize(BLOCK, 0);
        let plain = std::mem::replace(&mut self.block, fresh);
        let filled = std::mem::take(&mut self.filled);
        let (done, member) = sync_channel(1);
        self.ordered.send(Pending::Block { filled, member }).map_err(|_| stopped())?;
        self.jobs.send(Job { plain, filled, done }).map_err(|_| stopped())
    }
}

impl Packed {
    /// The next member, or `None` at the end. Fails if the other side was dropped before it was finished.
    pub fn take(&mut self) -> io::Result<Option<Compressed>> {
        let (filled, member) = match self.ordered.recv() {
            Ok(Pending::Block { filled, member }) => (filled, member),
            Ok(Pending::End) => return Ok(None),
            Err(_) => return Err(stopped()),
        };
        let (buffer, length) = member.recv().map_err(|_| stopped())??;
        let too_long = |_| io::Error::other("a block grew beyond 4 GiB");
        let block = Block {
            plain_length: u32::try_from(filled).map_err(too_long)?,
            length: u32::try_from(length).map_err(too_long)?,
            ..self.next
        };
        self.next.plain_offset += u64::from(block.plain_length);
        self.next.offset += u64::from(block.length);
        Ok(Some(Compressed { block, buffer }))
    }

    /// Gives a member's buffer back.
    pub fn recycle(&self, compressed: Compressed) {
        self.member_pool.give(compressed.buffer);
    }
}

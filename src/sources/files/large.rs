//! Content that is read while it is packed.

use std::io::{self, Read};
use std::sync::mpsc::Sender;

use rustix::io::{Errno, pread};

use super::opening::Slot;
use super::stamp::{Stamp, stamp};
use super::walk::Event;
use crate::package::member::{Large, Settled};

/// Reads a file's data segments, exactly as many bytes as the header says.
///
/// A file that became shorter is padded with zeros, one that became longer is cut; both show at the end, when the
/// file's size and times are compared with what they were before.
pub(super) struct LargeFile {
    slot: Slot,
    path: String,
    before: Stamp,
    segments: std::vec::IntoIter<(u64, u64)>,
    current: (u64, u64),
    ended_early: bool,
    /// Whether a changed file is good enough, this being the last try.
    accept: bool,
    told: bool,
    events: Sender<Event>,
}

impl LargeFile {
    /// A reader of these segments.
    pub(super) fn new(
        slot: Slot,
        path: String,
        before: Stamp,
        segments: Vec<(u64, u64)>,
        accept: bool,
        events: Sender<Event>,
    ) -> Self {
        let segments = segments.into_iter();
        Self {
            slot,
            path,
            before,
            segments,
            current: (0, 0),
            ended_early: false,
            accept,
            told: false,
            events,
        }
    }

    fn tell(&mut self, event: Event) {
        self.told = true;
        // If the walk is gone already, the package's error is enough.
        let _ = self.events.send(event);
    }

    fn fail(&mut self, cause: Errno) -> io::Error {
        self.tell(Event::LargeFailed(cause));
        io::Error::new(io::Error::from(cause).kind(), format!("cannot read `{}`: {cause}", self.path))
    }
}

impl Drop for LargeFile {
    fn drop(&mut self) {
        // Dropped half way: the package has failed, and the walk must not wait for it.
        if !self.told {
            self.tell(Event::LargeDropped);
        }
    }
}

impl Read for LargeFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.1 == 0 {
            match self.segments.next() {
                Some(segment) => self.current = segment,
                None => return Ok(0),
            }
        }
        let wanted = buffer.len().min(usize::try_from(self.current.1).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        let got = loop {
            match pread(&self.slot.fd, &mut *buffer, self.current.0) {
                Ok(0) if wanted > 0 => {
                    self.ended_early = true;
                    buffer.fill(0);
                    break wanted;
                }
                Ok(got) => break got,
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.fail(error)),
            }
        };
        self.current = (self.current.0 + got as u64, self.current.1 - got as u64);
        Ok(got)
    }
}

impl Large for LargeFile {
    fn settle(mut self: Box<Self>) -> io::Result<Settled> {
        let after = stamp(&self.slot.fd).map_err(|error| self.fail(error))?;
        let changed = self.ended_early || after != self.before;
        self.tell(Event::Settled { changed });
        Ok(if changed && !self.accept { Settled::Superseded } else { Settled::Sound })
    }
}

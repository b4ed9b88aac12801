//! Sessions that stay open while something else goes on.

use std::io::Write as _;
use std::process::{Child, Stdio};

use crate::support::postgres::Cluster;

/// A session of `psql` that does one thing after the other, as it is told, and ends when it is dropped.
pub(crate) struct Session(Child);

impl Session {
    pub(crate) fn open(cluster: &Cluster, database: &str) -> Self {
        let mut psql = cluster.client("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database]);
        Self(psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// Sends statements, whose end it does not wait for.
    pub(crate) fn tell(&mut self, sql: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{sql};").unwrap();
    }

    /// Waits for the end of all that was told; fails the test if any of it failed.
    pub(crate) fn ends_well(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

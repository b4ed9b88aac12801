//! Connections: a small one of our own for the replication protocol, and the `redis` crate's for commands.

mod client;
mod resp;
mod sentinel;
mod tls;

pub(super) use client::Client;
pub(super) use resp::{Connection, Reply};
pub(super) use sentinel::locate;

use std::sync::{Arc, OnceLock};

use super::config::{Address, Plan};
use crate::config::secret::Secret;

/// A server and how to get in.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) tls: Option<super::config::Tls>,
    pub(super) timeout: std::time::Duration,
    pub(super) connect_timeout: std::time::Duration,
    /// The `run_id` of the process that connections for commands must lead to; one for all copies of an endpoint.
    process: Arc<OnceLock<String>>,
}

impl Endpoint {
    /// The server at `address`, with the plan's credentials.
    pub(super) fn at(plan: &Plan, address: Address) -> Self {
        Self {
            address,
            username: plan.username.clone(),
            password: plan.password.clone(),
            tls: plan.tls.clone(),
            timeout: plan.timeout,
            connect_timeout: plan.connect_timeout,
            process: Arc::default(),
        }
    }

    /// Makes every connection for commands that is opened from now on fail unless it leads to the process of this
    /// `run_id`. What one process has said, such as a cursor of SCAN, means nothing to another at the same address, and
    /// what was read from one or written to it may not be there in another.
    pub(super) fn stay_with(&self, run_id: &str) {
        // The first word counts: there is one process to stay with.
        let _ = self.process.set(run_id.to_owned());
    }

    /// Whether it stays with a process.
    pub(super) fn stays(&self) -> bool {
        self.process.get().is_some()
    }

    /// The server for messages.
    pub(super) fn server(&self) -> String {
        self.address.to_string()
    }

    /// User and password to log in with, if any is given. A user without a password is one whom the server takes with
    /// whatever password (`nopass`), and who is not the one that it takes everybody for.
    fn login(&self) -> Option<(Option<&str>, &str)> {
        let (username, password) = (self.username.as_deref(), self.password.as_ref().map(Secret::expose));
        (username.is_some() || password.is_some()).then(|| (username, password.unwrap_or_default()))
    }

    /// The user for messages and remedies.
    pub(super) fn user(&self) -> String {
        self.username.clone().unwrap_or_else(|| "default".to_owned())
    }

    /// Names what an error answer means.
    pub(super) fn refused(&self, command: &str, said: &str) -> super::Error {
        use super::Error;
        let server = self.server();
        let word = said.split(' ').next().unwrap_or_default();
        match word {
            "NOAUTH" => Error::PasswordWanted(server),
            "WRONGPASS" => Error::PasswordWrong(server),
            "DENIED" => Error::Protected(server),
            "NOPERM" => {
                // The server names the command that it means, in quotes; within a transaction it may be another.
                let named = said.split('\'').nth(1).unwrap_or(command);
                Error::NotAllowed { server, user: self.user(), command: named.to_lowercase() }
            }
            "NOMASTERLINK" => Error::MasterLinkDown(server),
            "ERR" if said.contains("invalid password") => Error::PasswordWrong(server),
            "ERR" if command == "auth" && said.contains("without any password") => {
                Error::PasswordWrong(server)
            }
            _ => Error::Answer { server, command: command.to_owned(), said: said.to_owned() },
        }
    }
}

//! Connections: a small one of our own for the replication protocol, and the `redis` crate's for commands.

mod client;
mod resp;
mod sentinel;
mod tls;

pub(super) use client::Client;
pub(super) use resp::{Connection, Reply};
pub(super) use sentinel::locate;

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
        }
    }

    /// The server for messages.
    pub(super) fn server(&self) -> String {
        self.address.to_string()
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
            "NOPERM" => Error::NotAllowed { server, user: self.user(), command: command.to_lowercase() },
            "NOMASTERLINK" => Error::MasterLinkDown(server),
            "ERR" if said.contains("invalid password") => Error::PasswordWrong(server),
            "ERR" if command == "auth" && said.contains("without any password") => {
                Error::PasswordWrong(server)
            }
            _ => Error::Answer { server, command: command.to_owned(), said: said.to_owned() },
        }
    }
}

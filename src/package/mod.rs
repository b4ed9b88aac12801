//! The package: tar + gzip + age, its index, and how both are written and read.
//!
//! `FORMAT.md` beside this file specifies the bytes. Everything in here is plain `Read` and `Write` on blocking
//! threads; the only async things are the ends of the [pipe].
//!
//! Going out: [`outlet::Outlet`] → [`tar`] framing → [`gzip`] blocks on all cores → [`age`] → [`pipe`] → stores.
//! Coming back: store → [`age`] → [`gzip`] → [`tar`] → [`Visitor`].

pub mod age;
pub mod budget;
pub mod digest;
mod error;
pub mod gzip;
pub mod index;
pub mod member;
pub mod open;
pub mod outlet;
pub mod pipe;
pub mod pulse;
pub mod seal;
pub mod tar;

pub use error::Error;
pub use open::{Discard, Package, Selection, VisitError, Visitor};
pub use seal::{Packed, Sealing, Settings, Totals, seal};

#[doc = include_str!("FORMAT.md")]
pub mod format {}

//! The catalog: the records found in a store. The store is the only truth; nothing is kept elsewhere.

pub mod key;
pub mod note;
pub mod record;
pub mod scan;

pub use key::{Key, SourceName};
pub use record::Record;
pub use scan::{Found, Scan};

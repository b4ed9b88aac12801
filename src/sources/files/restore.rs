//! Writing a tree.
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::package::Package;
use crate::sources::{Request, Restored};

pub(super) async fn restore(
    package: &Package,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    let _ = (package, request, stop);
    todo!()
}

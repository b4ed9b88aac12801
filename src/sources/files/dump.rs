//! Reading a tree.
use tokio_util::sync::CancellationToken;

use super::{Error, Plan};
use crate::package::outlet::Outlet;
use crate::sources::Summary;

pub(super) async fn dump(plan: &Plan, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
    let _ = (plan, outlet, stop);
    todo!()
}

//! Whether the tree is there, and whether it can be read.

use rustix::fs::{self, Access, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::folder::Folder;
use super::stamp::stamp;
use super::{Error, Plan, shown};
use crate::sources::Facts;

/// How many entries of the root are looked at: a probe is cheap, the dump finds the rest.
const LOOKED_AT: usize = 256;

pub(super) async fn probe(plan: &Plan) -> Result<Facts, Error> {
    let plan = plan.clone();
    tokio::task::spawn_blocking(move || look(&plan)).await.map_err(|_| Error::Thread)?
}

fn look(plan: &Plan) -> Result<Facts, Error> {
    let root = |cause: Errno| Error::Root { path: plan.path.display().to_string(), cause: cause.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = fs::open(&plan.path, flags, Mode::empty()).map_err(root)?;
    let before = stamp(&fd).map_err(root)?;
    let folder = Folder::new(fd, Vec::new(), before, &std::sync::Arc::default());
    let part = folder.list().map_err(root)?;
    for name in part.names.iter().take(LOOKED_AT) {
        let directory = name.hint == FileType::Directory;
        if plan.exclude.matches(&name.bytes, directory) || !plan.leads_to(&name.bytes, directory) {
            continue;
        }
        let wanted = match name.hint {
            FileType::Directory => Access::READ_OK | Access::EXEC_OK,
            FileType::RegularFile => Access::READ_OK,
            _ => continue,
        };
        if fs::accessat(folder.fd(), &*name.bytes, wanted, AtFlags::EACCESS) == Err(Errno::ACCESS) {
            let path = format!("{}/{}", plan.path.display(), shown(&name.bytes));
            return Err(Error::Access { action: "read", path, cause: Errno::ACCESS.into() });
        }
    }
    Ok(Facts { product: "files".to_owned(), estimate: None, findings: Vec::new() })
}

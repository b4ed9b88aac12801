//! Certificates to trust besides the system's.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::context::Context;

/// Reads the file that `ca_bundle` names; what is returned is known to be sound PEM.
pub(super) fn certificates(path: &Path, context: &mut Context) -> Option<Vec<u8>> {
    let help = "write the path of a file with one or more certificates in PEM form";
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) => {
            context.problem("ca_bundle", format!("cannot read `{}`: {error}", path.display()), help);
            return None;
        }
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let mut roots = rustls::RootCertStore::empty();
    let sound = certificates.is_ok_and(|certificates| {
        !certificates.is_empty() && certificates.into_iter().all(|one| roots.add(one).is_ok())
    });
    if !sound {
        context.problem("ca_bundle", format!("`{}` holds no sound certificates", path.display()), help);
        return None;
    }
    Some(pem)
}

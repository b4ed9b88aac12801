//! TLS settings out of PEM files.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::Endpoint;
use crate::sources::redis::Error;
use crate::sources::redis::config::Tls;

/// The client's side of TLS for an endpoint.
pub(super) fn settings(endpoint: &Endpoint, tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let bad = |what: String| Error::Tls { server: endpoint.server(), what };
    let certificates = |path: &std::path::Path| -> Result<Vec<CertificateDer<'static>>, Error> {
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        found.map_err(|error| bad(format!("`{}`: {error}", path.display())))
    };
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| bad(format!("`{}`: {error}", path.display())))?;
            }
            if roots.is_empty() {
                return Err(bad(format!("`{}` holds no certificate", path.display())));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots);
    let config = match (&tls.cert_file, &tls.key_file) {
        (Some(certificate), Some(key)) => {
            let loaded = PrivateKeyDer::from_pem_file(key);
            let key = loaded.map_err(|error| bad(format!("`{}`: {error}", key.display())))?;
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| bad(error.to_string()))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

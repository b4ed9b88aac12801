//! The connection to one bucket: every request goes through here, is watched, tried again, and its error told.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_sdk_s3::Client as Sdk;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use futures_util::future::{BoxFuture, FutureExt as _, TryFutureExt as _};
use tokio::sync::OnceCell;

use super::config::Plan;
use super::credentials::Configured;
use super::error::told;
use super::transmit::WithoutOperationId;
use crate::clock::Clock;
use crate::stores::retry::{Limits, Pulse, Retry, watch};
use crate::stores::{Error, ObjectName, Reason};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long before their end temporary credentials are replaced; the SDK takes off up to half of it at random. By its
/// own 10 seconds a clock that is a little behind the service's would use them for longer than they are good.
const CREDENTIALS_MARGIN: Duration = Duration::from_mins(5);

/// A bucket that can be spoken to.
#[derive(Debug, Clone)]
pub(super) struct Client(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    sdk: Sdk,
    pub(super) plan: Plan,
    pub(super) retry: Retry,
    pub(super) clock: Clock,
    /// Whether the bucket keeps versions, once that is known.
    pub(super) versioned: OnceCell<bool>,
}

impl std::ops::Deref for Client {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Client {
    /// Prepares the connection. Credentials and region that the configuration lacks come from where AWS's own tools
    /// look for them; the first request shows whether they are good.
    pub(super) async fn connect(plan: &Plan, clock: Clock) -> Result<Self, Error> {
        let https = plan.endpoint.as_deref().is_none_or(|endpoint| !endpoint.starts_with("http:"));
        let http = http_client(plan, https)?;
        let mut builder = match &plan.credentials {
            Some(keys) => {
                let region = plan.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
                Builder::new()
                    .behavior_version(BehaviorVersion::latest())
                    .credentials_provider(Configured::new(keys, clock))
                    .region(Region::new(region.unwrap_or_else(|| "us-east-1".to_owned())))
            }
            None => from_surroundings(plan, http_client(plan, true)?).await,
        };
        if let Some(endpoint) = &plan.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        if plan.quirks.strip_operation_id {
            builder = builder.interceptor(WithoutOperationId);
        }
        let config = builder
            .http_client(http)
            .force_path_style(plan.path_style)
            // One place retries, by one table: ours.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // A restore that is slower than the network is no stall; requests are watched by their own pulse.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Other services refuse, or even store, the checksums that the SDK adds by itself.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let retry = Retry::new(plan.limits);
        Ok(Self::with(Sdk::from_conf(config), plan, retry, clock))
    }

    /// The same connection with less patience, for someone who waits at a terminal.
    pub(super) fn hasty(&self) -> Self {
        let limits = Limits { attempts: self.plan.limits.attempts.min(3), ..self.plan.limits };
        self.retrying(Retry::new(limits))
    }

    pub(super) fn retrying(&self, retry: Retry) -> Self {
        Self::with(self.sdk.clone(), &self.plan, retry, self.clock)
    }

    fn with(sdk: Sdk, plan: &Plan, retry: Retry, clock: Clock) -> Self {
        Self(Arc::new(Inner { sdk, plan: plan.clone(), retry, clock, versioned: OnceCell::new() }))
    }
}

impl Inner {
    pub(super) fn sdk(&self) -> &Sdk {
        &self.sdk
    }

    /// The object's key in the bucket.
    pub(super) fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.plan.prefix)
    }

    /// The object's name, if the key is one below the store's prefix.
    pub(super) fn name(&self, key: &str) -> Option<ObjectName> {
        ObjectName::new(key.strip_prefix(&self.plan.prefix)?).ok()
    }

    /// Sends a request that has no body to speak of, until it succeeds or fails for good.
    pub(super) async fn send<T, E, F, A>(&self, doing: &str, mut request: F) -> Result<T, Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.retry.run(doing, |_| self.attempt(doing, Pulse::default(), request())).await
    }

    /// Sends a request once, and cuts it when its pulse is still.
    pub(super) fn attempt<'a, T: 'a, E>(
        &'a self,
        doing: &'a str,
        pulse: Pulse,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.attempt_for(doing, pulse, self.plan.patience, request)
    }

    /// As [`attempt`](Self::attempt), with another patience.
    ///
    /// The SDK's futures are tens of kilobytes large: they are boxed here, at once, so that those around them are not.
    pub(super) fn attempt_for<'a, T: 'a, E>(
        &'a self,
        doing: &'a str,
        pulse: Pulse,
        patience: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let answered = request.map_err(move |error| told(doing, &error, &self.plan.proxies)).boxed();
        async move { watch(&pulse, patience, doing, answered).await }.boxed()
    }
}

async fn from_surroundings(plan: &Plan, http: SharedHttpClient) -> Builder {
    let cache = IdentityCache::lazy().buffer_time(CREDENTIALS_MARGIN).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http).identity_cache(cache);
    if let Some(region) = &plan.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &plan.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let fallback = config.region().cloned().unwrap_or_else(|| Region::new("us-east-1"));
    Builder::from(&config).region(fallback)
}

/// A client for addresses that begin with `https`, or with `http`: those of one scheme go through its proxy, those of
/// the other never do.
fn http_client(plan: &Plan, https: bool) -> Result<SharedHttpClient, Error> {
    let mut trust = TrustStore::default();
    if let Some(pem) = &plan.trusted {
        trust = trust.with_pem_certificate(pem.as_slice());
    }
    let tls = TlsContext::builder().with_trust_store(trust).build().map_err(|error| {
        Error::new(Reason::Rejected, "the certificates in `ca_bundle` cannot be used").because(error)
    })?;
    let proxy = match plan.proxies.of(https) {
        Some(proxy) if https => ProxyConfig::https(proxy.expose()),
        Some(proxy) => ProxyConfig::http(proxy.expose()),
        None => Ok(ProxyConfig::disabled()),
    };
    // The cause would name the address, which may hold a password.
    let proxy = proxy.map_err(|_| Error::new(Reason::Rejected, "the proxy's address cannot be used"))?;
    let proxy = proxy.no_proxy(plan.proxies.except());
    let client = aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, runtime| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(runtime.and_then(RuntimeComponents::sleep_impl));
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    });
    Ok(client)
}

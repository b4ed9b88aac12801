//! Where the service is: the bucket's name and the endpoint, checked before anything is sent.

use hyper::http::Uri;

use super::config::Config;
use super::provider::{Provider, Quirks};
use crate::config::context::Context;

/// Refuses names that no bucket can have (docs.aws.amazon.com, "General purpose bucket naming rules"). Ceph and
/// services of unknown make may keep older, looser rules.
pub(super) fn check_bucket(bucket: &str, provider: Provider, context: &mut Context) {
    let loose = matches!(provider, Provider::Ceph | Provider::Other | Provider::Rclone);
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || (loose && b.is_ascii_uppercase());
    let inner = |b: u8| letter(b) || b == b'-' || b == b'.' || (loose && b == b'_');
    let length = if loose { 3..=255 } else { 3..=63 };
    let ends = bucket.bytes().next().is_some_and(letter) && bucket.bytes().last().is_some_and(letter);
    let sound = length.contains(&bucket.len()) && ends && bucket.bytes().all(inner) && !bucket.contains("..");
    if !sound || bucket.parse::<std::net::Ipv4Addr>().is_ok() {
        let what = format!("`{bucket}` cannot be the name of a bucket");
        let help =
            "buckets have 3 to 63 lowercase letters, digits, dots and hyphens; a path goes into `prefix`";
        context.problem("bucket", what, help);
    }
}

/// The endpoint: as written, or as the provider has it for the region. `None` if there is a problem.
#[allow(clippy::option_option, reason = "a problem, no address needed, or an address")]
pub(super) fn plan(
    config: &Config,
    quirks: &Quirks,
    path_style: bool,
    context: &mut Context,
) -> Option<Option<String>> {
    let Some(written) = &config.endpoint else {
        return provided(config, quirks, context);
    };
    let uri = match written.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => uri,
        _ => {
            let what = "this is not the address of a service";
            context.problem("endpoint", what, "write for example `https://s3.example.com`");
            return None;
        }
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let help = "remove them; credentials go into `access_key_id` and `secret_access_key`";
        context.problem("endpoint", "there are credentials in the address", help);
        return None;
    }
    let host = uri.host().unwrap_or_default();
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        let what = "an endpoint has no path";
        context.problem("endpoint", what, "write the bucket into `bucket` and the rest into `prefix`");
        return None;
    }
    if is_below_the_bucket(host, &config.bucket) {
        let what = format!("the endpoint's host already begins with the bucket `{}`", config.bucket);
        let help = if path_style {
            "remove the bucket from the host: with `path_style` it goes into the path"
        } else {
            "remove the bucket from the host: it is put there by itself"
        };
        context.problem("endpoint", what, help);
        return None;
    }
    if uri.scheme_str() == Some("http") && !config.allow_http && !is_this_machine(host) {
        let what = format!("`{host}` would be spoken to without TLS");
        context.problem(
            "endpoint",
            what,
            "write `https://`, or add `allow_http: true` if the network is yours",
        );
        return None;
    }
    Some(Some(written.trim_end_matches('/').to_owned()))
}

#[allow(clippy::option_option, reason = "a problem, no address needed, or an address")]
fn provided(config: &Config, quirks: &Quirks, context: &mut Context) -> Option<Option<String>> {
    match (quirks.endpoint, &config.region, config.provider) {
        (Some(template), region, _) if region.is_some() || !template.contains("{region}") => {
            Some(Some(template.replace("{region}", region.as_deref().unwrap_or_default())))
        }
        (Some(template), ..) => {
            let what = format!("the region is missing; the endpoint is `{template}`");
            context.problem("region", what, "write the bucket's region");
            None
        }
        (None, _, Provider::Aws) => Some(None),
        (None, ..) => {
            let help = match config.provider {
                Provider::CloudflareR2 => "write `https://ACCOUNT.r2.cloudflarestorage.com`",
                Provider::Rclone => "write the address that `rclone serve s3` listens on",
                _ => "write the address of the service, for example `https://s3.example.com`",
            };
            context.problem("endpoint", "the key is missing: this provider has no address of its own", help);
            None
        }
    }
}

/// The domains of providers whose hosts may begin with a bucket, before the name of an endpoint.
const DOMAINS: [&str; 8] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "r2.cloudflarestorage.com",
    "backblazeb2.com",
    "digitaloceanspaces.com",
    "wasabisys.com",
    "googleapis.com",
    "scw.cloud",
];

/// Whether the host is an endpoint of a provider with the bucket before it. Elsewhere a host that begins with the bucket's
/// name is a service of that name, and directly below a domain it is the endpoint: `storage.googleapis.com`.
fn is_below_the_bucket(host: &str, bucket: &str) -> bool {
    let endpoint = host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.'));
    endpoint.is_some_and(|endpoint| {
        let mut above = DOMAINS.iter().filter_map(|domain| endpoint.strip_suffix(domain));
        above.any(|label| label.ends_with('.'))
    })
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

//! What the codes of S3 mean: one table for all providers, with the reason of every row.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::stores::proxy::Proxies;
use crate::stores::{Error, Reason};

/// What a code or a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    reason: Reason,
    help: &'static str,
}

const fn row(reason: Reason, help: &'static str) -> Row {
    Row { reason, help }
}

const AGAIN: Row = row(Reason::Transient(None), "");

#[allow(
    clippy::match_same_arms,
    reason = "a table: each row has its own reason, also where the outcome is the same"
)]
/// The meaning of a code; the status decides where the code says nothing (a HEAD has no body, a proxy no code).
fn meaning(code: &str, status: u16) -> Row {
    match code {
        // Too many requests for the service or one of its partitions; it says so to be asked again later.
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "ServiceUnavailable"
        | "Busy"
        | "XMinioServerNotInitialized" => AGAIN,
        // The service's own trouble, also inside a 200 when an upload is completed.
        "InternalError" | "InternalServerError" | "ServerError" | "OperationAborted" | "TransientError" => {
            AGAIN
        }
        // The body came too slowly or was cut on its way in: nothing was stored.
        "RequestTimeout" | "RequestTimeoutException" | "IncompleteBody" => AGAIN,
        // Bytes were changed on their way: the service compared and refused. Sent again they may arrive.
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => AGAIN,
        // Two writers of one name at once; the service asks to try again.
        "ConditionalRequestConflict" => AGAIN,
        "NoSuchKey" | "NotFound" | "NoSuchVersion" => row(Reason::NotFound, ""),
        "NoSuchBucket" => {
            row(Reason::Rejected, "make the bucket, or correct `bucket`, `region` and `endpoint`")
        }
        // The upload was completed, aborted, or lost by the service; its parts are gone.
        "NoSuchUpload" => row(Reason::SessionLost, "the next run starts again"),
        // The parts that the service has are not those that were sent.
        "InvalidPart" | "InvalidPartOrder" => row(Reason::SessionLost, "the next run starts again"),
        "PreconditionFailed" => row(Reason::Exists, ""),
        // Clocks more than 15 minutes apart: a signature is only good for a time.
        "RequestTimeTooSkewed" => row(
            Reason::Rejected,
            "this machine's clock is wrong: the service refuses signatures of another time",
        ),
        "SignatureDoesNotMatch" => {
            row(Reason::Denied, "the secret key is wrong, or something on the way changes requests")
        }
        "InvalidAccessKeyId" | "InvalidSecurity" | "UnrecognizedClientException" => {
            row(Reason::Denied, "the access key is not known to this service")
        }
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
            row(Reason::Denied, "the session token has expired or is wrong: get new temporary credentials")
        }
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" => {
            row(Reason::Denied, "the key lacks a right on this bucket; `check` says which")
        }
        // Deleting what Object Lock protects; services say it in codes of their own.
        "ObjectLocked" | "InvalidRequestObjectLocked" | "WORMProtected" | "FileImmutable" => {
            row(Reason::Locked, "")
        }
        "QuotaExceeded"
        | "XMinioStorageFull"
        | "XMinioAdminBucketQuotaExceeded"
        | "InsufficientCapacity"
        | "StorageQuotaExceeded"
        | "StorageLimitExceeded"
        | "TotalStorageExceeded" => {
            row(Reason::Full, "make room: a smaller retention, a larger quota, or another store")
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => {
            row(Reason::Rejected, "the bucket is in another region: correct `region` or `endpoint`")
        }
        // A lifecycle rule has moved the object to where it cannot be read from.
        "InvalidObjectState" => row(
            Reason::Rejected,
            "a lifecycle rule has moved the object into an archive: have the service restore it, and keep such rules \
             away from packages",
        ),
        "EntityTooLarge" => row(Reason::Rejected, "the service keeps no objects of this size"),
        "EntityTooSmall" => row(Reason::Rejected, "this service wants larger parts: raise `part_size`"),
        // A header or feature that this service does not know.
        "NotImplemented" | "MethodNotAllowed" | "UnsupportedHeader" => {
            row(Reason::Rejected, "this service lacks the feature: set `provider`, or turn the feature off")
        }
        "InvalidRange" => row(Reason::Rejected, ""),
        "" => by_status(status),
        // An unknown code with a status that says enough; a 400 that names its code means it.
        _ if status != 400 => by_status(status),
        _ => row(Reason::Rejected, ""),
    }
}

#[allow(
    clippy::match_same_arms,
    reason = "a table: each row has its own reason, also where the outcome is the same"
)]
fn by_status(status: u16) -> Row {
    match status {
        // Without a code nothing is known: the answer to a HEAD has none, and `RequestTimeout` is a 400.
        400 => AGAIN,
        // Asked to slow down, timed out, or in trouble: proxies say it without a code.
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 509 | 520..=527 | 530 => AGAIN,
        404 => row(Reason::NotFound, ""),
        401 | 403 => {
            row(Reason::Denied, "the key is wrong or lacks a right on this bucket; `check` says which")
        }
        // Only a proxy answers so.
        407 => {
            row(Reason::Denied, "put the proxy's user and password into its address: `proxy` or `HTTP_PROXY`")
        }
        409 => row(Reason::Transient(None), ""),
        412 => row(Reason::Exists, ""),
        507 => row(Reason::Full, "make room: a smaller retention, a larger quota, or another store"),
        300..=399 => {
            row(Reason::Rejected, "the bucket is elsewhere: correct `region`, `endpoint` or `path_style`")
        }
        _ => row(Reason::Rejected, ""),
    }
}

/// Phrases by which services say that an object is protected, with the code of a missing right: AWS and Ceph, `MinIO`,
/// and others. Single words would do for a name: an `AccessDenied` of AWS repeats the bucket's, which may be `retention`.
const LOCK_PHRASES: [&str; 6] = [
    "by object lock",
    "worm protected",
    "worm-protected",
    "retention period",
    "under retention",
    "legal hold",
];

/// Turns an error of the SDK into the store's words. `doing` is what was tried, for example `upload part 3`.
pub(super) fn told<E>(doing: &str, error: &SdkError<E, HttpResponse>, proxies: &Proxies) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match error {
        SdkError::ServiceError(_) => service_error(doing, status, error),
        // The response was no S3: a proxy's page, or cut short.
        SdkError::ResponseError(_) if status == 0 || status < 300 || by_status(status) == AGAIN => {
            Error::new(Reason::Transient(None), format!("cannot {doing}: the answer was cut or is not S3's"))
        }
        SdkError::ResponseError(_) => {
            let row = by_status(status);
            Error::new(row.reason, format!("cannot {doing}: status {status}")).help(row.help)
        }
        SdkError::TimeoutError(_) => {
            Error::new(Reason::Transient(None), format!("cannot {doing}: no connection in time"))
        }
        _ => match proxies.fault(&causes(error).join(": ")) {
            Some(fault) => fault.told(doing),
            None => connection_error(doing, error),
        },
    }
    .because(Cause(causes(error).join(": ")))
}

fn service_error<E: ProvideErrorMetadata>(
    doing: &str,
    status: u16,
    error: &SdkError<E, HttpResponse>,
) -> Error {
    let code = error.code().unwrap_or_default();
    let said = error.message().unwrap_or_default();
    let mut row = meaning(code, status);
    if matches!(row.reason, Reason::Denied | Reason::Rejected)
        && says_locked(said)
        && doing.starts_with("delete")
    {
        row = Row { reason: Reason::Locked, help: "" };
    }
    if let Reason::Transient(_) = row.reason {
        row.reason = Reason::Transient(retry_after(error));
    }
    let mut what = match (code, said) {
        ("", _) => format!("status {status}"),
        (code, "") => code.to_owned(),
        (code, said) => format!("{code}: {}", said.trim_end_matches('.')),
    };
    if code == "RequestTimeTooSkewed"
        && let Some(date) = error.raw_response().and_then(|response| response.headers().get("date"))
    {
        what = format!("{what} (the service's clock says {date})");
    }
    let told = Error::new(row.reason, format!("cannot {doing}: {what}"));
    if row.help.is_empty() { told } else { told.help(row.help) }
}

fn says_locked(said: &str) -> bool {
    let said = said.to_lowercase();
    LOCK_PHRASES.iter().any(|phrase| said.contains(phrase))
}

/// The service's own wish for a pause, in seconds (RFC 9110, section 10.2.3); dates are not used by any provider.
fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    let seconds = error.raw_response()?.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// There was no answer: the connection could not be made or broke, or the SDK could not build the request.
fn connection_error<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + 'static,
{
    let causes = causes(error);
    let found = |words: &[&str]| words.iter().any(|word| causes.iter().any(|cause| cause.contains(word)));
    if found(&WITHOUT_CREDENTIALS) {
        return no_credentials(doing, &causes);
    }
    if found(&["UnknownIssuer", "InvalidCertificate", "invalid peer certificate", "CertificateRequired"]) {
        let help = "if the service has a certificate of your own authority, name it in `ca_bundle`";
        return Error::new(
            Reason::Rejected,
            format!("cannot {doing}: the service's certificate is not trusted"),
        )
        .help(help);
    }
    match error {
        SdkError::ConstructionFailure(_) => {
            Error::new(Reason::Rejected, format!("cannot {doing}: the request cannot be built"))
        }
        _ => Error::new(Reason::Transient(None), format!("cannot {doing}: the connection failed")),
    }
}

/// By which it is known that the request was not sent for want of credentials: the SDK's `CredentialsError`, and its
/// cache's own patience.
const WITHOUT_CREDENTIALS: [&str; 3] = ["credential", "no providers in chain", "identity resolver"];
/// Nobody gives credentials out here, or it is set up wrongly.
const NOWHERE: [&str; 2] =
    ["the credential provider was not enabled", "the credentials provider was not properly configured"];
/// Who gives them out has refused: codes of STS (docs.aws.amazon.com, `AssumeRoleWithWebIdentity`), statuses of the agents
/// of pods.
const REFUSED: [&str; 12] = [
    "AccessDenied",
    "ExpiredToken",
    "IDPRejectedClaim",
    "InvalidIdentityToken",
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    "RegionDisabledException",
    "ValidationError",
    "StatusCode(400)",
    "StatusCode(401)",
    "StatusCode(403)",
    "StatusCode(404)",
];
/// By which STS says that it did not reach who vouches for the token, also with the code of a token that is not good.
const UNREACHED: [&str; 2] = ["IDPCommunicationError", "verification key"];

/// Says that there are no credentials: nothing was asked of the bucket.
pub(super) const NO_CREDENTIALS: &str = "no credentials can be had";

/// There are no credentials, or none just now.
///
/// Temporary ones end while a package is on its way, and new ones come over the network, from STS, from an agent of the
/// pod's or from the instance: that one of these is away for a moment must not cost the upload of hours.
fn no_credentials(doing: &str, causes: &[String]) -> Error {
    let found = |words: &[&str]| words.iter().any(|word| causes.iter().any(|cause| cause.contains(word)));
    let message = format!("cannot {doing}: {NO_CREDENTIALS}");
    let help = "set `access_key_id` and `secret_access_key`, or provide credentials the way AWS does";
    if found(&NOWHERE) {
        return Error::new(Reason::Denied, message).help(help);
    }
    let message = format!("{message}: {}", causes.last().map(String::as_str).unwrap_or_default());
    if found(&REFUSED) && !found(&UNREACHED) {
        let help = "allow this pod or instance its role, whose credentials were refused to it: the role must trust who \
                    issues the token (OIDC), and the token's audience and subject";
        return Error::new(Reason::Denied, message).help(help);
    }
    let help = "look whether who gives credentials out (STS, the pod's agent, the instance) can be reached from here";
    Error::new(Reason::Transient(None), message).help(help)
}

/// What the SDK's error and its causes say, without the requests and answers that they carry.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = causes.map(ToString::to_string).collect();
    said.dedup();
    said
}

/// What the SDK said, as text: its own types would keep the whole response.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_before_statuses() {
        assert_eq!(meaning("SlowDown", 503).reason, Reason::Transient(None));
        assert_eq!(meaning("InternalError", 200).reason, Reason::Transient(None));
        assert_eq!(meaning("RequestTimeout", 400).reason, Reason::Transient(None));
        assert_eq!(meaning("RequestTimeTooSkewed", 403).reason, Reason::Rejected);
        assert_eq!(meaning("NoSuchUpload", 404).reason, Reason::SessionLost);
        assert_eq!(meaning("NoSuchBucket", 404).reason, Reason::Rejected);
        assert_eq!(meaning("", 404).reason, Reason::NotFound);
        assert_eq!(meaning("SomethingNew", 400).reason, Reason::Rejected);
        assert_eq!(meaning("", 400).reason, Reason::Transient(None));
        assert_eq!(meaning("SomethingNew", 502).reason, Reason::Transient(None));
        // A proxy that does not reach what is behind it (Cloudflare's statuses).
        assert_eq!(meaning("", 530).reason, Reason::Transient(None));
        let archived = meaning("InvalidObjectState", 403);
        assert_eq!(archived.reason, Reason::Rejected);
        assert!(archived.help.contains("lifecycle rule"), "{}", archived.help);
    }

    #[test]
    fn a_name_is_no_word_of_the_lock() {
        for said in [
            "Access Denied because object protected by object lock.",
            "forbidden by object lock",
            "Object is WORM protected and cannot be overwritten",
            "The object is under legal hold",
        ] {
            assert!(says_locked(said), "{said}");
        }
        for name in ["retention-worm", "worm", "object-lock", "legal-hold-retention"] {
            let said = format!(
                "User: arn:aws:iam::1:user/{name} is not authorized to perform: s3:DeleteObject on resource: \
                 \"arn:aws:s3:::{name}/{name}/web.json\" because no identity-based policy allows the s3:DeleteObject action"
            );
            assert!(!says_locked(&said), "{said}");
        }
    }

    #[test]
    fn credentials_that_are_away_for_a_moment_are_waited_for() {
        let told = |causes: &[&str]| {
            no_credentials(
                "upload part 3",
                &causes.iter().map(|cause| (*cause).to_owned()).collect::<Vec<_>>(),
            )
        };
        let loading = "an error occurred while loading credentials";
        for away in [
            "tcp connect error: Connection refused (os error 111)",
            "Non-success status from HTTP credential provider: StatusCode(503)",
            "Error { code: \"Throttling\", message: \"Rate exceeded\" }",
            "IdpCommunicationErrorException [IDPCommunicationErrorException]: x",
            "InvalidIdentityTokenException [InvalidIdentityToken]: Couldn't retrieve verification key from your identity \
             provider",
        ] {
            let error = told(&["dispatch failure", loading, away]);
            assert_eq!(error.reason, Reason::Transient(None), "{away}");
            assert_eq!(error.to_string(), format!("cannot upload part 3: no credentials can be had: {away}"));
        }
        for refused in [
            "Error { code: \"AccessDenied\", message: \"Not authorized\" }",
            "Non-success status from HTTP credential provider: StatusCode(403)",
            "InvalidIdentityTokenException [InvalidIdentityToken]: No OpenIDConnect provider found in your account",
            "IdpRejectedClaimException [IDPRejectedClaim]: x",
            "RegionDisabledException: x",
            "MalformedPolicyDocumentException [MalformedPolicyDocument]: x",
            "PackedPolicyTooLargeException [PackedPolicyTooLarge]: x",
        ] {
            assert_eq!(told(&["dispatch failure", loading, refused]).reason, Reason::Denied, "{refused}");
        }
        let nowhere =
            ["the credential provider was not enabled", "no providers in chain provided credentials"];
        assert_eq!(told(&nowhere).reason, Reason::Denied);
    }
}

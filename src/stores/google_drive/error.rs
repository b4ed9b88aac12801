//! What Drive's reasons mean: one table, with the reason of every row.
//!
//! Sources: developers.google.com/workspace/drive/api/guides/handle-errors and …/limits; where they are silent, what
//! other clients of the service have met.

use std::time::Duration;

use google_drive3::common;
use hyper::header::HeaderMap;
use serde_json::Value;

use crate::stores::{Error, Reason, proxy};

/// What a reason or a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    reason: Reason,
    help: &'static str,
}

const fn row(reason: Reason, help: &'static str) -> Row {
    Row { reason, help }
}

const AGAIN: Row = row(Reason::Transient(None), "");
/// Google's exact words when the 750 GB that one user may upload in a day are used up; there is no reason of its own.
const DAILY_CAP: &str = "User rate limit exceeded.";

/// The meaning of a reason, lowercase and without underscores; the status decides where the reason says nothing.
#[allow(clippy::match_same_arms, reason = "a row for each cause")]
fn meaning(reason: &str, status: u16) -> Row {
    match reason {
        // Requests per minute, of the user or of the project; too many open upload sessions.
        "ratelimitexceeded"
        | "userratelimitexceeded"
        | "sharingratelimitexceeded"
        | "urlleaselimitexceeded" => AGAIN,
        // The service's own trouble.
        "backenderror" | "internalerror" | "transienterror" => AGAIN,
        // The project's requests of one day; counted until midnight, Pacific time.
        "dailylimitexceeded" | "quotaexceededfordailylimit" => row(
            Reason::Full,
            "the project's requests of today are used up: it works again after midnight, Pacific time",
        ),
        "storagequotaexceeded" | "quotaexceeded" => row(
            Reason::Full,
            "make room: empty the trash, keep less (`retention`), or get more storage; a service account has none and \
             needs `shared_drive` or `subject`",
        ),
        // 500000 items, including those in the trash.
        "teamdrivefilelimitexceeded" => {
            row(Reason::Full, "the shared drive has its 500000 items: empty its trash or use another one")
        }
        "numchildreninnonrootlimitexceeded" => {
            row(Reason::Full, "the folder has its 500000 files: use another `folder`")
        }
        "activeitemcreationlimitexceeded" => {
            row(Reason::Full, "the account has made as many files as it may: use another one")
        }
        // A file's or a user's downloads of one day.
        "downloadquotaexceeded" => {
            row(Reason::Full, "too much was downloaded today: try again in 24 hours, or use another store")
        }
        "mydrivehierarchydepthlimitexceeded" | "teamdrivehierarchytoodeep" => {
            row(Reason::Rejected, "folders are nested more than 100 deep: use another `folder`")
        }
        "cannotdownloadabusivefile" => row(
            Reason::Denied,
            "Google takes the file for malware: the owner may read it with `acknowledge_abuse: true`",
        ),
        "invalidabuseacknowledgment" => {
            row(Reason::Denied, "only the owner, or a manager of the shared drive, may read this file")
        }
        "autherror" | "unauthenticated" => {
            row(Reason::Denied, "the token is refused: run `chupacabra drive login` again")
        }
        "accesstokenscopeinsufficient" | "insufficientpermissions" | "insufficientscopes" => row(
            Reason::Denied,
            "the consent does not cover this: run `chupacabra drive login` again, with the `scope` of the configuration",
        ),
        "insufficientfilepermissions"
        | "insufficientparentpermissions"
        | "cannotaddparent"
        | "teamdrivemembershiprequired" => row(
            Reason::Denied,
            "the account lacks a right: in a shared drive it must be Content manager, to delete for good Manager",
        ),
        "appnotauthorizedtofile" => row(
            Reason::Denied,
            "with the scope `drive.file` the agent sees only what it made: let it make the folder (`folder`), or set \
             `scope: drive`",
        ),
        "domainpolicy" => row(Reason::Denied, "the domain's administrators forbid Drive apps: ask them"),
        "accessnotconfigured" | "servicedisabled" => {
            row(Reason::Denied, "turn the Google Drive API on in the OAuth client's project")
        }
        "fileidinuse" | "duplicate" => row(Reason::Exists, ""),
        // Gone, or not to be seen: Drive does not tell the two apart.
        "notfound" => row(Reason::NotFound, ""),
        _ => by_status(status),
    }
}

fn by_status(status: u16) -> Row {
    match status {
        408 | 425 | 429 | 500..=599 => AGAIN,
        401 => row(Reason::Denied, "the token is refused: run `chupacabra drive login` again"),
        403 => row(Reason::Denied, "the account lacks a right; `check` says which"),
        404 => row(Reason::NotFound, ""),
        409 => row(Reason::Exists, ""),
        _ => row(Reason::Rejected, ""),
    }
}

/// What a failed answer says, before it is judged.
#[derive(Debug, Default)]
struct Said {
    reason: String,
    message: String,
}

impl Said {
    /// Reads `{"error": {"errors": [{"reason"}], "message", "status", "details": [{"reason"}]}}`; newer services leave
    /// `errors` out.
    fn read(body: &Value) -> Self {
        let error = &body["error"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let details = error["details"].as_array().into_iter().flatten().find_map(|one| text(&one["reason"]));
        let reason = text(&error["errors"][0]["reason"]).or(details).or_else(|| text(&error["status"]));
        Self { reason: reason.unwrap_or_default(), message: text(&error["message"]).unwrap_or_default() }
    }
}

/// Turns an answer that is no success into the store's words. `doing` is what was tried, for example `list objects`.
pub(super) fn told(doing: &str, status: u16, headers: &HeaderMap, body: &Value) -> Error {
    let said = Said::read(body);
    let normal = said.reason.replace('_', "").to_lowercase();
    let mut row = meaning(&normal, status);
    if let Reason::Transient(_) = row.reason {
        row.reason = Reason::Transient(retry_after(headers));
    }
    let what = match (said.reason.as_str(), said.message.as_str()) {
        ("", "") => format!("status {status}"),
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    };
    // The full stop of these words tells the daily cap from the quota of a minute.
    let what = if said.message == DAILY_CAP { what } else { what.trim_end_matches('.').to_owned() };
    let error = Error::new(row.reason, format!("cannot {doing}: {what}"));
    if row.help.is_empty() { error } else { error.help(row.help) }
}

/// The end of retrying: words that stay the same for minutes mean the cap of a day.
pub(super) fn given_up(error: Error) -> Error {
    if !error.is_transient() || !is_daily_cap(&error) {
        return error;
    }
    let help = "a user may upload 750 GB in 24 hours: it works again when these have passed";
    Error { reason: Reason::Full, help: Some(help.to_owned()), ..error }
}

/// Whether these are the words of the cap of a day, or of a minute's that are the same.
pub(super) fn is_daily_cap(error: &Error) -> bool {
    error.message.contains(DAILY_CAP)
}

/// The service's own wish for a pause, in seconds (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Turns an error of the hub into the store's words. What the service answered is told from `seen`.
pub(super) fn from_hub(doing: &str, error: common::Error) -> Error {
    match error {
        common::Error::MissingToken(cause) => match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(_) => Error::new(Reason::Denied, format!("cannot {doing}: there is no token")),
        },
        common::Error::HttpError(cause) => unconnected(doing, &cause),
        common::Error::JsonDecodeError(..) => cut(doing),
        common::Error::BadRequest(body) => told(doing, 0, &HeaderMap::new(), &body),
        _ => Error::new(Reason::Rejected, format!("cannot {doing}: the request cannot be made")),
    }
}

/// An answer that is not what it should be: cut short, or a proxy's.
pub(super) fn cut(doing: &str) -> Error {
    Error::new(Reason::Transient(None), format!("cannot {doing}: the answer was cut or is not Google's"))
}

/// There was no answer.
pub(super) fn unconnected(doing: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    if let Some(fault) = proxy::Fault::find(error) {
        return fault.told(doing);
    }
    let chain = chain(error);
    if ["UnknownIssuer", "InvalidCertificate", "invalid peer certificate"]
        .iter()
        .any(|word| chain.contains(word))
    {
        let help = "if a proxy with a certificate of its own stands in between, name it in `ca_bundle`";
        let message = format!("cannot {doing}: the service's certificate is not trusted");
        return Error::new(Reason::Rejected, message).help(help).because(Cause(chain));
    }
    let message = format!("cannot {doing}: the connection failed");
    Error::new(Reason::Transient(None), message).because(Cause(chain))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What the connection said, as text: its own types would keep the request, and with it the token.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reason: &str, message: &str) -> Value {
        serde_json::json!({ "error": { "message": message, "errors": [{ "reason": reason }] } })
    }

    #[test]
    fn reasons_come_before_statuses() {
        let reason = |reason: &str, status| told("try", status, &HeaderMap::new(), &body(reason, "")).reason;
        assert_eq!(reason("rateLimitExceeded", 403), Reason::Transient(None));
        assert_eq!(reason("storageQuotaExceeded", 403), Reason::Full);
        assert_eq!(reason("insufficientFilePermissions", 403), Reason::Denied);
        assert_eq!(reason("somethingNew", 403), Reason::Denied);
        assert_eq!(reason("somethingNew", 503), Reason::Transient(None));
        assert_eq!(reason("", 400), Reason::Rejected);
    }

    #[test]
    fn newer_answers_have_their_reason_in_the_details() {
        let body = serde_json::json!({ "error": { "details": [{ "reason": "RATE_LIMIT_EXCEEDED" }] } });
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        assert_eq!(told("try", 403, &headers, &body).reason, Reason::Transient(Some(Duration::from_secs(7))));
    }

    #[test]
    fn the_daily_cap_is_known_by_its_words() {
        let error = |message| told("upload", 403, &HeaderMap::new(), &body("userRateLimitExceeded", message));
        assert_eq!(given_up(error("User rate limit exceeded.")).reason, Reason::Full);
        assert!(given_up(error("User Rate Limit Exceeded. Rate of requests …")).is_transient());
    }
}

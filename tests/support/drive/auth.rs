//! Tokens: consent, device flow, refresh, service accounts, the metadata server.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::world::{Caller, World};
use super::{Asked, Said};

/// Who asks, by the access token.
pub(super) fn caller(world: &World, asked: &Asked) -> Result<Caller, Said> {
    let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let caller = token.and_then(|token| world.tokens.get(token)).cloned();
    caller.ok_or_else(|| Said::error(401, "authError", "Invalid Credentials"))
}

fn grant(world: &mut World, app: &str, scope: &str, email: &str) -> Value {
    let token = format!("ya29.{:032x}", rand::random::<u128>());
    let own_files = scope.contains("drive.file");
    world.tokens.insert(token.clone(), Caller { app: app.into(), own_files, email: email.into() });
    json!({ "access_token": token, "expires_in": 3599, "scope": scope, "token_type": "Bearer" })
}

fn refused(code: &str, description: &str) -> Said {
    Said::json(400, &json!({ "error": code, "error_description": description }))
}

/// `POST /token`.
pub(super) fn token(world: &mut World, asked: &Asked) -> Said {
    let form = asked.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let app = field("client_id").or_else(|| basic(asked)).unwrap_or_default();
    if app == "deleted" {
        let body = json!({ "error": "deleted_client", "error_description": "The OAuth client was deleted." });
        return Said::json(401, &body);
    }
    if world.switches.troubled_tokens > 0 {
        world.switches.troubled_tokens -= 1;
        let body = json!({ "error": "internal_failure", "error_description": "Backend Error" });
        return Said::json(500, &body);
    }
    let file_scope = "https://www.googleapis.com/auth/drive.file";
    match field("grant_type").as_deref() {
        Some("refresh_token") if world.switches.revoked => {
            refused("invalid_grant", "Token has been expired or revoked.")
        }
        Some("refresh_token") => {
            let scope = if app == "whole" { "https://www.googleapis.com/auth/drive" } else { file_scope };
            let mut granted = grant(world, &app, scope, "someone@example.com");
            if let Some(seconds) = world.switches.testing {
                granted["refresh_token_expires_in"] = seconds.into();
            }
            Said::json(200, &granted)
        }
        Some("authorization_code") => {
            code(world, &app, field("code"), field("code_verifier"), field("redirect_uri"))
        }
        Some("urn:ietf:params:oauth:grant-type:device_code") => {
            if world.switches.undecided > 0 {
                world.switches.undecided -= 1;
                let body =
                    json!({ "error": "authorization_pending", "error_description": "Precondition Required" });
                return Said::json(428, &body);
            }
            if world.codes.remove(&field("device_code").unwrap_or_default()).is_none() {
                return refused("invalid_grant", "Malformed auth code.");
            }
            first_grant(world, &app)
        }
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => assertion(world, field("assertion")),
        _ => refused("unsupported_grant_type", "Invalid grant_type"),
    }
}

/// The client's id as the user of HTTP's basic authentication (RFC 6749, section 2.3.1).
fn basic(asked: &Asked) -> Option<String> {
    let text = STANDARD.decode(asked.header("authorization")?.strip_prefix("Basic ")?).ok()?;
    Some(String::from_utf8(text).ok()?.split_once(':')?.0.to_owned())
}

fn first_grant(world: &mut World, app: &str) -> Said {
    let mut granted = grant(world, app, "https://www.googleapis.com/auth/drive.file", "someone@example.com");
    granted["refresh_token"] = format!("1//{app}-refresh").into();
    Said::json(200, &granted)
}

/// Proof that whoever has the code is who asked for it (RFC 7636).
fn code(
    world: &mut World,
    app: &str,
    code: Option<String>,
    verifier: Option<String>,
    redirect: Option<String>,
) -> Said {
    let Some(asked_for) = world.codes.remove(&code.unwrap_or_default()) else {
        return refused("invalid_grant", "Malformed auth code.");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.unwrap_or_default()));
    if asked_for["challenge"] != challenge.as_str() || asked_for["redirect"].as_str() != redirect.as_deref() {
        return refused("invalid_grant", "Invalid code verifier.");
    }
    first_grant(world, app)
}

/// A service account's signed wish (RFC 7523). The signature is not looked at; the claims are.
fn assertion(world: &mut World, assertion: Option<String>) -> Said {
    let claims = assertion.as_deref().and_then(|text| text.split('.').nth(1)).map(str::to_owned);
    let claims = claims.and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok());
    let claims: Value = claims.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let now = world.now() / 1_000;
    let issued = claims["iat"].as_i64().unwrap_or_default();
    if (issued - now).abs() > 600 {
        return refused("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).");
    }
    let issuer = claims["iss"].as_str().unwrap_or_default().to_owned();
    let subject = claims["sub"].as_str().unwrap_or(&issuer).to_owned();
    if subject.starts_with("stranger") {
        let text = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for \
                    any of the scopes requested.";
        return Said::json(401, &json!({ "error": "unauthorized_client", "error_description": text }));
    }
    let scope = claims["scope"].as_str().unwrap_or_default().to_owned();
    let granted = grant(world, &issuer, &scope, &subject);
    Said::json(200, &granted)
}

/// `POST /device/code` (RFC 8628).
pub(super) fn device_code(world: &mut World, asked: &Asked) -> Said {
    let form = asked.form();
    let scope = form.iter().find(|(key, _)| key == "scope").map(|(_, value)| value.as_str());
    if scope != Some("https://www.googleapis.com/auth/drive.file") {
        return refused("invalid_scope", "Invalid device flow scope");
    }
    let code = format!("device-{:016x}", rand::random::<u64>());
    world.codes.insert(code.clone(), Value::Null);
    Said::json(
        200,
        &json!({ "device_code": code, "user_code": "GQVQ-JKEC", "verification_url": "https://www.google.com/device",
                 "expires_in": 1800, "interval": 1 }),
    )
}

/// `GET /o/oauth2/v2/auth`: the user consents at once, and the browser is sent back.
pub(super) fn consent(world: &mut World, asked: &Asked) -> Said {
    let redirect = asked.query("redirect_uri").unwrap_or_default().to_owned();
    let state = asked.query("state").unwrap_or_default().to_owned();
    if asked.query("code_challenge_method") != Some("S256") || !redirect.starts_with("http://127.0.0.1:") {
        return Said::invalid("invalid_request");
    }
    if asked.query("client_id") == Some("refuses") {
        return Said::empty(302).with("location", format!("{redirect}?error=access_denied&state={state}"));
    }
    let code = format!("4/{:016x}", rand::random::<u64>());
    let challenge = asked.query("code_challenge").unwrap_or_default();
    world.codes.insert(code.clone(), json!({ "challenge": challenge, "redirect": redirect }));
    Said::empty(302).with("location", format!("{redirect}?state={state}&code={}", code.replace('/', "%2F")))
}

/// The metadata server of a machine at Google.
pub(super) fn metadata(world: &mut World, asked: &Asked) -> Said {
    if asked.header("metadata-flavor") != Some("Google") {
        return Said::empty(403);
    }
    let scope = asked.query("scopes").unwrap_or_default().to_owned();
    let granted = grant(world, "gke", &scope, "pod@project.iam.gserviceaccount.com");
    Said::json(200, &granted)
}

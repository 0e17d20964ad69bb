//! The control port: how tests in any language drive the tenant.
//!
//! | request | body or answer |
//! | --- | --- |
//! | `POST /control/change` | `{"seed":7,"count":200,"service":"sharepoint"?}` |
//! | `GET /control/manifest` | JSON Lines |
//! | `GET /control/counters`, `POST /control/counters/reset` | |
//! | `POST /control/fault`, `POST /control/fault/clear` | a [`FaultRule`] |
//! | `POST /control/revoke` | `{"user":…}` |
//! | `POST /control/account` | `{"user":…,"state":…,"mfa":…,"denied_sites":[…],"tenant_admin":…,"impersonation":…}` |
//! | `POST /control/throttle` | `{"account":…?,"service":…?, …}` and the fields of [`Throttle`] |
//! | `POST /control/sharepoint`, `POST /control/exchange` | the switches of the service |
//! | `POST /control/clock` | `{"advance_ms":…}` |
//! | `POST /control/sessions` | `{"user":…?}`: forgets cookies |

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::account::{AccountState, Mfa};
use crate::fault::FaultRule;
use crate::gate::{Service, Throttle};
use crate::sharepoint::Switches;
use crate::tenant::Parts;

type Shared = State<Arc<Parts>>;

/// The control port.
pub(crate) fn router(parts: Arc<Parts>) -> Router {
    Router::new()
        .route("/control/change", post(change))
        .route("/control/manifest", get(manifest))
        .route("/control/counters", get(counters))
        .route("/control/counters/reset", post(reset_counters))
        .route("/control/fault", post(fault))
        .route("/control/fault/clear", post(clear_faults))
        .route("/control/revoke", post(revoke))
        .route("/control/account", post(account))
        .route("/control/throttle", post(throttle))
        .route("/control/sharepoint", post(sharepoint))
        .route("/control/exchange", post(exchange))
        .route("/control/clock", post(clock))
        .route("/control/sessions", post(sessions))
        .with_state(parts)
}

/// Reads a body and acts on it; a body that does not fit is answered 400 with the reason.
fn act<T: DeserializeOwned>(body: &Bytes, act: impl FnOnce(T) -> StatusCode) -> Response {
    match serde_json::from_slice(body) {
        Ok(wanted) => act(wanted).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

fn found(there: bool) -> StatusCode {
    if there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    seed: u64,
    count: usize,
    service: Option<Service>,
}

async fn change(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: Change| {
        parts.change(wanted.seed, wanted.count, wanted.service);
        StatusCode::NO_CONTENT
    })
}

async fn manifest(State(parts): Shared) -> Response {
    let lines = tokio::task::spawn_blocking(move || parts.manifest()).await;
    match lines {
        Ok(Ok(lines)) => {
            let mut text = String::new();
            for line in lines {
                text.push_str(&line.to_string());
                text.push('\n');
            }
            ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn counters(State(parts): Shared) -> Response {
    match serde_json::to_string(&parts.shared.counters.snapshot()) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn reset_counters(State(parts): Shared) -> StatusCode {
    parts.shared.counters.reset();
    StatusCode::NO_CONTENT
}

async fn fault(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |rule: FaultRule| {
        parts.shared.faults.add(rule);
        StatusCode::NO_CONTENT
    })
}

async fn clear_faults(State(parts): Shared) -> StatusCode {
    parts.shared.faults.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    user: String,
}

async fn revoke(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: User| found(parts.revoke(&wanted.user)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    user: String,
    state: Option<AccountState>,
    mfa: Option<Mfa>,
    denied_sites: Option<BTreeSet<String>>,
    tenant_admin: Option<bool>,
    impersonation: Option<bool>,
}

async fn account(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: AccountChange| {
        found(parts.shared.accounts.update(&wanted.user, |account| {
            account.state = wanted.state.unwrap_or(account.state);
            account.mfa = wanted.mfa.unwrap_or(account.mfa);
            account.tenant_admin = wanted.tenant_admin.unwrap_or(account.tenant_admin);
            account.impersonation = wanted.impersonation.unwrap_or(account.impersonation);
            if let Some(sites) = wanted.denied_sites {
                account.denied_sites = sites;
            }
        }))
    })
}

/// The limits and whom they concern, side by side in one object.
#[derive(Deserialize)]
struct ThrottleChange {
    account: Option<String>,
    service: Option<Service>,
    #[serde(flatten)]
    limits: Throttle,
}

async fn throttle(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: ThrottleChange| {
        let both = [Service::SharePoint, Service::Exchange];
        for service in wanted.service.as_ref().map_or(&both[..], std::slice::from_ref) {
            parts.shared.gate.set_throttle(wanted.account.as_deref(), *service, wanted.limits);
        }
        StatusCode::NO_CONTENT
    })
}

async fn sharepoint(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |switches: Switches| {
        parts.sharepoint.set_switches(switches);
        StatusCode::NO_CONTENT
    })
}

async fn exchange(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |switches: crate::exchange::Switches| {
        parts.exchange.lock().unwrap_or_else(PoisonError::into_inner).set_switches(switches);
        StatusCode::NO_CONTENT
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance_ms: i64,
}

async fn clock(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: ClockChange| {
        parts.shared.clock.advance_ms(wanted.advance_ms);
        StatusCode::NO_CONTENT
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaybeUser {
    user: Option<String>,
}

async fn sessions(State(parts): Shared, body: Bytes) -> Response {
    act(&body, |wanted: MaybeUser| {
        parts.sharepoint.forget_sessions(wanted.user.as_deref());
        StatusCode::NO_CONTENT
    })
}

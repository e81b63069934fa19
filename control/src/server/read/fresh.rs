//! How new what a request sees must be, where several servers share a store.
//!
//! A request that names no resourceVersion sees every write that was acknowledged before it, by whichever server; one that
//! names a revision sees that; and with resourceVersion 0 any state will do (`docs/reference/using-api/api-concepts`,
//! "Semantics for get and list"). Writes begin with what is stored, so they are requests of the first kind. On a store that
//! only this server writes to, all of this is always so, but for revisions that nobody has been told yet.

use keelson_api::status::{Cause, Status, go_quote};

use super::token::Token;
use crate::server::call::Call;
use crate::server::connect;
use crate::server::query::no_number;
use crate::store::StoreError;

/// Waits until this server has seen what the request must see.
pub async fn wait(call: &Call, verb: &str) -> Result<(), Status> {
    let store = &call.api.store;
    let (waits, revision) = match needed(call, verb)? {
        Needed::Newest => (store.barrier(), 0),
        Needed::Revision(revision) => (store.reach(revision), revision),
        Needed::Nothing => (None, 0),
    };
    if let Some(waits) = waits {
        match waits.await {
            Ok(()) | Err(StoreError::Future(_)) => {}
            Err(error) => return Err(call.store_error(&call.path.name, &error)),
        }
    }
    // A list answers this itself: it knows whether it is asked for exactly that state, or goes on with one.
    let current = store.revision();
    if verb != "list" && revision > current {
        return Err(too_large(revision, current));
    }
    Ok(())
}

/// 504 for a revision that has not happened, in words that clients look for (`storage.NewTooLargeResourceVersionError`).
pub fn too_large(asked: u64, current: u64) -> Status {
    let mut status = Status::timeout(
        &format!("Too large resource version: {asked}, current: {current}"),
        1,
    );
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        });
    }
    status
}

enum Needed {
    Newest,
    Revision(u64),
    Nothing,
}

fn needed(call: &Call, verb: &str) -> Result<Needed, Status> {
    // What is in the query of a proxied request is for whom it goes to.
    if !matches!(verb, "get" | "list" | "watch") || connect::is_stream(&call.path) {
        return Ok(Needed::Newest);
    }
    let token = call.query.get("continue");
    if verb == "list" && !token.is_empty() {
        let token = Token::parse(token).ok();
        return Ok(token.map_or(Needed::Nothing, |token| {
            // A negative revision goes on in the current state.
            u64::try_from(token.rv).map_or(Needed::Newest, Needed::Revision)
        }));
    }
    // A watch from a revision waits for what comes after it by itself.
    let waits_itself = verb == "watch" && !call.query.flag("sendInitialEvents");
    Ok(match call.query.get("resourceVersion") {
        "" => Needed::Newest,
        "0" => Needed::Nothing,
        _ if waits_itself => Needed::Nothing,
        text => match text.parse() {
            Ok(revision) => Needed::Revision(revision),
            Err(error) if verb == "get" => {
                return Err(Status::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: {}: strconv.ParseUint: parsing {0}: {}",
                    go_quote(text),
                    no_number(&error)
                )));
            }
            // A list and a watch refuse it themselves.
            Err(_) => Needed::Nothing,
        },
    })
}

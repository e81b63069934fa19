//! `Impersonate-*` headers: acting as somebody else, if allowed to.

use http::HeaderMap;
use keelson_api::status::Status;

use super::authenticator::complete;
use super::service_account::{self, split_user_name};
use super::{ANONYMOUS, Attributes, Authorizer, UNAUTHENTICATED, UserInfo, forbidden};

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
/// Group of the resources that stand for UIDs and extras.
const AUTHENTICATION: &str = "authentication.k8s.io";

/// The user that the request wants to be, after checking that `user` may impersonate every attribute of it; `None`
/// without such headers. 403 as upstream words it; 500 as upstream for headers that make no sense.
pub fn impersonate(
    authorizer: &Authorizer,
    user: &UserInfo,
    headers: &HeaderMap,
) -> Result<Option<UserInfo>, Status> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(None);
    };
    let check = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let attributes = Attributes {
            subresource,
            namespace,
            name,
            ..Attributes::resource(user, "impersonate", group, resource)
        };
        let decision = authorizer.authorize(&attributes);
        if decision.is_allowed() {
            Ok(())
        } else {
            Err(forbidden(&attributes, decision.reason()))
        }
    };
    let account = split_user_name(&wanted.name);
    match account {
        Some((namespace, name)) => check("", "serviceaccounts", "", namespace, name)?,
        None => check("", "users", "", "", &wanted.name)?,
    }
    for group in &wanted.groups {
        check("", "groups", "", "", group)?;
    }
    for (key, values) in &wanted.extra {
        for value in values {
            check(AUTHENTICATION, "userextras", key, "", value)?;
        }
    }
    if !wanted.uid.is_empty() {
        check(AUTHENTICATION, "uids", "", "", &wanted.uid)?;
    }
    let mut wanted = wanted;
    if wanted.groups.is_empty()
        && let Some((namespace, name)) = account_of(&wanted)
    {
        wanted.groups = service_account::account(&namespace, &name, "").groups;
    }
    if wanted.name == ANONYMOUS {
        if !wanted.is_in(UNAUTHENTICATED) {
            wanted.groups.push(UNAUTHENTICATED.to_owned());
        }
        return Ok(Some(wanted));
    }
    Ok(Some(complete(wanted)))
}

fn account_of(user: &UserInfo) -> Option<(String, String)> {
    split_user_name(&user.name).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}

/// The attributes that the headers ask for.
fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
    let mut wanted = UserInfo::default();
    let mut asked = false;
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("impersonate-") {
            continue;
        }
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Status::internal(&format!("{name} is not UTF-8")))?
            .to_owned();
        asked = true;
        match name {
            USER => wanted.name = value,
            UID => wanted.uid = value,
            GROUP => wanted.groups.push(value),
            _ => match name.strip_prefix(EXTRA) {
                Some(key) => wanted.extra.entry(unescape(key)).or_default().push(value),
                // An unknown header of this family may be one that a newer client relies on; to ignore it could
                // give more rights than were asked for.
                None => return Err(Status::internal(&format!("unknown impersonation header {name}"))),
            },
        }
    }
    if asked && wanted.name.is_empty() {
        return Err(Status::internal(
            "requested impersonation without impersonating a user",
        ));
    }
    Ok(asked.then_some(wanted))
}

/// Percent-decodes the key of an extra; a key that is not encoded properly is taken as it stands, as upstream does.
fn unescape(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return key.to_owned();
            };
            // Two hexadecimal digits are a byte.
            out.push((high << 4 | low) as u8);
            rest = &after[2..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| key.to_owned())
}

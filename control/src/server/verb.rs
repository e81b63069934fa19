//! What a request is, as authorization sees it. Pure.

use http::Method;

use super::path::ResourcePath;
use super::query::Query;

/// The verb (`RequestInfoFactory`).
pub fn of(method: &Method, path: Option<&ResourcePath>, query: &Query) -> &'static str {
    let Some(path) = path else {
        return match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "POST" => "post",
            "PUT" => "put",
            "PATCH" => "patch",
            "DELETE" => "delete",
            "OPTIONS" => "options",
            _ => "",
        };
    };
    let collection = path.name.is_empty();
    match method.as_str() {
        "GET" | "HEAD" if path.watch => "watch",
        "GET" | "HEAD" if collection && query.flag("watch") => "watch",
        "GET" | "HEAD" if collection => "list",
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if collection => "deletecollection",
        "DELETE" => "delete",
        _ => "",
    }
}

/// Whether it may take longer than requests may.
pub fn is_long_running(verb: &str, path: Option<&ResourcePath>) -> bool {
    let Some(path) = path else { return false };
    verb == "watch"
        || matches!(
            path.subresource.as_str(),
            "exec" | "attach" | "portforward" | "proxy" | "log"
        )
}

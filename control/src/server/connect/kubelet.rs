//! log, exec, attach and port-forward: to the kubelet of the pod's node.

use std::fmt::Write;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use keelson_api::status::Status;

use super::target::{self, Target};
use super::transport::{Client, Trust, forwarded, pass, send, wants_upgrade};
use super::{container, proxy};
use crate::object::GroupResource;
use crate::server::Api;
use crate::server::body::{self, Body};
use crate::server::call::Call;
use crate::server::query::Query;

/// Most bytes of a kubelet's error text.
const MOST_ERROR: usize = 8 << 10;
/// Parameters of a log request that the kubelet takes under the same names.
const LOG_FLAGS: [&str; 3] = ["follow", "previous", "timestamps"];
/// As above, with values.
const LOG_VALUES: [&str; 5] = ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"];

/// The kubelet of a node by name.
pub fn locate(api: &Api, node: &str) -> Result<Target, Status> {
    let object = api
        .store
        .get(&GroupResource::new("", "nodes"), node)
        .ok_or_else(|| Status::not_found("", "nodes", node))?;
    target::kubelet(&object.value())
}

/// `pods/NAME/log`.
pub async fn log(call: &Call) -> Result<Response<Body>, Status> {
    let pod = call.stored()?.value();
    let container = container::choose(&pod, call.query.get("container"))?;
    check_log(&call.query)?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        // Nothing has run yet, so nothing has been logged.
        return Ok(body::text(StatusCode::OK, ""));
    }
    let mut query = Vec::new();
    for flag in LOG_FLAGS {
        if call.query.flag(flag) {
            query.push((flag, "true".to_owned()));
        }
    }
    for name in LOG_VALUES {
        if call.query.has(name) {
            query.push((name, call.query.get(name).to_owned()));
        }
    }
    let path = format!(
        "/containerLogs/{}/{}/{container}",
        call.namespace(),
        call.path.name
    );
    let request = request(&path, &query, &Method::GET, HeaderMap::new())?;
    let target = locate(&call.api, node)?;
    // Whose certificate has expired may have logs that tell why.
    let trust = if call.query.flag("insecureSkipTLSVerifyBackend") {
        Trust::Unverified
    } else {
        Trust::Cluster
    };
    let response = send(&call.api, &target, trust, request).await?;
    if !response.status().is_success() {
        return Err(refused(call, response).await);
    }
    let mut response = pass(&call.api, None, response);
    response
        .headers_mut()
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// Errors of the parameters (`validation.ValidatePodLogOptions`).
fn check_log(query: &Query) -> Result<(), Status> {
    let invalid = |field: &str, value: i64, least: i64| {
        let error = keelson_api::status::FieldError::invalid(
            field,
            value,
            &format!("must be greater than or equal to {least}"),
        );
        Status::invalid("", "PodLogOptions", "", &[error])
    };
    for (field, least) in [("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)] {
        if let Some(value) = query.number(field)?.filter(|value| *value < least) {
            return Err(invalid(field, value, least));
        }
    }
    if query.has("sinceSeconds") && query.has("sinceTime") {
        let error = keelson_api::status::FieldError::forbidden(
            "",
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        );
        return Err(Status::invalid("", "PodLogOptions", "", &[error]));
    }
    Ok(())
}

/// `pods/NAME/exec`, `attach` and `portforward`.
pub async fn stream(call: &Call, mut parts: http::request::Parts) -> Result<Response<Body>, Status> {
    let pod = call.stored()?.value();
    let subresource = call.path.subresource.as_str();
    let (namespace, name) = (call.namespace(), call.path.name.as_str());
    let (path, query) = if subresource == "portforward" {
        let ports = call.query.all("ports").chain(call.query.all("port"));
        let query = ports.map(|port| ("port", port.to_owned())).collect();
        (format!("/portForward/{namespace}/{name}"), query)
    } else {
        let container = container::choose(&pod, call.query.get("container"))?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if subresource == "exec" && matches!(phase, "Succeeded" | "Failed") {
            return Err(Status::bad_request(format!(
                "cannot exec into a container in a completed pod; current phase is {phase}"
            )));
        }
        (
            format!("/{subresource}/{namespace}/{name}/{container}"),
            stream_query(&call.query),
        )
    };
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Status::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    if !wants_upgrade(&call.headers) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let target = locate(&call.api, node)?;
    let headers = forwarded(&call.headers, &proxy::authority(&target), true);
    let request = request(&path, &query, &parts.method, headers)?;
    let client = Client::of(&mut parts.extensions);
    let response = send(&call.api, &target, Trust::Cluster, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(call, response).await);
    }
    Ok(pass(&call.api, client, response))
}

/// The parameters of exec and attach under the kubelet's names (`pkg/registry/core/pod.streamParams`).
fn stream_query(query: &Query) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    for (ours, kubelets) in [
        ("stdin", "input"),
        ("stdout", "output"),
        ("stderr", "error"),
        ("tty", "tty"),
    ] {
        if query.flag(ours) {
            out.push((kubelets, "1".to_owned()));
        }
    }
    out.extend(
        query
            .all("command")
            .map(|argument| ("command", argument.to_owned())),
    );
    out
}

fn request(
    path: &str,
    query: &[(&str, String)],
    method: &Method,
    headers: HeaderMap,
) -> Result<Request<Body>, Status> {
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    let uri = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    };
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(body::full(bytes::Bytes::new()))
        .map_err(|error| Status::bad_request(error.to_string()))?;
    *request.headers_mut() = headers;
    if !request.headers().contains_key(http::header::HOST) {
        request
            .headers_mut()
            .insert(http::header::HOST, HeaderValue::from_static("kubelet"));
    }
    Ok(request)
}

/// Percent-encodes a query value.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A kubelet's refusal in the API's terms (`rest.GenericHttpResponseChecker`).
async fn refused(call: &Call, response: Response<Incoming>) -> Status {
    let code = response.status();
    let text = match Limited::new(response.into_body(), MOST_ERROR).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim_end().to_owned(),
        Err(_) => String::new(),
    };
    // Our own kubelet answers with a Status.
    if let Ok(status) = serde_json::from_str::<Status>(&text) {
        return status;
    }
    match code {
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal(&text),
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        code => {
            let message = if text.is_empty() {
                format!(
                    "the server responded with the status code {} but did not return more information",
                    code.as_u16()
                )
            } else {
                text
            };
            let reason = match code.as_u16() {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "NotFound",
                _ => "Unknown",
            };
            let details =
                serde_json::from_value(serde_json::json!({"name": call.path.name, "kind": "pods"})).ok();
            Status::failure(code.as_u16().max(400), reason, message, details)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_get_the_kubelets_names() {
        let query = Query::parse(
            "container=c&stdin=true&stdout=1&stderr=false&tty=true&command=sh&command=-c&command=a+b%26",
        );
        let expected = [
            ("input", "1"),
            ("output", "1"),
            ("tty", "1"),
            ("command", "sh"),
            ("command", "-c"),
            ("command", "a b&"),
        ];
        assert_eq!(
            stream_query(&query),
            expected.map(|(name, value)| (name, value.to_owned()))
        );
        let request = request(
            "/exec/a/b/c",
            &stream_query(&query),
            &Method::GET,
            HeaderMap::new(),
        )
        .unwrap();
        assert_eq!(
            request.uri().to_string(),
            "/exec/a/b/c?input=1&output=1&tty=1&command=sh&command=-c&command=a%20b%26"
        );
    }

    #[test]
    fn log_parameters_are_checked() {
        assert!(check_log(&Query::parse("tailLines=0&sinceSeconds=1")).is_ok());
        assert_eq!(check_log(&Query::parse("tailLines=-1")).unwrap_err().code, 422);
        assert_eq!(
            check_log(&Query::parse("sinceSeconds=1&sinceTime=x"))
                .unwrap_err()
                .code,
            422
        );
    }
}

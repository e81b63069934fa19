//! `pods/NAME/log`.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use keelson_api::status::Status;

use super::container;
use super::kubelet::{locate, refused, request};
use super::transport::{Trust, send};
use super::upgraded::pass;
use crate::server::body::{self, Body};
use crate::server::call::Call;
use crate::server::query::Query;

/// Parameters of a log request that the kubelet takes under the same names.
const LOG_FLAGS: [&str; 3] = ["follow", "previous", "timestamps"];
/// As above, with values.
const LOG_VALUES: [&str; 5] = ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"];

/// Answers with what the kubelet of the pod's node has.
pub async fn serve(call: &Call) -> Result<Response<Body>, Status> {
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

#[cfg(test)]
mod tests {
    use super::*;

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

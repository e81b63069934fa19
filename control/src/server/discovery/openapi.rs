//! `/openapi/v3` and `/openapi/v2`.

use http::{HeaderMap, Response};
use keelson_api::status::Status;

use crate::server::Api;
use crate::server::body::Body;

/// Answers below `/openapi`.
pub fn serve(api: &Api, segments: &[&str], headers: &HeaderMap) -> Result<Option<Response<Body>>, Status> {
    let _ = (api, segments, headers);
    Err(Status::no_such_resource())
}

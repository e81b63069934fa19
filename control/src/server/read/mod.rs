//! Reading: get, list and watch. Objects are handed out as stored bytes; only Tables and other versions decode.

mod bookmark;
mod forms;
pub mod fresh;
pub mod items;
pub mod list;
mod pieces;
pub mod token;
pub mod watch;

use http::{Response, StatusCode};
use keelson_api::status::Status;

use super::body::Body;
use super::call::Call;
use super::respond;

/// GET of one object.
pub fn get(call: &Call) -> Result<Response<Body>, Status> {
    let object = call.stored()?;
    Ok(respond::object(call, StatusCode::OK, &object, &[]))
}

//! Large answers that are not the stored bytes (YAML, Tables, bare metadata): made while they are taken, a chunk at a
//! time, so that little is held of what nobody reads; and in threads of their own, few at a time, so that the event loop
//! answers the others meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use keelson_api::status::Status;

use super::apart::Room;
use super::body::{self, Body, BoxError, FRAME};
use super::call::Call;
use super::outgo::takes;
use crate::object::Object;

/// Answers whose objects take no more than this are made at once.
const SMALL: usize = 64 << 10;
/// A chunk is at most made of about so many bytes of objects, of which little may remain.
const CONSUMED: usize = 512 << 10;

/// Appends what an object becomes; the number is its place among the others.
pub type Write = Box<dyn FnMut(&mut Vec<u8>, usize, &Object) -> Result<(), Status> + Send>;

/// An answer that is to be made.
pub struct Later {
    /// What stands before the objects.
    pub head: Vec<u8>,
    /// The objects.
    pub objects: Vec<Arc<Object>>,
    /// What becomes of each.
    pub write: Write,
    /// How many bytes an object takes while it is written, by its stored bytes.
    pub size: fn(&[u8]) -> usize,
    /// What stands after them.
    pub tail: Vec<u8>,
}

impl Later {
    /// The answer; made at once if it is small.
    pub fn answer(
        self,
        call: &Call,
        code: StatusCode,
        media: &'static str,
    ) -> Result<Response<Body>, Status> {
        let sizes = self.objects.iter().map(|object| (self.size)(&object.bytes));
        let (sum, largest) = sizes.fold((0, 0), |(sum, largest), size| (sum + size, size.max(largest)));
        if sum <= SMALL {
            let whole = self.whole()?;
            // Of a body a chunk counts anyway.
            let held = whole.len().saturating_sub(FRAME);
            let mut response = body::with_type(code, media, body::full(whole));
            takes(&mut response, held);
            return Ok(response);
        }
        // Besides a chunk it holds the largest object, in two forms.
        let held = 2 * largest;
        let mut response = body::with_type(code, media, self.body(call));
        takes(&mut response, held);
        Ok(body::compress(
            response,
            usize::MAX,
            call.accept.gzip && !call.local,
        ))
    }

    fn whole(mut self) -> Result<Vec<u8>, Status> {
        let mut out = self.head;
        for (index, object) in self.objects.iter().enumerate() {
            (self.write)(&mut out, index, object)?;
        }
        out.append(&mut self.tail);
        Ok(out)
    }

    /// The body that makes it.
    fn body(self, call: &Call) -> Body {
        let (api, user, exempt) = (Arc::clone(&call.api), call.user.tenant(), call.is_exempt());
        let work = Work {
            index: 0,
            ended: false,
            later: self,
        };
        let frames = futures::stream::unfold((Some(work), Bytes::new()), move |(work, mut ready)| {
            let (api, user) = (Arc::clone(&api), user.clone());
            async move {
                if !ready.is_empty() {
                    let frame = ready.split_to(ready.len().min(FRAME));
                    return Some((Ok(frame), (work, ready)));
                }
                let mut work = work?;
                let places = if exempt { &api.making_exempt } else { &api.making };
                let making = async move {
                    let chunk = work.chunk();
                    (work, chunk)
                };
                let failed =
                    |status: Status| Some((Err(BoxError::from(status.message)), (None, Bytes::new())));
                let (work, chunk) = match places.run(&user, making.boxed(), Room::Usual).await {
                    Ok(made) => made,
                    Err(status) => return failed(status),
                };
                // A body that ends early is seen by the client.
                let mut chunk = match chunk {
                    Ok(chunk) => Bytes::from(chunk),
                    Err(status) => return failed(status),
                };
                if chunk.is_empty() {
                    return None;
                }
                let frame = chunk.split_to(chunk.len().min(FRAME));
                Some((Ok(frame), ((!work.ended).then_some(work), chunk)))
            }
        });
        StreamBody::new(frames.map(|frame| frame.map(Frame::data))).boxed_unsync()
    }
}

/// How much of it is made.
struct Work {
    later: Later,
    index: usize,
    ended: bool,
}

impl Work {
    /// The next chunk; of many objects of which little remains it may be a short one.
    fn chunk(&mut self) -> Result<Vec<u8>, Status> {
        let later = &mut self.later;
        let mut out = std::mem::take(&mut later.head);
        let mut consumed = 0;
        while out.len() < FRAME && (consumed < CONSUMED || out.is_empty()) {
            let Some(object) = later.objects.get(self.index) else {
                out.append(&mut later.tail);
                self.ended = true;
                break;
            };
            (later.write)(&mut out, self.index, object)?;
            consumed += object.bytes.len();
            self.index += 1;
        }
        Ok(out)
    }
}

//! Bodies on their way in. Each is bounded, and so is what one user, and what all together, have under way: thousands of
//! streams that each hold almost a whole body would otherwise fill the memory, and need no more than a right to create.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use keelson_api::status::Status;

use super::body::{Body, MOST_BYTES};

/// Most bytes that one user has under way: ten of the largest bodies.
const MOST_OF_ONE: usize = 32 << 20;
/// Most bytes that all users have under way.
const MOST_OF_ALL: usize = 256 << 20;

/// A body that is too large is read on to its end up to here, so that the client is done with sending when the refusal comes;
/// who sends more is cut off.
const MOST_READ: usize = 4 * MOST_BYTES;

/// The bodies under way.
#[derive(Debug, Default)]
pub struct Intake(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<String, usize>,
}

/// A body under way; given back on drop. It may outlive its request, with the work that goes on.
#[derive(Debug)]
pub struct Share {
    held: Arc<Mutex<Held>>,
    user: String,
    bytes: usize,
}

impl Intake {
    /// Reads a body. Users without a name are not bounded: nodes, administrators, this process.
    pub async fn read(&self, user: &str, mut body: Body) -> Result<(Bytes, Share), Status> {
        let too_large = || Status::too_large(&format!("limit is {MOST_BYTES}"));
        if body.size_hint().lower() > MOST_READ as u64 {
            return Err(too_large());
        }
        let mut share = Share {
            held: Arc::clone(&self.0),
            user: user.to_owned(),
            bytes: 0,
        };
        let mut read = 0;
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Status::bad_request(format!("unable to read the body: {error}")))?;
            // Trailers say nothing to us.
            let Ok(data) = frame.into_data() else { continue };
            read += data.len();
            if read > MOST_BYTES {
                (first, all) = (Bytes::new(), BytesMut::new());
                share.release();
                if read > MOST_READ {
                    return Err(too_large());
                }
                continue;
            }
            share.grow(data.len())?;
            if first.is_empty() && all.is_empty() {
                first = data;
                continue;
            }
            if !first.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
        if read > MOST_BYTES {
            return Err(too_large());
        }
        let bytes = if first.is_empty() { all.freeze() } else { first };
        Ok((bytes, share))
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        self.bytes += bytes;
        if self.user.is_empty() {
            return Ok(());
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all += bytes;
        let own = held.of.entry(self.user.clone()).or_default();
        *own += bytes;
        if *own > MOST_OF_ONE || held.all > MOST_OF_ALL {
            return Err(Status::too_many_requests(
                "Too many large requests, please try again later.",
                1,
            ));
        }
        Ok(())
    }

    fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if self.user.is_empty() || bytes == 0 {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= bytes;
        if let Some(own) = held.of.get_mut(&self.user) {
            *own -= bytes;
            if *own == 0 {
                held.of.remove(&self.user);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::{full, stream};
    use super::*;

    #[tokio::test]
    async fn bodies_are_bounded_one_by_one_and_together() {
        let intake = Intake::default();
        let code =
            |outcome: Result<(Bytes, Share), Status>| outcome.map(|_| ()).map_err(|status| status.code);
        assert_eq!(
            code(intake.read("a", full(vec![0; MOST_BYTES + 1])).await),
            Err(413)
        );
        let endless = || stream(futures::stream::repeat(Bytes::from(vec![0; 1 << 16])));
        assert_eq!(code(intake.read("a", endless()).await), Err(413));
        let pieces = stream(futures::stream::iter(["ab", "", "cd", "e"].map(Bytes::from)));
        assert_eq!(intake.read("a", pieces).await.unwrap().0, "abcde");

        let large = || full(vec![0; MOST_BYTES]);
        let mut shares = Vec::new();
        for _ in 0..MOST_OF_ONE / MOST_BYTES {
            shares.push(intake.read("a", large()).await.unwrap().1);
        }
        assert_eq!(code(intake.read("a", large()).await), Err(429));
        assert!(intake.read("b", large()).await.is_ok(), "others are not held up");
        assert!(intake.read("", large()).await.is_ok());
        for user in 0..20 {
            for _ in 0..5 {
                if let Ok((_, share)) = intake.read(&format!("u{user}"), large()).await {
                    shares.push(share);
                }
            }
        }
        assert!(shares.len() * MOST_BYTES <= MOST_OF_ALL);
        assert_eq!(code(intake.read("c", large()).await), Err(429));
        assert!(intake.read("", large()).await.is_ok());
        drop(shares);
        assert!(intake.read("a", large()).await.is_ok());
        let held = intake.0.lock().unwrap();
        assert!(held.all == 0 && held.of.is_empty(), "{held:?}");
    }
}

//! Indexes, manifests and configurations of images. An input is a document with all three.

use crate::place::{Place, documents};
use crate::{driver, json, tape};

#[test]
fn fuzz() {
    let place = Place::new();
    let layer = tape::build(&tape::parse(b"dir bin\nfile bin/sh 10\n"));
    let seeds = vec![documents().to_string().into_bytes()];
    driver::run("image", seeds, json::parse, json::text, |data| {
        let Ok(documents) = serde_json::from_slice::<serde_json::Value>(data) else {
            return false;
        };
        place.import(&[&layer], &documents)
    });
}

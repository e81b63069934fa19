//! Every parser of foreign bytes, callable without a store: what fuzz targets and attack tests start from. None of these
//! may panic, take more memory than [`super::Limits`] and the module's own limits allow, or touch anything but the
//! directory it is given.

use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::Path;

use super::limits::Budget;
use super::manifest::{Document, parse_config};
use super::registry::{Challenge, DockerConfig};
use super::{Error, Reference, layer, tarball};

/// Parses a manifest or an index that was referred to by a media type (may be empty). Returns how many blobs, config
/// included, or manifests it names.
pub fn manifest(bytes: &[u8], media_type: &str) -> Result<usize, Error> {
    Ok(match Document::parse(bytes, media_type)? {
        Document::Manifest { layers, .. } => layers.len() + 1,
        Document::Index(entries) => entries.len(),
    })
}

/// Parses an image configuration that is to have so many layers.
pub fn config(bytes: &[u8], layers: usize) -> Result<(), Error> {
    parse_config(bytes, layers).map(drop)
}

/// Parses an image reference.
pub fn reference(text: &str) -> Result<(), Error> {
    text.parse::<Reference>().map(drop)
}

/// Parses a `WWW-Authenticate` header; whether it is understood.
pub fn challenge(header: &str) -> bool {
    Challenge::parse(header).is_some()
}

/// Parses a docker configuration, and looks an image up in it.
pub fn docker_config(bytes: &[u8], image: &str) -> Result<bool, Error> {
    Ok(DockerConfig::parse(bytes)?.credentials(image).is_some())
}

/// Reads a tar stream and all contents, making nothing. Returns the number of members.
pub fn tar(stream: impl Read) -> Result<usize, Error> {
    let mut members = 0;
    tarball::for_each(stream, |_, contents| {
        members += 1;
        std::io::copy(contents, &mut std::io::sink())
            .map(drop)
            .map_err(|source| Error::stream("reading a member", source))
    })?;
    Ok(members)
}

/// Unpacks a layer (plain, gzip or zstd) into an empty directory, on top of unpacked layers, lowest first. It may write
/// `most` bytes. Returns its diffID.
pub fn unpack_layer(
    stream: impl Read,
    into: BorrowedFd<'_>,
    lowers: &[&Path],
    most: u64,
) -> Result<super::Digest, Error> {
    layer::unpack(stream, into, lowers, &Budget::new(most))
}

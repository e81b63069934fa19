//! OCI image layout (image-layout.md).

use super::{Blob, Files, Resolved, Wanted};
use crate::image::manifest::{Descriptor, Document, choose_platform};
use crate::image::{Error, Reference, limits};

/// Follows index.json down to one manifest and collects its blobs.
pub(super) fn read(index: &[u8], files: &mut Files, wanted: &Wanted<'_>) -> Result<Resolved, Error> {
    let Document::Index(entries) = Document::parse(index, "")? else {
        return Err(Error::Invalid("index.json is not an index".to_owned()));
    };
    let entry = choose(&entries, wanted)?;
    // An image with several names has an entry for each.
    let same = entries.iter().filter(|other| other.digest == entry.digest);
    let names = same
        .filter_map(Descriptor::full_name)
        .map(str::to_owned)
        .collect();

    let mut descriptor = entry.clone();
    for _ in 0..=limits::INDEX_DEPTH {
        let bytes = document(files, &descriptor)?;
        match Document::parse(&bytes, &descriptor.media_type)? {
            Document::Index(entries) => descriptor = choose_platform(&entries, wanted.platform)?.clone(),
            Document::Manifest { config, layers } => {
                return Ok(Resolved {
                    digest: entry.digest,
                    manifest: bytes,
                    config: document(files, &config)?,
                    layers: layers
                        .iter()
                        .map(|layer| blob(files, layer))
                        .collect::<Result<_, _>>()?,
                    names,
                    origin: None,
                });
            }
        }
    }
    Err(Error::Invalid("its indexes are nested too deep".to_owned()))
}

/// The entry with the wanted name, or with the wanted tag if one image only has it; else the only image, or the only one
/// for this platform.
fn choose<'a>(entries: &'a [Descriptor], wanted: &Wanted<'_>) -> Result<&'a Descriptor, Error> {
    let is_wanted = |name: &str| {
        wanted
            .name
            .is_some_and(|wanted| name.parse::<Reference>().is_ok_and(|name| name == *wanted))
    };
    if let Some(entry) = entries.iter().find(|entry| entry.names().any(is_wanted)) {
        return Ok(entry);
    }
    let tag = wanted.name.and_then(|name| name.tag.as_deref());
    let tagged: Vec<&Descriptor> = entries
        .iter()
        .filter(|entry| tag.is_some() && entry.names().any(|name| Some(name) == tag))
        .collect();
    if let Some(entry) = only(&tagged) {
        return Ok(entry);
    }
    let all: Vec<&Descriptor> = entries.iter().collect();
    if let Some(entry) = only(&all) {
        return Ok(entry);
    }
    let mut names: Vec<&str> = entries.iter().flat_map(Descriptor::names).collect();
    names.dedup();
    match entries {
        [] => Err(Error::Invalid("it holds no image".to_owned())),
        // Several platforms of one image.
        entries if names.len() <= 1 && entries.iter().any(|entry| entry.platform.is_some()) => {
            choose_platform(entries, wanted.platform)
        }
        _ => Err(Error::Invalid(format!(
            "it holds several images; choose one of {names:.500?}"
        ))),
    }
}

/// The one image that entries name, once or several times.
fn only<'a>(entries: &[&'a Descriptor]) -> Option<&'a Descriptor> {
    let first = entries.first()?;
    entries
        .iter()
        .all(|entry| entry.digest == first.digest)
        .then_some(first)
}

fn path(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest.hex())
}

fn document(files: &Files, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let bytes = files
        .document(&path(descriptor))?
        .ok_or_else(|| Error::Invalid(format!("it lacks the blob {}", descriptor.digest)))?;
    verify(descriptor, crate::image::Digest::of(&bytes), bytes.len() as u64)?;
    Ok(bytes)
}

fn blob(files: &Files, descriptor: &Descriptor) -> Result<Blob, Error> {
    let blob = files.blob(&path(descriptor))?;
    verify(descriptor, blob.digest, blob.size)?;
    Ok(blob)
}

fn verify(descriptor: &Descriptor, digest: crate::image::Digest, size: u64) -> Result<(), Error> {
    if digest != descriptor.digest || size != descriptor.size {
        return Err(Error::Invalid(format!(
            "blob {} of {} bytes has in fact {size} bytes and the digest {digest}",
            descriptor.digest, descriptor.size
        )));
    }
    Ok(())
}

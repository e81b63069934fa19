//! Recognizing and undoing compression: none, gzip or zstd, by magic number and never by name or media type.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::{Error, limits};

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// From the first bytes of a stream (RFC 1952 2.3.1, RFC 8878 3.1.1).
    fn detect(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Media type of a layer packed this way (OCI image spec, layer.md).
    pub(super) fn layer_media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// The plain bytes of a stream, and how it was packed. Memory is bounded: 64 KiB for gzip, the window for zstd.
pub(super) fn decompress<'a>(mut reader: impl Read + 'a) -> Result<(Compression, Box<dyn Read + 'a>), Error> {
    let failed = |source: io::Error| Error::stream("reading the start of a stream", source);
    let mut magic = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut magic).map_err(failed)?;
    let compression = Compression::detect(&magic);
    let whole = Cursor::new(magic).chain(reader);
    let plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(whole).map_err(failed)?;
            decoder.window_log_max(limits::ZSTD_WINDOW_LOG).map_err(failed)?;
            Box::new(decoder)
        }
    };
    Ok((compression, plain))
}

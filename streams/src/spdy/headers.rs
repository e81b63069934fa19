//! Header blocks: pairs with their lengths (SPDY/3 draft, 2.6.10), compressed by one zlib stream per direction that
//! lasts as long as the connection.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::dictionary::dictionary;
use super::frame::Malformed;

/// Largest header block once unpacked.
const BLOCK_LIMIT: usize = 32 << 10;

/// Headers of a stream, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// Of these pairs.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn parse(mut block: &[u8]) -> Result<Self, Malformed> {
        let count = number(&mut block)?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let name = text(&mut block)?;
            let value = text(&mut block)?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }
}

fn number(block: &mut &[u8]) -> Result<usize, Malformed> {
    let (bytes, rest) = block
        .split_first_chunk()
        .ok_or(Malformed("header block too short"))?;
    *block = rest;
    Ok(u32::from_be_bytes(*bytes) as usize)
}

fn text(block: &mut &[u8]) -> Result<String, Malformed> {
    let length = number(block)?;
    let (bytes, rest) = block
        .split_at_checked(length)
        .ok_or(Malformed("header block too short"))?;
    *block = rest;
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("header is not text"))
}

/// Unpacks the other end's header blocks.
pub(super) struct Decoder(Decompress);

impl Decoder {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Unpacks and parses one block. After an error the stream of blocks is lost, and with it the connection.
    pub(super) fn decode(&mut self, packed: &[u8]) -> Result<Headers, Malformed> {
        const DAMAGED: Malformed = Malformed("damaged header block");
        let mut block = Vec::with_capacity(1024);
        let mut rest = packed;
        while !rest.is_empty() {
            if block.len() == block.capacity() {
                if block.len() >= BLOCK_LIMIT {
                    return Err(Malformed("header block too large"));
                }
                block.reserve(block.len());
            }
            let (before, length) = (self.0.total_in(), block.len());
            match self.0.decompress_vec(rest, &mut block, FlushDecompress::Sync) {
                Ok(_) => {}
                // The first block asks for the dictionary.
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(|_| DAMAGED)?;
                }
                Err(_) => return Err(DAMAGED),
            }
            let used = (self.0.total_in() - before) as usize;
            rest = rest.get(used..).ok_or(DAMAGED)?;
            if used == 0 && block.len() == length && block.len() < block.capacity() && before > 2 {
                return Err(DAMAGED);
            }
        }
        // Output that did not fit is still inside.
        while block.len() == block.capacity() {
            if block.len() >= BLOCK_LIMIT {
                return Err(Malformed("header block too large"));
            }
            block.reserve(block.len());
            self.0
                .decompress_vec(&[], &mut block, FlushDecompress::Sync)
                .map_err(|_| DAMAGED)?;
        }
        Headers::parse(&block)
    }
}

/// Packs our header blocks.
pub(super) struct Encoder(Compress);

impl Encoder {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        // Fails only after the first use.
        let _ = compress.set_dictionary(&dictionary());
        Self(compress)
    }

    /// A block with these pairs.
    pub(super) fn encode(&mut self, headers: &Headers) -> Vec<u8> {
        let mut block = (headers.0.len() as u32).to_be_bytes().to_vec();
        for part in headers.0.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&(part.len() as u32).to_be_bytes());
            block.extend_from_slice(part.as_bytes());
        }
        // Worst case of deflate, plus zlib's header and the flush.
        let mut packed = Vec::with_capacity(block.len() + block.len() / 1000 + 64);
        let _ = self.0.compress_vec(&block, &mut packed, FlushCompress::Sync);
        packed
    }
}

//! A client that says anything, for tests.

use bytes::{BufMut, BytesMut};
use flate2::{Decompress, FlushDecompress};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::dictionary::dictionary;
use super::frame::{self, HEAD};
use super::headers::{Encoder, Headers};

/// A client as moby/spdystream is one.
pub(super) struct Client<T> {
    pub(super) io: T,
    packer: Encoder,
    unpacker: Decompress,
}

/// A frame that the client got.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    Reply(u32),
    Data(u32, Vec<u8>, bool),
    Other(u16, Vec<u8>),
    End,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            packer: Encoder::new(),
            unpacker: Decompress::new(true),
        }
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub(super) async fn control(&mut self, kind: u16, flags: u8, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u16(0x8003);
        frame.put_u16(kind);
        frame.put_u8(flags);
        frame.put_uint(body.len() as u64, 3);
        frame.put_slice(body);
        self.raw(&frame).await;
    }

    pub(super) async fn open(&mut self, id: u32, fin: bool, headers: &[(&str, &str)]) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut body = [id.to_be_bytes(), [0; 4]].concat();
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&self.packer.encode(&Headers(headers)));
        self.control(1, u8::from(fin), &body).await;
    }

    pub(super) async fn data(&mut self, id: u32, data: &[u8], fin: bool) {
        self.raw(&frame::data_head(id, data.len(), fin)).await;
        self.raw(data).await;
    }

    pub(super) async fn get(&mut self) -> Got {
        let mut head = [0; HEAD];
        if self.io.read_exact(&mut head).await.is_err() {
            return Got::End;
        }
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await.unwrap();
        let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if head[0] & 0x80 == 0 {
            return Got::Data(first, body, head[4] & 1 == 1);
        }
        match first as u16 {
            2 => {
                let mut block = Vec::with_capacity(1024);
                let packed = &body[4..];
                if let Err(error) = self
                    .unpacker
                    .decompress_vec(packed, &mut block, FlushDecompress::Sync)
                {
                    assert!(error.needs_dictionary().is_some());
                    self.unpacker.set_dictionary(&dictionary()).unwrap();
                    let used = self.unpacker.total_in() as usize;
                    self.unpacker
                        .decompress_vec(&packed[used..], &mut block, FlushDecompress::Sync)
                        .unwrap();
                }
                assert_eq!(block, [0; 4]);
                Got::Reply(u32::from_be_bytes([body[0], body[1], body[2], body[3]]))
            }
            kind => Got::Other(kind, body),
        }
    }
}

//! D-Bus messages (D-Bus specification, "Marshaling" and "Message format"): what we send, and of what we get the parts
//! that are needed. Little-endian out, either way in. What the other side says is not believed before it is checked.

use super::super::Error;

/// A property's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    U32s(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::F64(_) => "d",
            Self::Text(_) => "s",
            Self::Texts(_) => "as",
            Self::U32s(_) => "au",
            Self::Bytes(_) => "ay",
        }
    }
}

/// A body being written.
#[derive(Debug, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    pub(super) fn u32(&mut self, n: u32) {
        self.align(4);
        self.0.extend(n.to_le_bytes());
    }

    fn u64(&mut self, n: u64) {
        self.align(8);
        self.0.extend(n.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// An array of items with this alignment.
    pub(super) fn array(&mut self, alignment: usize, items: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        items(self);
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(on) => self.u32(u32::from(*on)),
            Value::I32(n) => self.u32(*n as u32),
            Value::U32(n) => self.u32(*n),
            Value::I64(n) => self.u64(*n as u64),
            Value::U64(n) => self.u64(*n),
            Value::F64(n) => self.u64(n.to_bits()),
            Value::Text(text) => self.text(text),
            Value::Texts(texts) => self.array(4, |w| texts.iter().for_each(|t| w.text(t))),
            Value::U32s(numbers) => self.array(4, |w| numbers.iter().for_each(|n| w.u32(*n))),
            Value::Bytes(bytes) => self.array(1, |w| w.0.extend(bytes)),
        }
    }

    /// `a(sv)`
    pub(super) fn properties(&mut self, properties: &[(String, Value)]) {
        self.array(8, |w| {
            for (name, value) in properties {
                w.align(8);
                w.text(name);
                w.variant(value);
            }
        });
    }
}

/// A method call to one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    pub signature: &'a str,
}

impl Call<'_> {
    /// The whole message.
    pub(super) fn message(&self, serial: u32, body: &[u8]) -> Vec<u8> {
        let mut w = Writer(vec![b'l', 1, 0, 1]);
        w.u32(body.len() as u32);
        w.u32(serial);
        w.array(8, |w| {
            let fields = [
                (1, "o", self.path),
                (2, "s", self.interface),
                (3, "s", self.member),
                (6, "s", self.destination),
            ];
            for (code, signature, text) in fields {
                w.align(8);
                w.0.push(code);
                w.signature(signature);
                w.text(text);
            }
            if !self.signature.is_empty() {
                w.align(8);
                w.0.push(8);
                w.signature("g");
                w.signature(self.signature);
            }
        });
        w.align(8);
        w.0.extend(body);
        w.0
    }
}

/// Longest message taken (the protocol allows 128 MiB; systemd's answers to us are some hundred bytes).
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes by which a message's length is known.
pub(super) const FIXED: usize = 16;

/// A message that came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Incoming {
    /// 2 return, 3 error, 4 signal.
    pub kind: u8,
    pub reply_to: u32,
    pub member: String,
    pub error: String,
    pub signature: String,
    big: bool,
    body: Vec<u8>,
}

fn malformed() -> Error {
    Error::Invalid("malformed D-Bus message".to_owned())
}

/// A walk over bytes whose alignment is counted from the beginning.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(n).ok_or_else(malformed)?;
        let part = self.bytes.get(self.at..end).ok_or_else(malformed)?;
        self.at = end;
        Ok(part)
    }

    fn align(&mut self, to: usize) -> Result<(), Error> {
        self.take((to - self.at % to) % to).map(|_| ())
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.align(4)?;
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| malformed())?;
        Ok(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn terminated(&mut self, length: usize) -> Result<String, Error> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| malformed())?;
        if self.take(1)? != [0] || text.contains('\0') {
            return Err(malformed());
        }
        Ok(text.to_owned())
    }

    fn text(&mut self) -> Result<String, Error> {
        let length = self.u32()? as usize;
        self.terminated(length)
    }

    fn signature(&mut self) -> Result<String, Error> {
        let length = usize::from(self.take(1)?[0]);
        self.terminated(length)
    }
}

/// Length of the whole message that begins with these [`FIXED`] bytes.
pub(super) fn length(head: &[u8; FIXED]) -> Result<usize, Error> {
    let big = match head[0] {
        b'l' => false,
        b'B' => true,
        _ => return Err(malformed()),
    };
    let mut reader = Reader {
        bytes: head,
        at: 4,
        big,
    };
    let body = reader.u32()? as usize;
    reader.at = 12;
    let fields = reader.u32()? as usize;
    let header = FIXED.saturating_add(fields).saturating_add(7) & !7;
    let total = header.saturating_add(body);
    if total > MAX_MESSAGE {
        return Err(malformed());
    }
    Ok(total)
}

impl Incoming {
    /// Reads a message of the length that [`length`] found.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let head: &[u8; FIXED] = bytes
            .get(..FIXED)
            .and_then(|head| head.try_into().ok())
            .ok_or_else(malformed)?;
        if length(head)? != bytes.len() {
            return Err(malformed());
        }
        let mut r = Reader {
            bytes,
            at: 4,
            big: head[0] == b'B',
        };
        let mut message = Self {
            kind: head[1],
            big: r.big,
            ..Self::default()
        };
        let body = r.u32()? as usize;
        r.at = 12;
        let end = FIXED + r.u32()? as usize;
        while r.at < end {
            r.align(8)?;
            let code = r.take(1)?[0];
            match (code, r.signature()?.as_str()) {
                (5, "u") => message.reply_to = r.u32()?,
                (3, "s") => message.member = r.text()?,
                (4, "s") => message.error = r.text()?,
                (8, "g") => message.signature = r.signature()?,
                (_, "s" | "o") => r.text().map(|_| ())?,
                (_, "g") => r.signature().map(|_| ())?,
                (_, "u") => r.u32().map(|_| ())?,
                _ => return Err(malformed()),
            }
        }
        if r.at != end {
            return Err(malformed());
        }
        message.body = bytes[bytes.len() - body..].to_vec();
        Ok(message)
    }

    /// The body's arguments as text, as far as they are strings, paths or 32-bit numbers.
    pub(super) fn arguments(&self) -> Result<Vec<String>, Error> {
        let mut r = Reader {
            bytes: &self.body,
            at: 0,
            big: self.big,
        };
        let mut all = Vec::new();
        for kind in self.signature.bytes() {
            match kind {
                b's' | b'o' => all.push(r.text()?),
                b'u' => all.push(r.u32()?.to_string()),
                b'v' if r.signature()? == "s" => all.push(r.text()?),
                _ => break,
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

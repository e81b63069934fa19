//! Walks over JSON bytes without building anything.

use std::borrow::Cow;

use super::EncodeError;

/// A position in JSON bytes.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
}

/// A text where it lies, quotes included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    whole: &'a [u8],
    at: usize,
    escapes: bool,
}

impl<'a> Quoted<'a> {
    /// Its bytes as they lie there.
    pub fn raw(&self) -> &'a [u8] {
        self.whole.get(1..self.whole.len() - 1).unwrap_or_default()
    }

    /// The text that it stands for.
    pub fn text(&self) -> Result<Cow<'a, [u8]>, EncodeError> {
        if !self.escapes {
            return Ok(Cow::Borrowed(self.raw()));
        }
        let text: String = serde_json::from_slice(self.whole).map_err(|_| EncodeError::Json(self.at))?;
        Ok(Cow::Owned(text.into_bytes()))
    }
}

/// Where an object or list stands: whether a member or item has been read.
#[derive(Debug)]
pub(super) struct Members(bool);

impl<'a> Scanner<'a> {
    pub fn new(json: &'a [u8]) -> Self {
        Self { json, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a position.
    pub fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    fn bad<T>(&self) -> Result<T, EncodeError> {
        Err(EncodeError::Json(self.at))
    }

    /// The next byte; 0 at the end.
    pub fn peek(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or_default()
    }

    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), EncodeError> {
        if self.peek() != byte {
            return self.bad();
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but space may follow.
    pub fn end(&mut self) -> Result<(), EncodeError> {
        self.space();
        if self.at < self.json.len() {
            return self.bad();
        }
        Ok(())
    }

    /// Steps into an object.
    pub fn object(&mut self) -> Result<Members, EncodeError> {
        self.expect(b'{')?;
        Ok(Members(false))
    }

    /// The name of the next member, whose value is next; `None` behind the object.
    pub fn member(&mut self, members: &mut Members) -> Result<Option<Quoted<'a>>, EncodeError> {
        if !self.more(members, b'}')? {
            return Ok(None);
        }
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(Some(name))
    }

    /// Steps into a list.
    pub fn array(&mut self) -> Result<Members, EncodeError> {
        self.expect(b'[')?;
        Ok(Members(false))
    }

    /// Whether there is another item, which is next.
    pub fn item(&mut self, items: &mut Members) -> Result<bool, EncodeError> {
        self.more(items, b']')
    }

    fn more(&mut self, members: &mut Members, end: u8) -> Result<bool, EncodeError> {
        self.space();
        if self.peek() == end {
            self.at += 1;
            return Ok(false);
        }
        if members.0 {
            self.expect(b',')?;
            self.space();
        }
        members.0 = true;
        Ok(true)
    }

    /// A text.
    pub fn string(&mut self) -> Result<Quoted<'a>, EncodeError> {
        let at = self.at;
        self.expect(b'"')?;
        let mut escapes = false;
        loop {
            let rest = self.json.get(self.at..).unwrap_or_default();
            let Some(step) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
                return self.bad();
            };
            self.at += step + 1;
            if rest.get(step) == Some(&b'"') {
                let whole = self.json.get(at..self.at).unwrap_or_default();
                return Ok(Quoted { whole, at, escapes });
            }
            escapes = true;
            self.at += 1;
        }
    }

    /// A number, as it is written.
    pub fn number(&mut self) -> Result<&'a str, EncodeError> {
        let start = self.at;
        while matches!(self.peek(), b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
            self.at += 1;
        }
        let text = self.json.get(start..self.at).unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => self.bad(),
        }
    }

    /// Steps over a value, without recursion.
    pub fn skip(&mut self) -> Result<(), EncodeError> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1).ok_or(EncodeError::Json(self.at))?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if open > 0 => self.at += 1,
                b't' | b'n' => self.word(4)?,
                b'f' => self.word(5)?,
                _ => drop(self.number()?),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// `true`, `false` or `null`.
    fn word(&mut self, length: usize) -> Result<(), EncodeError> {
        match self.json.get(self.at..self.at + length) {
            Some(b"true" | b"false" | b"null") => {
                self.at += length;
                Ok(())
            }
            _ => self.bad(),
        }
    }

    /// The bytes of a value.
    pub fn raw(&mut self) -> Result<&'a [u8], EncodeError> {
        let start = self.at;
        self.skip()?;
        Ok(self.json.get(start..self.at).unwrap_or_default())
    }
}

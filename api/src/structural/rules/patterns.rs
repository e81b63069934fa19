//! `pattern`, everywhere in a schema: that each is an expression, and that all of them together are not too much.

use std::collections::HashMap;

use serde_json::Value;

use super::{ENOUGH, parts};
use crate::status::FieldError;
use crate::structural::child;
use crate::structural::pattern::{LARGEST, TOO_LARGE, compile};
use crate::structural::read::text;

/// Most bytes of all compiled expressions of a schema, where the same expression counts once: they stay in memory.
const MOST: usize = 32 << 20;

/// The expressions of a schema that were looked at.
#[derive(Debug, Default)]
pub(super) struct Patterns<'a> {
    /// What is wrong with them.
    known: HashMap<&'a str, Option<String>>,
    bytes: usize,
}

impl<'a> Patterns<'a> {
    /// Complains about the expressions of a schema and of what is below it.
    pub fn check(&mut self, path: &str, schema: &'a Value, errors: &mut Vec<FieldError>) {
        if errors.len() > ENOUGH || self.bytes > MOST {
            return;
        }
        let pattern = text(schema, "pattern");
        if !pattern.is_empty() {
            if let Some(error) = self.error(pattern) {
                let why = format!("must be a valid regular expression, but isn't: {error}");
                errors.push(FieldError::invalid(child(path, "pattern"), pattern, &why));
            }
            if self.bytes > MOST {
                let why = format!(
                    "the regular expressions of a schema must not take more than {} MiB when they are compiled",
                    MOST >> 20
                );
                errors.push(FieldError::forbidden(child(path, "pattern"), &why));
            }
        }
        for (path, part) in parts(path, schema) {
            self.check(&path, part, errors);
        }
    }

    fn error(&mut self, pattern: &'a str) -> Option<&str> {
        let bytes = &mut self.bytes;
        let known = self.known.entry(pattern).or_insert_with(|| {
            let compiled = compile(pattern);
            *bytes += match &compiled {
                Ok(compiled) => compiled.size,
                // It took as long to compile.
                Err(error) if error == TOO_LARGE => LARGEST,
                Err(_) => 0,
            };
            compiled.err()
        });
        known.as_deref()
    }
}

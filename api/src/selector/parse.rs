//! The grammar of label selectors, and the checks of a requirement.

use super::{Operator, Requirement, SelectorError};
use crate::names;
use crate::status::{FieldError, aggregate};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    End,
    Open,
    Close,
    Comma,
    Not,
    Operator(Operator, &'a str),
    /// Also `in` and `notin`: the position decides what they are.
    Word(&'a str),
}

impl<'a> Token<'a> {
    fn literal(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::Operator(_, text) | Self::Word(text) => text,
        }
    }
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let rest = self.rest;
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some('(') => (Token::Open, 1),
            Some(')') => (Token::Close, 1),
            Some(',') => (Token::Comma, 1),
            Some('>') => (Token::Operator(Operator::GreaterThan, ">"), 1),
            Some('<') => (Token::Operator(Operator::LessThan, "<"), 1),
            Some('!') if rest.starts_with("!=") => (Token::Operator(Operator::NotEquals, "!="), 2),
            Some('!') => (Token::Not, 1),
            Some('=') if rest.starts_with("==") => (Token::Operator(Operator::Equals, "=="), 2),
            Some('=') => (Token::Operator(Operator::Equals, "="), 1),
            Some(_) => {
                let end = rest
                    .find(|c: char| is_special(c) || matches!(c, ' ' | '\t' | '\r' | '\n'))
                    .unwrap_or(rest.len());
                (Token::Word(&rest[..end]), end)
            }
        };
        self.rest = &rest[length..];
        token
    }

    fn peek(&self) -> Token<'a> {
        Lexer { rest: self.rest }.next()
    }
}

fn found(token: Token<'_>, expected: &str) -> SelectorError {
    SelectorError(format!("found '{}', expected: {expected}", token.literal()))
}

/// Parses a whole selector.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut lexer = Lexer { rest: text };
    let mut out = Vec::new();
    loop {
        match lexer.peek() {
            Token::End => break,
            Token::Word(_) | Token::Not => {
                let one = one(&mut lexer)
                    .map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))?;
                out.push(one);
                match lexer.next() {
                    Token::End => break,
                    Token::Comma => {
                        let next = lexer.peek();
                        if !matches!(next, Token::Word(_) | Token::Not) {
                            return Err(found(next, "identifier after ','"));
                        }
                    }
                    other => return Err(found(other, "',' or 'end of string'")),
                }
            }
            other => return Err(found(other, "!, identifier, or 'end of string'")),
        }
    }
    out.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(out)
}

fn one(lexer: &mut Lexer<'_>) -> Result<Requirement, SelectorError> {
    let mut token = lexer.next();
    let negated = token == Token::Not;
    if negated {
        token = lexer.next();
    }
    let Token::Word(key) = token else {
        return Err(found(token, "identifier"));
    };
    check_key(key)?;
    if negated {
        return requirement(key, Operator::DoesNotExist, Vec::new());
    }
    if matches!(lexer.peek(), Token::End | Token::Comma) {
        return requirement(key, Operator::Exists, Vec::new());
    }
    let operator = match lexer.next() {
        Token::Operator(operator, _) => operator,
        Token::Word("in") => Operator::In,
        Token::Word("notin") => Operator::NotIn,
        other => return Err(found(other, "in, notin, =, ==, !=, gt, lt")),
    };
    let values = if matches!(operator, Operator::In | Operator::NotIn) {
        list(lexer)?
    } else {
        vec![exact(lexer)?]
    };
    requirement(key, operator, values)
}

/// One value after an operator; nothing at all is the empty value.
fn exact(lexer: &mut Lexer<'_>) -> Result<String, SelectorError> {
    match lexer.peek() {
        Token::End | Token::Comma => Ok(String::new()),
        Token::Word(word) => {
            lexer.next();
            Ok(word.to_owned())
        }
        other => Err(found(other, "identifier")),
    }
}

fn list(lexer: &mut Lexer<'_>) -> Result<Vec<String>, SelectorError> {
    let open = lexer.next();
    if open != Token::Open {
        return Err(SelectorError(format!("found '{}' expected: '('", open.literal())));
    }
    let mut values = Vec::new();
    if lexer.peek() == Token::Close {
        // `()` is the empty value too.
        lexer.next();
        return Ok(vec![String::new()]);
    }
    loop {
        // Between commas, nothing is the empty value: `(a,)` is a and "".
        match lexer.next() {
            Token::Word(word) => {
                values.push(word.to_owned());
                match lexer.next() {
                    Token::Comma if lexer.peek() == Token::Close => values.push(String::new()),
                    Token::Comma => {}
                    Token::Close => return Ok(values),
                    other => return Err(found(other, "',' or ')'")),
                }
            }
            Token::Comma => values.push(String::new()),
            Token::Close => return Ok(values),
            other => return Err(found(other, "',', ')' or identifier")),
        }
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    let complaints = names::qualified_name(key);
    if complaints.is_empty() {
        return Ok(());
    }
    // Upstream validates without a path, which Go prints as "<nil>".
    let error = FieldError::invalid("<nil>", key, &complaints.join("; "));
    Err(SelectorError(error.to_string()))
}

/// Checks a requirement (`labels.NewRequirement`).
pub(super) fn requirement(
    key: &str,
    operator: Operator,
    mut values: Vec<String>,
) -> Result<Requirement, SelectorError> {
    check_key(key)?;
    values.sort();
    values.dedup();
    let mut errors = Vec::new();
    let text = || serde_json::json!(values);
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => errors.push(FieldError::invalid(
            "values",
            text(),
            "for 'in', 'notin' operators, values set can't be empty",
        )),
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => errors.push(FieldError::invalid(
            "values",
            text(),
            "values set must be empty for exists and does not exist",
        )),
        Operator::GreaterThan | Operator::LessThan => {
            for (index, value) in values.iter().enumerate() {
                if value.parse::<i64>().is_err() {
                    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                    errors.push(FieldError::invalid(
                        format!("values[{index}]"),
                        value.as_str(),
                        detail,
                    ));
                }
            }
        }
        _ => {}
    }
    for (index, value) in values.iter().enumerate() {
        let complaints = names::label_value(value);
        if !complaints.is_empty() {
            let path = format!("values[{index}][{key}]");
            errors.push(FieldError::invalid(path, value.as_str(), &complaints.join("; ")));
        }
    }
    if errors.is_empty() {
        Ok(Requirement {
            key: key.to_owned(),
            operator,
            values,
        })
    } else {
        Err(SelectorError(aggregate(errors.iter().map(ToString::to_string))))
    }
}

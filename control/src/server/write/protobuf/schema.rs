//! The messages' field numbers, from `messages.txt` (made by `control/gen/protobuf.py`).
//!
//! A line is a message: its name, then `number:jsonName:type` for each field. Types are `s` text, `y` bytes, `b` bool,
//! `i` integer, `d` double, or a message; `[` before it makes a list, `{` a map by text. An empty name is an embedded
//! struct, whose fields are its parent's; `*` after it a pointer, whose zero means something. The lines are sorted and
//! searched where they lie, so that the table costs no memory until somebody sends protobuf.

const TABLE: &str = include_str!("messages.txt");

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Message(&'static str);

/// A field.
#[derive(Debug)]
pub struct Field<'a> {
    /// JSON name.
    pub name: &'a str,
    /// Type.
    pub shape: Shape<'a>,
    /// A pointer in Go.
    pub pointer: bool,
}

/// A field's type.
#[derive(Debug)]
pub enum Shape<'a> {
    /// One value.
    One(&'a str),
    /// A list.
    List(&'a str),
    /// A map by text.
    Map(&'a str),
}

/// The message of that name.
pub fn find(name: &str) -> Option<Message> {
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        // The line around the middle.
        let middle = low + (high - low) / 2;
        let start = TABLE.as_bytes()[..middle]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let end = TABLE.as_bytes()[middle..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(TABLE.len(), |at| middle + at);
        let (found, fields) = TABLE[start..end]
            .split_once(' ')
            .unwrap_or((&TABLE[start..end], ""));
        match found.cmp(name) {
            std::cmp::Ordering::Equal => return Some(Message(fields)),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// The message of a kind.
pub fn of_kind(version: &str, kind: &str) -> Option<Message> {
    let meta = format!("meta.v1.{kind}");
    let own = match version.split_once('/') {
        Some((group, version)) => format!("{}.{version}.{kind}", group.split('.').next().unwrap_or_default()),
        None => format!("core.{version}.{kind}"),
    };
    find(&own).or_else(|| find(&meta))
}

impl Message {
    /// The field of that number.
    pub fn field(&self, number: u32) -> Option<Field<'static>> {
        self.0.split(' ').find_map(|field| {
            let mut parts = field.splitn(3, ':');
            if parts.next()?.parse() != Ok(number) {
                return None;
            }
            let (name, kind) = (parts.next()?, parts.next()?);
            let (kind, pointer) = kind.strip_suffix('*').map_or((kind, false), |kind| (kind, true));
            let shape = match kind.split_at_checked(1) {
                Some(("[", kind)) => Shape::List(kind),
                Some(("{", kind)) => Shape::Map(kind),
                _ => Shape::One(kind),
            };
            Some(Field { name, shape, pointer })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_and_names_only_known_messages() {
        for line in TABLE.lines() {
            let (name, fields) = line.split_once(' ').unwrap_or((line, ""));
            assert!(find(name).is_some(), "{name}");
            for field in fields.split(' ').filter(|field| !field.is_empty()) {
                let kind = field.rsplit(':').next().unwrap().trim_matches(['[', '{', '*']);
                assert!(
                    kind.len() == 1 || find(kind).is_some() || kind.starts_with("meta.v1."),
                    "{name}: {kind}"
                );
            }
        }
        assert!(find("core.v1.Nothing").is_none() && find("").is_none() && find("zzz").is_none());
    }

    #[test]
    fn kinds_lead_to_messages() {
        for (version, kind) in [
            ("v1", "Pod"),
            ("apps/v1", "Deployment"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
            ("v1", "DeleteOptions"),
            ("policy/v1", "Eviction"),
            ("autoscaling/v1", "Scale"),
        ] {
            assert!(of_kind(version, kind).is_some(), "{version} {kind}");
        }
    }
}

//! Reading what the kernel has: tables, chains, elements.

use super::batch::{Error, REQUEST, SUBSYSTEM, TABLE_NAME, open};
use super::family::Family;
use crate::netlink::{self, Writer, find};

const GET_TABLE: u16 = 1;
const GET_CHAIN: u16 = 4;
const GET_ELEMENT: u16 = 13;
const DUMP: u16 = 0x300;

fn dump(
    table: &str,
    family: Family,
    kind: u16,
    body: impl FnOnce(&mut Writer),
) -> Result<Vec<Vec<u8>>, Error> {
    let mut writer = Writer::new();
    writer.message(SUBSYSTEM << 8 | kind, REQUEST | DUMP, 1, |w| {
        w.raw(&[family.number(), 0, 0, 0]);
        body(w);
    });
    let answers = open()?.query(&writer.into_bytes()).map_err(|source| Error {
        table: table.to_owned(),
        source,
    })?;
    // After the four bytes of `struct nfgenmsg` come the attributes.
    Ok(answers
        .into_iter()
        .filter_map(|(_, p)| p.get(4..).map(<[u8]>::to_vec))
        .collect())
}

/// Names of the tables of a family.
pub(crate) fn tables(family: Family) -> Result<Vec<String>, Error> {
    let answers = dump("-", family, GET_TABLE, |_| ())?;
    Ok(answers
        .iter()
        .filter_map(|a| find(a, TABLE_NAME))
        .map(text)
        .collect())
}

/// Names of the chains of a table; none when there is no such table.
pub(super) fn chains(table: &str, family: Family) -> Result<Vec<String>, Error> {
    let answers = dump(table, family, GET_CHAIN, |_| ())?;
    let ours = |a: &&Vec<u8>| find(a, TABLE_NAME).map(text).as_deref() == Some(table);
    Ok(answers
        .iter()
        .filter(ours)
        .filter_map(|a| find(a, 3))
        .map(text)
        .collect())
}

/// An element as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: Vec<u8>,
    /// Empty for sets and verdicts.
    pub(super) value: Vec<u8>,
    /// Of verdict maps: the chain to go to.
    pub(super) chain: Option<String>,
}

/// The elements of a map; none when the table or map does not exist.
pub(super) fn elements(table: &str, family: Family, set: &str) -> Result<Vec<Listed>, Error> {
    let answers = match dump(table, family, GET_ELEMENT, |w| {
        w.string(TABLE_NAME, table);
        w.string(2, set);
    }) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let mut listed = Vec::new();
    for answer in &answers {
        let list = find(answer, 3).unwrap_or_default();
        for (_, element) in netlink::Attributes(list) {
            let datum = |kind| {
                find(element, kind)
                    .and_then(|d| find(d, 1))
                    .unwrap_or_default()
                    .to_vec()
            };
            let verdict = find(element, 2).and_then(|d| find(d, 2));
            let chain = verdict.and_then(|v| find(v, 2)).map(text);
            listed.push(Listed {
                key: datum(1),
                value: datum(2),
                chain,
            });
        }
    }
    Ok(listed)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

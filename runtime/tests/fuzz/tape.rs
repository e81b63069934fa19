//! Tars as recipes: a line for each member, which can be changed without its becoming noise. KIND NAME [TARGET or SIZE]
//! [MODE]; words may have `%NN` for a byte, and `%L` for 300 letters.

use tar::{EntryType, Header};

use crate::random::{Random, WORDS};

/// One member.
#[derive(Debug, Clone)]
pub struct Member {
    kind: String,
    name: Vec<u8>,
    argument: Vec<u8>,
    mode: u32,
}

const KINDS: [&str; 13] = [
    "file", "dir", "symlink", "link", "char", "block", "fifo", "longname", "longlink", "pax", "global",
    "sparse", "odd",
];

/// Parts of names that meet each other.
const PARTS: [&str; 20] = [
    "a",
    "b",
    "c",
    "d",
    "..",
    ".",
    "",
    ".wh.a",
    ".wh.b",
    ".wh..wh..opq",
    ".wh...",
    ".wh..",
    ".wh.",
    "outside",
    "treasure",
    "witness",
    "etc",
    "proc",
    "self",
    "a/../..",
];

fn unescape(word: &str) -> Vec<u8> {
    let word = word.replace("%L", &"n".repeat(300));
    let bytes = word.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|_| bytes[at] == b'%');
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

/// Reads a recipe.
pub fn parse(text: &[u8]) -> Vec<Member> {
    let lines = std::str::from_utf8(text).unwrap().lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split(' ');
            Member {
                kind: words.next().unwrap().to_owned(),
                name: unescape(words.next().unwrap_or("")),
                argument: unescape(words.next().unwrap_or("")),
                mode: words
                    .next()
                    .and_then(|mode| u32::from_str_radix(mode, 8).ok())
                    .unwrap_or(0o755),
            }
        })
        .collect()
}

fn block(tar: &mut Vec<u8>, kind: EntryType, member: &Member, link: &[u8], claimed: u64, contents: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(member.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(claimed);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    let name = &member.name[..member.name.len().min(100)];
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    let link = &link[..link.len().min(100)];
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(contents);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// The tar of a recipe.
pub fn build(members: &[Member]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let size = || {
            std::str::from_utf8(&member.argument)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(3)
        };
        let plain = |tar: &mut Vec<u8>, kind| block(tar, kind, member, &member.argument, 0, b"");
        match member.kind.as_str() {
            "dir" => plain(&mut tar, EntryType::Directory),
            "symlink" => plain(&mut tar, EntryType::Symlink),
            "link" => plain(&mut tar, EntryType::Link),
            "char" => plain(&mut tar, EntryType::Char),
            "block" => plain(&mut tar, EntryType::Block),
            "fifo" => plain(&mut tar, EntryType::Fifo),
            "longname" | "longlink" => {
                let kind = if member.kind == "longname" {
                    EntryType::GNULongName
                } else {
                    EntryType::GNULongLink
                };
                let text = [member.name.as_slice(), b"\0"].concat();
                block(&mut tar, kind, member, b"", text.len() as u64, &text);
            }
            "pax" | "global" => {
                let kind = if member.kind == "pax" {
                    EntryType::XHeader
                } else {
                    EntryType::XGlobalHeader
                };
                let record = [
                    b" ",
                    member.name.as_slice(),
                    b"=",
                    member.argument.as_slice(),
                    b"\n",
                ]
                .concat();
                let digits = (record.len() + 2).to_string().len();
                let text = [(record.len() + digits).to_string().into_bytes(), record].concat();
                block(&mut tar, kind, member, b"", text.len() as u64, &text);
            }
            "sparse" => block(
                &mut tar,
                EntryType::GNUSparse,
                member,
                b"",
                size(),
                &vec![7; size().min(4096) as usize],
            ),
            "odd" => block(
                &mut tar,
                EntryType::new(member.mode as u8),
                member,
                &member.argument,
                0,
                b"",
            ),
            // A file claims what it says, and has at most a little of it.
            _ => block(
                &mut tar,
                EntryType::Regular,
                member,
                b"",
                size(),
                &vec![7; size().min(64 << 10) as usize],
            ),
        }
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn name(random: &mut Random) -> Vec<u8> {
    if random.once_in(12) {
        return random.pick(&WORDS).as_bytes().to_vec();
    }
    let parts: Vec<&str> = (0..=random.below(4)).map(|_| *random.pick(&PARTS)).collect();
    let lead = *random.pick(&["", "", "", "/", "./", "../", "../../../../../../"]);
    format!("{lead}{}", parts.join("/")).into_bytes()
}

/// Changes a recipe; `others` lend members.
pub fn mutate(random: &mut Random, corpus: &[Vec<Member>]) -> Vec<u8> {
    let mut members = random.pick(corpus).clone();
    for _ in 0..=random.below(5) {
        let lender = random.pick(corpus);
        if lender.is_empty() || members.is_empty() || random.once_in(4) {
            let (kind, mode) = ((*random.pick(&KINDS)).to_owned(), random.next() as u32 & 0o7777);
            members.push(Member {
                kind,
                name: name(random),
                argument: name(random),
                mode,
            });
            continue;
        }
        let at = random.below(members.len());
        match random.below(8) {
            0 => members.insert(at, random.pick(lender).clone()),
            1 => drop(members.remove(at)),
            2 => members.push(members[at].clone()),
            3 => members[at].name = name(random),
            4 => members[at].argument = name(random),
            5 => (*random.pick(&KINDS)).clone_into(&mut members[at].kind),
            6 => {
                let to = random.below(members.len());
                members.swap(at, to);
            }
            _ => members[at].mode = random.next() as u32,
        }
    }
    members.truncate(40);
    let mut tar = build(&members);
    if random.once_in(8) {
        crate::random::bytes(random, &mut tar, &[]);
    }
    tar
}

//! Files that somebody made on purpose, with a right checksum.

use sha2::{Digest, Sha256};

use super::*;

fn head(revision: u64, compacted: u64) -> Vec<u8> {
    let mut out = b"KLSNAP\r\n\x01\0\0\0".to_vec();
    for number in [revision, compacted, 0] {
        out.extend(number.to_le_bytes());
    }
    out
}

fn changed(out: &mut Vec<u8>, key: &[u8], revision: u64) {
    out.push(2);
    out.extend((key.len() as u32).to_le_bytes());
    out.extend(key);
    out.extend(revision.to_le_bytes());
}

fn object(out: &mut Vec<u8>, key: &[u8], revision: u64, json: &[u8]) {
    out.push(1);
    out.extend((key.len() as u32).to_le_bytes());
    out.extend(key);
    out.extend((json.len() as u32 + 17).to_le_bytes());
    out.push(0);
    out.extend(0u64.to_le_bytes());
    out.extend(revision.to_le_bytes());
    out.extend(json);
}

fn end(mut out: Vec<u8>, objects: u64, resources: u64) -> Vec<u8> {
    out.push(0);
    out.extend(objects.to_le_bytes());
    out.extend(resources.to_le_bytes());
    let digest = Sha256::digest(&out);
    out.extend(digest);
    out
}

fn refused(bytes: &[u8], why: &str) {
    let error = verify(bytes).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_sound_one_is_taken() {
    let mut out = head(9, 3);
    changed(&mut out, b"/pods/", 9);
    object(&mut out, b"/pods/a/b", 9, b"{}");
    assert_eq!(verify(&end(out, 1, 1)[..]).unwrap().objects, 1);
}

#[test]
fn others_are_refused() {
    refused(&end(head(0, 0), 0, 0), "contradict");
    refused(&end(head(4, 5), 0, 0), "contradict");
    refused(&end(head(4, 0), 1, 0), "not as many");
    let with = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = head(9, 0);
        write(&mut out);
        end(out, 1, 0)
    };
    refused(
        &with(&|out| object(out, b"/pods/a/b", 10, b"{}")),
        "newer than the snapshot",
    );
    refused(
        &with(&|out| object(out, b"/pods/a/b", 0, b"{}")),
        "newer than the snapshot",
    );
    refused(
        &with(&|out| object(out, b"nothing", 5, b"{}")),
        "not where it belongs",
    );
    refused(&with(&|out| object(out, b"", 5, b"{}")), "not where it belongs");
    refused(&with(&|out| object(out, b"/pods/\xff", 5, b"{}")), "not text");
    let unknown = |out: &mut Vec<u8>| {
        object(out, b"/pods/a/b", 5, b"{}");
        let form = out.len() - b"{}".len() - 17;
        out[form] = 7;
    };
    refused(&with(&unknown), "unknown encoding 7");
    let short = |out: &mut Vec<u8>| {
        out.extend([1, 9, 0, 0, 0]);
        out.extend(b"/pods/a/b");
        out.extend([2, 0, 0, 0, 0, 0]);
    };
    refused(&with(&short), "too short");
    refused(
        &with(&|out| changed(out, b"/pods/", 10)),
        "newer than the snapshot",
    );
    refused(&with(&|out| out.push(7)), "kind 7");
    let twice = with(&|out| {
        object(out, b"/pods/a/b", 5, b"{}");
        object(out, b"/pods/a/b", 6, b"{}");
    });
    refused(&twice, "not where it belongs");
    let backwards = with(&|out| {
        object(out, b"/pods/a/b", 5, b"{}");
        changed(out, b"/pods/", 5);
    });
    refused(&backwards, "not where it belongs");
    let mut version = head(9, 0);
    version[8] = 2;
    refused(&end(version, 0, 0), "format 2");
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let mut out = head(9, 0);
    out.extend([1, 255, 255, 255, 255]);
    refused(&out, "too long");
    let mut out = head(9, 0);
    out.push(1);
    out.extend(9u32.to_le_bytes());
    out.extend(b"/pods/a/b");
    out.extend((63u32 << 20).to_le_bytes());
    refused(&out, "not complete");
}

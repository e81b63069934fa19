use proptest::prelude::*;

use super::*;
use crate::image::fixture::Tar;

type Found = (String, Vec<u8>, Option<Sparse>);

/// Name, contents and map of every member.
fn members(tar: &[u8]) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for_each(tar, |member, contents| {
        let mut bytes = Vec::new();
        contents
            .read_to_end(&mut bytes)
            .map_err(|source| Error::stream("", source))?;
        assert_eq!(bytes.len() as u64, member.size);
        found.push((String::from_utf8_lossy(&member.name).into(), bytes, member.sparse));
        Ok(())
    })?;
    Ok(found)
}

/// A pax header with records whose lengths are right.
fn pax(tar: Tar, records: &[(&str, &str)]) -> Tar {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let mut length = key.len() + value.len() + 3;
        while length != key.len() + value.len() + 3 + length.to_string().len() {
            length = key.len() + value.len() + 3 + length.to_string().len();
        }
        bytes.extend(format!("{length} {key}={value}\n").as_bytes());
    }
    tar.push(
        Tar::header(EntryType::XHeader, "x", "", bytes.len() as u64),
        &bytes,
    )
}

#[test]
fn pax_values_may_hold_anything() {
    let mut extensions = Extensions::default();
    extensions
        .records(b"31 SCHILY.xattr.user.a=\n=\0bcde\n12 path=a/b\n20 mtime=-1.2500000\n")
        .unwrap();
    assert_eq!(extensions.xattrs, [("user.a".to_owned(), b"\n=\0bcde".to_vec())]);
    assert_eq!(extensions.name.unwrap(), b"a/b");
    assert_eq!(extensions.mtime, Some((-2, 750_000_000)));
}

#[test]
fn damaged_records_are_refused() {
    for bad in [
        &b"5 a\n"[..],
        b"3 a",
        b"99 a=b\n",
        b"0 ",
        b"-1 a=b\n",
        b"7 uid=x\n",
        b"8 uid=+1\n",
        b"6 a=bc\n6 a=b",
    ] {
        assert!(Extensions::default().records(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn sparse_files_of_all_pax_formats() {
    let map = Sparse {
        length: 1000,
        pieces: vec![(100, 3), (500, 2)],
    };
    let file = |tar: Tar, contents: &[u8]| tar.file("GNUSparseFile.0/f", contents).file("next", b"n").end();
    let zero_zero = pax(
        Tar::default(),
        &[
            ("GNU.sparse.size", "1000"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "100"),
            ("GNU.sparse.numbytes", "3"),
            ("GNU.sparse.offset", "500"),
            ("GNU.sparse.numbytes", "2"),
            ("path", "f"),
        ],
    );
    let zero_one = pax(
        Tar::default(),
        &[
            ("GNU.sparse.size", "1000"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.map", "100,3,500,2"),
            ("GNU.sparse.name", "f"),
        ],
    );
    let one_zero = pax(
        Tar::default(),
        &[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "f"),
            ("GNU.sparse.realsize", "1000"),
        ],
    );
    let mut with_map = b"2\n100\n3\n500\n2\n".to_vec();
    with_map.resize(512, 0);
    with_map.extend(b"abcde");
    for tar in [
        file(zero_zero, b"abcde"),
        file(zero_one, b"abcde"),
        file(one_zero, &with_map),
    ] {
        assert_eq!(
            members(&tar).unwrap(),
            [
                ("f".into(), b"abcde".to_vec(), Some(map.clone())),
                ("next".into(), b"n".to_vec(), None)
            ]
        );
    }
}

/// An old GNU sparse header; pieces past the fourth go into extension blocks.
fn old_sparse(pieces: &[(u64, u64)], length: u64, contents: &[u8]) -> Tar {
    let mut header = Tar::header(EntryType::GNUSparse, "f", "", contents.len() as u64);
    let octal = |into: &mut [u8], number: u64| {
        into[..12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    };
    {
        let bytes = header.as_mut_bytes();
        for (n, (offset, count)) in pieces.iter().take(4).enumerate() {
            octal(&mut bytes[386 + n * 24..], *offset);
            octal(&mut bytes[398 + n * 24..], *count);
        }
        bytes[482] = u8::from(pieces.len() > 4);
        octal(&mut bytes[483..], length);
    }
    let mut tar = Tar::default().push(header, b"");
    let rest: Vec<_> = pieces.iter().skip(4).collect();
    let chunks: Vec<_> = rest.chunks(21).collect();
    for (n, chunk) in chunks.iter().enumerate() {
        let mut block = [0; 512];
        for (n, (offset, count)) in chunk.iter().enumerate() {
            octal(&mut block[n * 24..], *offset);
            octal(&mut block[n * 24 + 12..], *count);
        }
        block[504] = u8::from(n + 1 < chunks.len());
        tar.0.extend(block);
    }
    tar.0.extend(contents);
    let padded = tar.0.len().next_multiple_of(512);
    tar.0.resize(padded, 0);
    tar
}

#[test]
fn sparse_files_of_the_old_format() {
    let pieces: Vec<(u64, u64)> = (0..30).map(|n| (n * 100, 1)).collect();
    for count in [0, 1, 4, 5, 25, 26, 30] {
        let pieces = &pieces[..count];
        let tar = old_sparse(pieces, 5000, &vec![b'x'; count])
            .file("next", b"n")
            .end();
        let found = members(&tar).unwrap();
        let map = found[0].2.as_ref().unwrap();
        assert_eq!((map.length, &map.pieces[..]), (5000, pieces), "{count}");
        assert_eq!(found[1].0, "next");
    }
}

#[test]
fn damaged_sparse_maps_are_refused() {
    for (pieces, length) in [
        (&[(0, 2)][..], 10),
        (&[(10, 1)], 10),
        (&[(5, 1), (4, 0)], 10),
        (&[(0, u64::MAX), (1, 2)], 10),
        (&[(0, 1)], u64::MAX),
    ] {
        let text = format!("1000 {pieces:?} {length}");
        let map: Vec<String> = pieces.iter().map(|(a, b)| format!("{a},{b}")).collect();
        let tar = pax(
            Tar::default(),
            &[
                ("GNU.sparse.size", &length.to_string()),
                ("GNU.sparse.map", &map.join(",")),
            ],
        );
        assert!(members(&tar.file("f", b"x").end()).is_err(), "{text}");
    }
    for records in [
        &[("GNU.sparse.major", "1")][..],
        &[("GNU.sparse.map", "0,1")],
        &[("GNU.sparse.size", "5"), ("GNU.sparse.map", "0")],
        &[("GNU.sparse.numbytes", "5")],
        &[("GNU.sparse.surprise", "5")],
        &[("GNU.sparse.major", "2"), ("GNU.sparse.realsize", "5")],
        &[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "5")],
    ] {
        let tar = pax(Tar::default(), records).file("f", b"x").end();
        assert!(members(&tar).is_err(), "{records:?}");
    }
    // A map that promises more than any memory holds, and extension blocks without an end.
    let mut endless = b"99999999999999999999\n".to_vec();
    endless.resize(512, 0);
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "5")];
    assert!(members(&pax(Tar::default(), &records).file("f", &endless).end()).is_err());
    let mut endless = old_sparse(&[(0, 0); 5], 0, b"").0;
    let block = {
        let mut block = [0; 512];
        block[504] = 1;
        block
    };
    endless.truncate(512);
    for _ in 0..5000 {
        endless.extend(block);
    }
    assert!(members(&endless).is_err());
}

#[test]
fn sizes_that_readers_could_read_differently() {
    let with_size = |size: &str, header: u64, contents: &[u8]| {
        let tar = pax(Tar::default(), &[("size", size)]);
        let mut header = Tar::header(EntryType::Regular, "f", "", header);
        header.set_cksum();
        let mut tar = tar;
        tar.0.extend(header.as_bytes());
        tar.0.extend(contents);
        let padded = tar.0.len().next_multiple_of(512);
        tar.0.resize(padded, 0);
        members(&tar.end())
    };
    assert_eq!(with_size("3", 3, b"abc").unwrap()[0].1, b"abc");
    // What Go and GNU tar write for files whose size does not fit the header.
    assert_eq!(with_size("3", 0, b"abc").unwrap()[0].1, b"abc");
    assert!(with_size("3", 512, b"abc").is_err());
    // Links and directories have no contents, even with a size.
    let link = Tar::header(EntryType::Symlink, "l", "target", 512);
    let tar = Tar::default().push(link, b"").file("next", b"n").end();
    assert_eq!(members(&tar).unwrap()[1].0, "next");
}

#[test]
fn fields_without_digits_are_zero() {
    let mut header = Tar::header(EntryType::Regular, "f", "", 1);
    for field in [100..108, 108..116, 116..124, 136..148] {
        header.as_mut_bytes()[field].fill(0);
    }
    let tar = Tar::default().push(header, b"x").end();
    for_each(&tar[..], |member, _| {
        assert_eq!(
            (member.mode, member.uid, member.gid, member.mtime),
            (0, 0, 0, (0, 0))
        );
        Ok(())
    })
    .unwrap();
}

#[test]
fn broken_archives_are_refused() {
    let whole = Tar::default().file("f", b"x").end();
    assert_eq!(members(&whole[..1024]).unwrap().len(), 1, "no end marker");
    assert_eq!(members(&whole[..1536]).unwrap().len(), 1, "half an end marker");
    let mut checksum = whole.clone();
    checksum[0] = b'g';
    assert!(members(&checksum).is_err());
    let mut after = whole[..1536].to_vec();
    after.extend(&whole);
    assert!(members(&after).is_err(), "goes on after a block of zeros");
    let mut header = Tar::header(EntryType::Regular, "f", "", 0);
    header.as_mut_bytes()[124..136].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    assert!(
        members(&Tar::default().push(header, b"").end()).is_err(),
        "2^64 - 1 bytes"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = for_each(&bytes[..], |_, _| Ok(()));
        let _ = Extensions::default().records(&bytes);
    }

    /// Headers that are right but for some bytes: checksums are mended, so that what is behind them is reached.
    #[test]
    fn damaged_headers_are_read_or_refused(changes in proptest::collection::vec((0..512usize, any::<u8>()), 1..8), kind in any::<u8>()) {
        let mut header = Tar::header(EntryType::new(kind), "f", "l", 3);
        for (at, byte) in changes {
            header.as_mut_bytes()[at] = byte;
        }
        let tar = Tar::default().push(header, b"abc").file("next", b"n").end();
        let _ = for_each(&tar[..], |_, contents| {
            let _ = std::io::copy(&mut contents.take(1 << 20), &mut std::io::sink());
            Ok(())
        });
    }

    #[test]
    fn any_sparse_records(records in proptest::collection::vec(("(major|minor|size|realsize|offset|numbytes|numblocks|map|name)", "[0-9,]{0,12}"), 0..6)) {
        let records: Vec<(String, String)> = records.into_iter().map(|(k, v)| (format!("GNU.sparse.{k}"), v)).collect();
        let records: Vec<(&str, &str)> = records.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let _ = members(&pax(Tar::default(), &records).file("f", b"1\n0\n1\nx").end());
    }
}

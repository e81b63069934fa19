//! `Content-Range` (RFC 9110 14.4): which part of a blob an answer holds.

/// Checks that an answer goes on where we are, in a blob of the size we expect.
pub(super) fn goes_on(header: Option<&str>, have: u64, size: u64) -> Result<(), String> {
    let header = header.ok_or("a partial answer that does not say which part")?;
    let bad = || {
        format!(
            "a partial answer with {header:.100?}, wanted was {have}-{} of {size}",
            size.saturating_sub(1)
        )
    };
    let (first, last, total) = parse(header).ok_or_else(bad)?;
    if first != have || last < first || last >= size || total.is_some_and(|total| total != size) {
        return Err(bad());
    }
    Ok(())
}

/// `bytes FIRST-LAST/TOTAL`, TOTAL perhaps `*`.
fn parse(header: &str) -> Option<(u64, u64, Option<u64>)> {
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
    };
    let (range, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(number(total)?),
    };
    Some((number(first)?, number(last)?, total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_part_that_was_asked_for() {
        for good in ["bytes 5-9/10", "bytes 5-7/10", "bytes 5-9/*", " bytes 5-9/10 "] {
            assert!(goes_on(Some(good), 5, 10).is_ok(), "{good}");
        }
        for bad in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 4-9/10",
            "bytes 6-9/10",
            "bytes 5-10/10",
            "bytes 5-4/10",
            "bytes 5-9/11",
            "bytes +5-9/10",
            "bytes -5/10",
            "bytes */10",
            "lines 5-9/10",
            "bytes 5-99999999999999999999/10",
        ] {
            assert!(goes_on(Some(bad), 5, 10).is_err(), "{bad}");
        }
        assert!(goes_on(None, 5, 10).is_err());
        assert!(goes_on(Some("bytes 0-0/0"), 0, 0).is_err());
    }

    proptest! {
        #[test]
        fn any_header(header in "(bytes )?[0-9*/ -]{0,20}", have: u64, size: u64) {
            let _ = goes_on(Some(&header), have, size);
        }
    }
}

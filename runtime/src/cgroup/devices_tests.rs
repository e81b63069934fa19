use super::*;

/// Runs a program as the kernel would.
fn run(program: &[u64], block: bool, major: u32, minor: u32, access: u32) -> u64 {
    let kind = if block { BLOCK } else { CHARACTER };
    let context = [access << 16 | kind, major, minor];
    let (mut r, mut pc) = ([0u64; 11], 0usize);
    loop {
        let b = program[pc].to_le_bytes();
        let (code, dst, src) = (b[0], usize::from(b[1] & 15), usize::from(b[1] >> 4));
        let offset = i16::from_le_bytes([b[2], b[3]]);
        let imm = i32::from_le_bytes([b[4], b[5], b[6], b[7]]);
        pc += 1;
        match code {
            LOAD_WORD => r[dst] = u64::from(context[offset as usize / 4]),
            AND => r[dst] = u64::from(r[dst] as u32 & imm as u32), // a 32-bit operation
            SHIFT_RIGHT => r[dst] >>= imm,
            MOVE_REGISTER => r[dst] = u64::from(r[src] as u32),
            MOVE => r[dst] = i64::from(imm) as u64,
            JUMP_NOT_EQUAL if r[dst] != i64::from(imm) as u64 => pc += offset as usize,
            JUMP_EQUAL if r[dst] == i64::from(imm) as u64 => pc += offset as usize,
            JUMP_NOT_EQUAL | JUMP_EQUAL => {}
            EXIT => return r[0],
            other => panic!("{other:#x}"),
        }
    }
}

/// What the rules mean, said the slow way.
fn meant(rules: &[DeviceRule], block: bool, major: u32, minor: u32, access: u32) -> bool {
    [READ, WRITE, MAKE]
        .iter()
        .filter(|bit| access & **bit != 0)
        .all(|bit| {
            rules
                .iter()
                .rfind(|r| {
                    r.block.is_none_or(|b| b == block)
                        && r.major.is_none_or(|n| n == major)
                        && r.minor.is_none_or(|n| n == minor)
                        && r.access & bit != 0
                })
                .is_some_and(|r| r.allow)
        })
}

fn configured(json: serde_json::Value) -> Vec<DeviceRule> {
    let list: Vec<LinuxDeviceCgroup> = serde_json::from_value(json).unwrap();
    rules(&list).unwrap()
}

#[test]
fn default_rules() {
    let program = device_filter(&default_device_rules());
    assert_eq!(run(&program, false, 1, 3, READ | WRITE), 1);
    assert_eq!(run(&program, false, 136, 77, READ | WRITE | MAKE), 1);
    assert_eq!(run(&program, true, 8, 0, MAKE), 1);
    assert_eq!(run(&program, true, 8, 0, READ), 0);
    assert_eq!(run(&program, true, 1, 3, READ), 0);
    assert_eq!(run(&program, false, 1, 1, READ), 0, "/dev/mem");
    assert_eq!(run(&program, false, 10, 229, READ | WRITE), 0, "/dev/fuse");
    assert_eq!(run(&device_filter(&[]), false, 1, 3, READ), 0);
}

#[test]
fn added_devices() {
    let mut rules = default_device_rules();
    rules.push(DeviceRule::new(false, Some(10), Some(229), "r"));
    let program = device_filter(&rules);
    assert_eq!(run(&program, false, 10, 229, READ), 1);
    assert_eq!(run(&program, false, 10, 229, READ | WRITE), 0);
}

#[test]
fn later_rules_win() {
    let program = device_filter(&configured(serde_json::json!([
        {"allow": true},
        {"allow": false, "type": "b", "major": 8, "access": "rw"},
        {"allow": true, "type": "b", "major": 8, "minor": 3, "access": "r"},
    ])));
    assert_eq!(run(&program, false, 10, 229, READ | WRITE), 1, "privileged");
    assert_eq!(run(&program, true, 8, 0, READ), 0);
    assert_eq!(run(&program, true, 8, 3, READ), 1);
    assert_eq!(
        run(&program, true, 8, 3, READ | WRITE),
        0,
        "no part of it is denied"
    );
    assert_eq!(run(&program, true, 7, 3, READ | WRITE), 1);
    let nothing = device_filter(&configured(serde_json::json!([])));
    assert_eq!(run(&nothing, false, 10, 229, READ), 0);
    assert_eq!(run(&nothing, false, 1, 3, READ | WRITE), 1);
    let denied = device_filter(&configured(serde_json::json!([
        {"allow": true, "type": "c", "major": 10, "minor": 229},
        {"allow": false, "access": "rwm"},
    ])));
    assert_eq!(run(&denied, false, 10, 229, READ), 0);
}

#[test]
fn refused() {
    for bad in [
        serde_json::json!([{"allow": true, "type": "c", "major": 1i64 << 40}]),
        serde_json::json!([{"allow": true, "type": "c", "access": "x"}]),
        serde_json::json!([{"allow": true, "type": "p"}]),
    ] {
        let list: Vec<LinuxDeviceCgroup> = serde_json::from_value(bad).unwrap();
        assert!(rules(&list).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn programs_do_what_rules_mean(
        list in proptest::collection::vec(
            (proptest::bool::ANY, proptest::option::of(proptest::bool::ANY), proptest::option::of(0u32..3),
                proptest::option::of(0u32..3), 1u32..8), 0..8),
        block in proptest::bool::ANY, major in 0u32..3, minor in 0u32..3, access in 1u32..8,
    ) {
        let rules: Vec<DeviceRule> = list
            .into_iter()
            .map(|(allow, block, major, minor, access)| DeviceRule { allow, block, major, minor, access })
            .collect();
        let answer = run(&device_filter(&rules), block, major, minor, access) == 1;
        proptest::prop_assert_eq!(answer, meant(&rules, block, major, minor, access));
    }
}

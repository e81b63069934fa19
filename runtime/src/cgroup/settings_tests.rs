use super::*;

fn written(json: serde_json::Value) -> Result<Vec<(String, String)>, String> {
    let resources: LinuxResources = serde_json::from_value(json).unwrap();
    settings(&resources)
        .map(|all| all.into_iter().map(|s| (s.file, s.value)).collect())
        .map_err(|e| e.to_string())
}

#[allow(clippy::unnecessary_wraps)] // to be compared with results
fn pairs(list: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    Ok(list
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect())
}

#[test]
fn weights() {
    let of = |shares| cpu_weight(shares).unwrap_or(0);
    assert_eq!([of(0), of(1), of(2), of(3)], [0, 1, 1, 2]);
    assert_eq!([of(1024), of(262_144), of(u64::MAX)], [100, 10_000, 10_000]);
    assert!((2..4096).all(|n| of(n) <= of(n + 1)));
}

#[test]
fn memory_and_swap() {
    let of = |limit: i64, swap: i64| written(serde_json::json!({"memory": {"limit": limit, "swap": swap}}));
    assert_eq!(of(0, 0), pairs(&[]));
    assert_eq!(of(100, 0), pairs(&[("memory.max", "100")]));
    assert_eq!(
        of(100, 300),
        pairs(&[("memory.swap.max", "200"), ("memory.max", "100")])
    );
    assert_eq!(
        of(100, 100),
        pairs(&[("memory.swap.max", "0"), ("memory.max", "100")])
    );
    assert_eq!(
        of(-1, 0),
        pairs(&[("memory.swap.max", "max"), ("memory.max", "max")])
    );
    assert_eq!(
        of(100, -1),
        pairs(&[("memory.swap.max", "max"), ("memory.max", "100")])
    );
    assert!(of(100, 50).is_err() && of(0, 50).is_err() && of(-2, 50).is_err());
    assert_eq!(
        written(serde_json::json!({"memory": {"reservation": 7}})),
        pairs(&[("memory.low", "7")])
    );
}

#[test]
fn processors() {
    let of = |cpu: serde_json::Value| written(serde_json::json!({ "cpu": cpu }));
    assert_eq!(
        of(serde_json::json!({"quota": 5000})),
        pairs(&[("cpu.max", "5000 100000")])
    );
    assert_eq!(
        of(serde_json::json!({"period": 5000})),
        pairs(&[("cpu.max", "max 5000")])
    );
    assert_eq!(
        of(
            serde_json::json!({"quota": 10, "period": 20, "burst": 5, "shares": 1024, "cpus": "0-1", "mems": "0"})
        ),
        pairs(&[
            ("cpu.weight", "100"),
            ("cpu.max.burst", "5"),
            ("cpu.max", "10 20"),
            ("cpuset.cpus", "0-1"),
            ("cpuset.mems", "0")
        ])
    );
    assert_eq!(
        of(serde_json::json!({"idle": 1, "shares": 512})),
        pairs(&[("cpu.idle", "1")])
    );
    assert!(of(serde_json::json!({"realtimeRuntime": 5})).is_err());
}

#[test]
fn the_rest() {
    assert_eq!(
        written(serde_json::json!({
            "pids": {"limit": -1},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
            "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10}},
            "unified": {"memory.high": "5", "io.max": "8:0 rbps=1\n8:16 rbps=2"},
        })),
        pairs(&[
            ("pids.max", "max"),
            ("hugetlb.2MB.max", "4096"),
            ("hugetlb.2MB.rsvd.max", "4096"),
            ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10"),
            ("io.max", "8:0 rbps=1"),
            ("io.max", "8:16 rbps=2"),
            ("memory.high", "5"),
        ])
    );
    for bad in [
        serde_json::json!({"unified": {"../x.y": "1"}}),
        serde_json::json!({"unified": {"cgroup": "1"}}),
        serde_json::json!({"hugepageLimits": [{"pageSize": "../..", "limit": 1}]}),
        serde_json::json!({"rdma": {"a b": {"hcaHandles": 3}}}),
    ] {
        assert!(written(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn block_io() {
    assert_eq!(
        written(serde_json::json!({"blockIO": {
            "weight": 10,
            "weightDevice": [{"major": 8, "minor": 0, "weight": 1000}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}],
        }})),
        pairs(&[
            ("io.weight", "1"),
            ("io.weight", "8:0 10000"),
            ("io.max", "8:0 rbps=1024"),
            ("io.max", "8:16 wiops=max"),
        ])
    );
}

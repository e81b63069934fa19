//! Logs.

use std::fs;
use std::io::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::Host;

const PATH: &str = "/containerLogs/default/pod/main";
const LOG: &str = "2024-01-01T00:00:01.000000001Z stdout F one\n\
    2024-01-01T00:00:02.000000001Z stderr F two\n\
    2024-01-01T00:00:03.000000001Z stdout P thr\n\
    2024-01-01T00:00:03.000000002Z stdout F ee\n\
    garbage\n\
    2024-01-01T00:00:04.000000001Z stdout F \n\
    2024-01-01T00:00:05.000000001Z stdout F five 5\n";

#[tokio::test]
async fn what_part_is_wanted() {
    let host = Host::new().await;
    let path = host.set_log(LOG);
    for (query, expected) in [
        ("", "one\ntwo\nthree\n\nfive 5\n"),
        ("?tailLines=2", "\nfive 5\n"),
        ("?tailLines=3", "three\n\nfive 5\n"),
        ("?tailLines=0", ""),
        ("?tailLines=100", "one\ntwo\nthree\n\nfive 5\n"),
        ("?limitBytes=5", "one\nt"),
        ("?sinceTime=2024-01-01T00:00:04Z", "\nfive 5\n"),
        ("?sinceSeconds=1", ""),
        ("?tailLines=3&limitBytes=8&timestamps=1", "2024-01-"),
        (
            "?tailLines=3&timestamps=true&sinceTime=2024-01-01T00:00:03Z",
            "2024-01-01T00:00:03.000000001Z three\n2024-01-01T00:00:04.000000001Z \n2024-01-01T00:00:05.000000001Z five 5\n",
        ),
    ] {
        let answer = host.get(&format!("{PATH}{query}")).await;
        assert_eq!(answer, (200, expected.to_owned()), "{query}");
    }
    assert_eq!(host.get(&format!("{PATH}?tailLines=-1")).await.0, 422);

    // Rotated files come first, and the last lines may be in them.
    let (old, new) = LOG.split_at(LOG.find("2024-01-01T00:00:03.000000002Z").unwrap());
    fs::write(path.with_file_name("0.log.20240101-000003"), old).unwrap();
    fs::write(&path, new).unwrap();
    assert_eq!(host.get(PATH).await.1, "one\ntwo\nthree\n\nfive 5\n");
    assert_eq!(
        host.get(&format!("{PATH}?tailLines=3")).await.1,
        "three\n\nfive 5\n"
    );
    assert_eq!(
        host.get(&format!("{PATH}?tailLines=4")).await.1,
        "two\nthree\n\nfive 5\n"
    );

    // A line without its end is one of the last lines.
    fs::write(
        &path,
        format!("{new}2024-01-01T00:00:06.000000001Z stdout P unfin"),
    )
    .unwrap();
    assert_eq!(
        host.get(&format!("{PATH}?tailLines=1")).await.1,
        "",
        "a record is shown once it is complete"
    );
}

#[tokio::test]
async fn why_there_is_no_log() {
    let host = Host::new().await;
    host.set_log(LOG);
    assert_eq!(
        host.get("/containerLogs/default/nobody/main").await,
        (404, "pod \"nobody\" does not exist".to_owned())
    );
    assert_eq!(
        host.get("/containerLogs/default/pod/other").await,
        (404, "container \"other\" not found in pod \"pod\"".to_owned())
    );
    assert_eq!(
        host.get("/containerLogs/default/pod/waiting").await,
        (
            400,
            "container \"waiting\" in pod \"pod\" is waiting to start: ContainerCreating".to_owned()
        )
    );
    assert_eq!(
        host.get(&format!("{PATH}?previous=true")).await,
        (
            400,
            "previous terminated container \"main\" in pod \"pod\" not found".to_owned()
        )
    );
}

#[tokio::test]
async fn following_ends_with_the_container() {
    let host = Host::new().await;
    host.start("for n in $(seq 20); do echo line $n; sleep 0.05; done", |_| {});
    let expected = (1..=20).fold(String::new(), |text, n| format!("{text}line {n}\n"));
    let answer = tokio::time::timeout(Duration::from_secs(20), host.get(&format!("{PATH}?follow=true")))
        .await
        .unwrap();
    assert_eq!(answer, (200, expected));
}

#[tokio::test]
async fn following_goes_on_across_rotation() {
    let host = Host::new().await;
    let line = "x".repeat(40);
    host.start(
        &format!("for n in $(seq 300); do echo {line} $n; done; sleep 0.3; echo last"),
        |spec| {
            spec.log_max_size = 8 << 10;
        },
    );
    let answer = tokio::time::timeout(Duration::from_secs(20), host.get(&format!("{PATH}?follow=true")))
        .await
        .unwrap();
    let expected: String = (1..=300)
        .map(|n| format!("{line} {n}\n"))
        .chain(["last\n".to_owned()])
        .collect();
    assert_eq!(answer, (200, expected));
    assert!(
        fs::read_dir(host.directory.path().join("logs")).unwrap().count() > 1,
        "it was rotated"
    );
}

#[tokio::test]
async fn a_file_moved_by_somebody_else_is_read_to_its_end() {
    let host = Host::new().await;
    let spec = host.start("sleep 2", |_| {});
    let path = spec.log_path.unwrap();
    let mut stream = host.connect().await;
    stream
        .write_all(
            format!("GET {PATH}?follow=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
        .unwrap();
    let record = |text: &str| format!("2024-01-01T00:00:01Z stdout F {text}\n");
    let mut old = fs::File::options().append(true).open(&path).unwrap();
    for round in 0..3 {
        fs::rename(&path, path.with_file_name(format!("0.log.2024010{round}-000000"))).unwrap();
        write!(old, "{}", record(&format!("old {round}"))).unwrap();
        fs::write(&path, record(&format!("new {round}"))).unwrap();
        old = fs::File::options().append(true).open(&path).unwrap();
        tokio::time::sleep(Duration::from_millis(30 * round)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let lines: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("old") || line.starts_with("new"))
        .collect();
    assert_eq!(lines, ["old 0", "new 0", "old 1", "new 1", "old 2", "new 2"]);
}

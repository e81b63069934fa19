//! What the control process holds for stored pods.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::{RICH, Server, load, path_of};

/// Pods of the large size.
const MANY: usize = 100_000;

/// A hundred thousand pods.
pub async fn many(server: &Server) -> Result<()> {
    load::create(server, &RICH, 0..MANY, "create 100,000").await?;
    print("100,000 pods", server, MANY).await
}

/// Prints the memory of a server's processes, and how it compares with the bytes of the objects.
pub async fn print(title: &str, server: &Server, pods: usize) -> Result<()> {
    // What a burst of writes needed has been given back by then.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let memory = server.memory() as f64 / 1e6;
    let name = server.name;
    if pods == 0 {
        println!("{name}, {title}: {memory:.1} MB PSS");
        return Ok(());
    }
    let one = server.send("GET", &path_of(pods / 2), Vec::new()).await?;
    let managed = serde_json::from_slice::<Value>(&one)?["metadata"]["managedFields"].to_string();
    println!(
        "{name}, {title}: {memory:.1} MB PSS; objects of {} bytes each ({} of them managedFields): {:.1} MB",
        one.len(),
        managed.len(),
        (one.len() * pods) as f64 / 1e6
    );
    Ok(())
}

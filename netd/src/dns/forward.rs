//! Asking the node's resolvers about names outside the cluster.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

use super::message::{Question, read_upstream};

/// How long one resolver is waited for. Clients wait five seconds in all.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Times that the list of resolvers is gone through.
const ROUNDS: usize = 2;
/// Questions in flight for all clients together; each costs a socket.
const MAX_IN_FLIGHT: usize = 512;
/// Questions in flight for one client: a single pod cannot use up everybody's.
const MAX_PER_CLIENT: usize = 64;

/// The node's resolvers.
#[derive(Debug)]
pub(super) struct Upstreams {
    servers: watch::Receiver<Vec<SocketAddr>>,
    random: File,
}

impl Upstreams {
    /// Resolvers as `servers` says at any time.
    pub(super) fn new(servers: watch::Receiver<Vec<SocketAddr>>) -> io::Result<Self> {
        Ok(Self {
            servers,
            random: File::open("/dev/urandom")?,
        })
    }

    /// Asks for `name` with the type of `question`; `None` when nobody answers.
    pub(super) async fn ask(&self, question: &Question, name: &Name) -> Option<Message> {
        let servers = self.servers.borrow().clone();
        for _ in 0..ROUNDS {
            for &server in &servers {
                if let Ok(Some(answer)) = timeout(PATIENCE, self.ask_one(server, question, name)).await {
                    return Some(answer);
                }
            }
        }
        None
    }

    async fn ask_one(&self, server: SocketAddr, question: &Question, name: &Name) -> Option<Message> {
        let kind = question.query.query_type;
        // An unpredictable id and, from the kernel, an unpredictable port for every question.
        let id = self.random_id().ok()?;
        let bytes = question.upstream(id, name)?;
        let answer = over_udp(server, &bytes, id, name, kind).await.ok()?;
        if !answer.metadata.truncation {
            return Some(answer);
        }
        match over_tcp(server, &bytes, id, name, kind).await {
            Ok(whole) => Some(whole),
            Err(_) => Some(answer),
        }
    }

    fn random_id(&self) -> io::Result<u16> {
        let mut bytes = [0; 2];
        (&self.random).read_exact(&mut bytes)?;
        Ok(u16::from_ne_bytes(bytes))
    }
}

async fn over_udp(
    to: SocketAddr,
    query: &[u8],
    id: u16,
    name: &Name,
    kind: RecordType,
) -> io::Result<Message> {
    let any: IpAddr = if to.is_ipv6() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected, so that the kernel drops what others send, and tells when nobody listens.
    socket.connect(to).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Whatever else arrives is not believed; the caller's patience ends the wait.
        if let Some(answer) = read_upstream(&buffer[..length], id, name, kind) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(
    to: SocketAddr,
    query: &[u8],
    id: u16,
    name: &Name,
    kind: RecordType,
) -> io::Result<Message> {
    let mut stream = TcpStream::connect(to).await?;
    let mut framed = u16::try_from(query.len())
        .map_err(io::Error::other)?
        .to_be_bytes()
        .to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    read_upstream(&buffer, id, name, kind).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Who has how many questions in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One question in flight; dropped when it is answered.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: InFlight,
    client: IpAddr,
}

impl InFlight {
    /// A place for one more question of `client`; `None` when there are too many.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Ticket> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.values().sum::<usize>() >= MAX_IN_FLIGHT
            || counts.get(&client).is_some_and(|n| *n >= MAX_PER_CLIENT)
        {
            return None;
        }
        *counts.entry(client).or_insert(0) += 1;
        Some(Ticket {
            counts: self.clone(),
            client,
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_every_place() {
        let all = InFlight::default();
        let greedy = IpAddr::from([10, 42, 0, 2]);
        let held: Vec<_> = (0..1000).filter_map(|_| all.enter(greedy)).collect();
        assert_eq!(held.len(), MAX_PER_CLIENT);
        assert!(all.enter(IpAddr::from([10, 42, 0, 3])).is_some());
        drop(held);
        assert!(all.enter(greedy).is_some());
        let others: Vec<_> = (0..1000_u32)
            .filter_map(|i| all.enter(IpAddr::from(i.to_be_bytes())))
            .collect();
        assert_eq!(others.len(), MAX_IN_FLIGHT);
    }
}

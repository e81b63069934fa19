//! Port-forward over plain WebSocket: channel 2n carries the data of the n-th port, channel 2n+1 its error. Each
//! first says its port, in two bytes, the low one first. One connection for each port.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use keelson_streams::channels::{Protocol, config, decode, encode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::copy;
use super::dial::Dialer;

/// How long a client may take to answer our goodbye.
const LINGER: Duration = Duration::from_secs(5);
/// Time between signs of life to a client. While a pod does not read, nothing is read from its client either, and one that
/// has gone away is noticed only by what cannot be written to it.
const SIGN_OF_LIFE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 30_000 });
/// Messages that wait for the socket, or for a connection in the pod.
const QUEUE: usize = 4;
/// Channel numbers are bytes, and base64 has them as one character.
const PORTS: usize = 64;

/// Serves a connection until the client hangs up or all connections have ended.
pub(super) async fn serve<T>(io: T, protocol: Protocol, mut ports: Vec<u16>, dialer: Dialer)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    ports.truncate(PORTS);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    let (mut sink, mut stream) = socket.split();
    let (to_client, mut messages) = mpsc::channel::<(u8, Bytes)>(QUEUE);
    let mut forwards = JoinSet::new();
    let mut consumers = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let (consumer, incoming) = mpsc::channel(QUEUE);
        consumers.push(consumer);
        forwards.spawn(forward(
            index as u8 * 2,
            port,
            incoming,
            to_client.clone(),
            dialer.clone(),
        ));
    }
    drop(to_client);
    let write = async {
        loop {
            let message = match tokio::time::timeout(SIGN_OF_LIFE, messages.recv()).await {
                Ok(Some((channel, data))) => encode(channel, &data, protocol),
                Ok(None) => break,
                Err(_) => Message::Ping(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                return false;
            }
        }
        sink.send(Message::Close(None)).await.is_ok()
    };
    let read = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Some((channel, data)) = decode(message, protocol)
                && channel % 2 == 0
                && let Some(consumer) = consumers.get(usize::from(channel / 2))
            {
                // A consumer that has ended wants no more.
                let _ = consumer.send(data).await;
            }
        }
    };
    let said_goodbye = tokio::select! {
        said = write => said,
        () = read => false,
    };
    if said_goodbye {
        // Python's client drops what it has not handed on yet when the connection ends right after the goodbye, so its own
        // goodbye is waited for.
        let rest = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
    }
}

async fn forward(
    channel: u8,
    port: u16,
    incoming: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<(u8, Bytes)>,
    dialer: Dialer,
) {
    let name = Bytes::copy_from_slice(&port.to_le_bytes());
    for channel in [channel, channel + 1] {
        if to_client.send((channel, name.clone())).await.is_err() {
            return;
        }
    }
    match dialer.connect(port).await {
        Ok(target) => {
            let send = async |data: Bytes| to_client.send((channel, data)).await.is_ok();
            if let Err(cause) = copy(target, incoming, send).await {
                tracing::debug!(%cause, port, "forwarded connection ends");
            }
        }
        Err(words) => {
            let _ = to_client.send((channel + 1, Bytes::from(words))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_client_that_goes_away_is_missed_though_the_pod_does_not_read() {
        let pod = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialer = Dialer {
            netns: None,
            pod: "pod".into(),
            uid: "uid".into(),
        };
        let clients = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(clients.local_addr().unwrap()).await.unwrap();
        let (io, _) = clients.accept().await.unwrap();
        let ports = vec![pod.local_addr().unwrap().port()];
        let served = tokio::spawn(serve(io, Protocol::PORT_FORWARD[0], ports, dialer));
        let _unread = pod.accept().await.unwrap();
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        // Until every buffer between the two is full. Were one not, the client would only be missed the sooner.
        let data = Message::Binary(vec![0; 64 << 10].into());
        while tokio::time::timeout(Duration::from_millis(200), client.send(data.clone()))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {}
        drop(client);
        let end = tokio::time::timeout(Duration::from_secs(20), served).await;
        end.expect("the client is not missed").unwrap();
    }
}

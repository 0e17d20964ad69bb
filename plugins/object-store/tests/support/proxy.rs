//! A TCP proxy on loopback that does to each connection what a script says: the faults that networks and servers have.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What happens to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// It is closed at once.
    Drop,
    /// It is reset after that many bytes of the request.
    Reset(usize),
    /// The request's head is read and this is the answer; then it is closed.
    Answer(String),
    /// It is passed on, and closed after that many bytes of the answer.
    Cut(u64),
    /// It is passed on.
    Pass,
    /// It is held open without an answer.
    Silence,
}

/// A proxy. It ends when dropped.
pub(crate) struct Proxy {
    /// Host and port to connect to.
    pub(crate) address: String,
    connections: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before `upstream`. Connections beyond the script get `last`.
    pub(crate) async fn start(upstream: String, script: Vec<Step>, last: Step) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&connections);
        let script = Mutex::new(VecDeque::from(script));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let step = script.lock().unwrap().pop_front().unwrap_or_else(|| last.clone());
                let upstream = upstream.clone();
                // A connection that ends badly is what this is for.
                tokio::spawn(async move { drop(play(step, client, &upstream).await) });
            }
        });
        Self { address, connections, task }
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(step: Step, mut client: TcpStream, upstream: &str) -> io::Result<()> {
    match step {
        Step::Drop => {}
        Step::Reset(bytes) => {
            client.read_exact(&mut vec![0; bytes]).await?;
            // Closing without waiting for what is under way sends a reset.
            client.set_zero_linger()?;
        }
        Step::Answer(answer) => {
            read_head(&mut client).await?;
            client.write_all(answer.as_bytes()).await?;
            client.shutdown().await?;
            // What of the request is still under way is taken in, so that closing does not reset.
            copy(&mut client, &mut sink()).await?;
        }
        Step::Cut(bytes) => pass(client, upstream, bytes).await?,
        Step::Pass => pass(client, upstream, u64::MAX).await?,
        Step::Silence => {
            copy(&mut client, &mut sink()).await?;
        }
    }
    Ok(())
}

async fn read_head(client: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(())
}

async fn pass(client: TcpStream, upstream: &str, answer_bytes: u64) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let request = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    // Cut only what there is: before the answer comes, the request would be cut as well.
    from_server.readable().await?;
    copy(&mut from_server.take(answer_bytes), &mut to_client).await?;
    request.abort();
    Ok(())
}

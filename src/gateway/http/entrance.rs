//! Where connections come in: as many as there is room for, each with little held for it, and none
//! kept whose other end takes nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

/// For how long a connection may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(30);
/// About how many bytes the system holds for one that takes little, besides what we hold.
const SEND_BUFFER: usize = 64 * 1024;
/// How many connections beyond those there is room for are told so at a time.
const TOLD_MAX: usize = 64;
/// How long a connection may be there before it says anything.
const SILENT: Duration = Duration::from_secs(10);

/// A listener with room for so many connections.
pub(super) struct Entrance {
    listener: TcpListener,
    room: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

/// A connection, as long as it is there.
pub(super) struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    has_room: bool,
    _place: Option<OwnedSemaphorePermit>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Whether there is room for it.
    pub(super) has_room: bool,
}

impl Entrance {
    /// With room for so many.
    pub(super) fn new(listener: TcpListener, connections: usize) -> Self {
        let connections = connections.min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            room: Arc::new(Semaphore::new(connections)),
            spare: Arc::new(Semaphore::new(TOLD_MAX)),
        }
    }

    /// A place for a connection, and whether it is one of those there is room for.
    async fn place(&self) -> (bool, Option<OwnedSemaphorePermit>) {
        if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
            return (true, Some(place));
        }
        tokio::select! {
            biased;
            place = Arc::clone(&self.room).acquire_owned() => (true, place.ok()),
            place = Arc::clone(&self.spare).acquire_owned() => (false, place.ok()),
        }
    }
}

impl Listener for Entrance {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let (has_room, place) = self.place().await;
        // Whether or not the system does as it is told: it is only about how much it holds.
        let _held = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let _soon = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALLED));
        stream.set_read_timeout(Some(SILENT));
        let connection = Connection {
            stream: Box::pin(stream),
            has_room,
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Entrance>) -> Self {
        Self {
            address: *stream.remote_addr(),
            has_room: stream.io().has_room,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = self.stream.as_mut().poll_read(context, into);
        if into.filled().len() > before && self.has_room {
            // Whoever has asked may be told things for as long as it likes to hear.
            self.stream.as_mut().set_read_timeout_pinned(None);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

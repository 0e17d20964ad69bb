//! Bytes of an answer's body as the parser wants them: buffered, sanitised, and bounded per event.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::{EVENT_BYTES_MAX, sanitise::Sanitiser};

/// A body as it arrives, already decompressed.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = larder_sdk::Result<Bytes>> + Send>>;

/// The parser's input.
pub(super) struct Source {
    stream: ByteStream,
    sanitiser: Sanitiser,
    current: Bytes,
    ended: bool,
    /// Bytes the current event may still take.
    allowance: usize,
    /// What went wrong on the wire; the parser only learns that something did.
    failed: Option<larder_sdk::Error>,
}

impl Source {
    pub(super) fn new(stream: ByteStream) -> Self {
        Self {
            stream,
            sanitiser: Sanitiser::default(),
            current: Bytes::new(),
            ended: false,
            allowance: EVENT_BYTES_MAX,
            failed: None,
        }
    }

    /// Begins a new event: it may take [`EVENT_BYTES_MAX`] bytes.
    pub(super) fn allow(&mut self) {
        self.allowance = EVENT_BYTES_MAX;
    }

    /// The error of the wire behind the parser's I/O error, if that was its cause.
    pub(super) fn take_failure(&mut self) -> Option<larder_sdk::Error> {
        self.failed.take()
    }

    /// Makes `current` non-empty, unless the body has ended.
    fn poll_current(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.current.is_empty() && !self.ended {
            match ready!(self.stream.as_mut().poll_next(cx)) {
                Some(Ok(piece)) => self.current = self.sanitiser.feed(piece),
                Some(Err(error)) => {
                    self.ended = true;
                    self.failed = Some(error);
                    return Poll::Ready(Err(io::Error::other("the answer broke off")));
                }
                None => {
                    self.ended = true;
                    self.current = self.sanitiser.finish();
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Source {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_current(cx))?;
        if this.allowance == 0 && !this.current.is_empty() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a tag or text of over {EVENT_BYTES_MAX} bytes"),
            )));
        }
        let length = this.current.len().min(this.allowance);
        Poll::Ready(Ok(&this.current[..length]))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        let amount = amount.min(this.current.len());
        let _ = this.current.split_to(amount);
        this.allowance = this.allowance.saturating_sub(amount);
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = available.len().min(buffer.remaining());
        buffer.put_slice(&available[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}

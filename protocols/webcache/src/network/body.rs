//! Bodies on streams between nodes (Q33).

use std::time::Duration;

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use wire::Limiter;

use super::message::MAX_CHUNK;
use crate::body::{Body, BoxError};

/// A body that comes on a stream. One that ends without its last, empty frame is an error.
pub(super) fn receive<S>(stream: S) -> Body
where
    S: AsyncRead + Send + Unpin + 'static,
{
    let chunks = stream::try_unfold(stream, |mut stream| async move {
        let chunk = wire::read_frame(&mut stream, MAX_CHUNK).await?;
        Ok::<_, BoxError>((!chunk.is_empty()).then(|| (Frame::data(chunk), stream)))
    });
    StreamBody::new(chunks).boxed_unsync()
}

/// Writes a body to a stream as fast as that takes it and `limiter` lets it, and gives its size.
///
/// # Errors
/// When the body breaks off, or the stream takes nothing for `stall`.
pub(super) async fn send<S>(
    stream: &mut S,
    mut body: Body,
    stall: Duration,
    limiter: Option<&Limiter>,
) -> Result<usize, BoxError>
where
    S: AsyncWrite + Unpin,
{
    let mut sent = 0;
    while let Some(frame) = body.frame().await.transpose()? {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        for chunk in data.chunks(MAX_CHUNK) {
            if let Some(limiter) = limiter {
                limiter.take(chunk.len()).await;
            }
            let writing = wire::write_frame(stream, chunk, MAX_CHUNK);
            tokio::time::timeout(stall, writing).await??;
            sent += chunk.len();
        }
        // It may be all for a while: the body is still coming.
        tokio::time::timeout(stall, stream.flush()).await??;
    }
    let end = async {
        wire::write_frame(stream, &[], MAX_CHUNK).await?;
        stream.flush().await?;
        Ok::<_, BoxError>(())
    };
    tokio::time::timeout(stall, end).await??;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    use super::*;

    const STALL: Duration = Duration::from_secs(5);

    fn body(parts: &'static [&'static str], breaks: bool) -> Body {
        let parts = parts.iter().map(|part| Ok(Frame::data((*part).into())));
        let error = breaks.then(|| Err("broken".into()));
        StreamBody::new(stream::iter(parts.chain(error))).boxed_unsync()
    }

    async fn carried(sent: Body) -> Result<Vec<u8>, BoxError> {
        let (mut near, far) = {
            let (near, far) = tokio::io::duplex(1000);
            (near.compat(), far.compat())
        };
        let sending = tokio::spawn(async move {
            let _ = send(&mut near, sent, STALL, None).await;
        });
        let got = receive(far)
            .collect()
            .await
            .map(|all| all.to_bytes().to_vec());
        sending.await?;
        got
    }

    #[tokio::test]
    async fn a_body_comes_whole_or_not_at_all() {
        assert_eq!(carried(body(&[], false)).await.unwrap(), b"");
        assert_eq!(carried(body(&["ab", "c"], false)).await.unwrap(), b"abc");
        assert!(carried(body(&["ab", "c"], true)).await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_carried_in_small_pieces() {
        let large = vec![7u8; 300_000];
        let sent = http_body_util::Full::new(large.clone().into());
        let sent = sent.map_err(|never| match never {}).boxed_unsync();
        assert_eq!(carried(sent).await.unwrap(), large);
    }

    #[tokio::test(start_paused = true)]
    async fn all_bodies_together_keep_to_the_rate() {
        let limiter = Limiter::new(64 * 1024, Duration::ZERO);
        let begin = tokio::time::Instant::now();
        let large = || {
            let whole = http_body_util::Full::new(vec![7u8; 4 * MAX_CHUNK].into());
            whole.map_err(|never| match never {}).boxed_unsync()
        };
        let (mut one, mut other) = (futures::io::sink(), futures::io::sink());
        let sent = tokio::join!(
            send(&mut one, large(), STALL, Some(&limiter)),
            send(&mut other, large(), STALL, Some(&limiter)),
        );
        assert_eq!(
            (sent.0.unwrap(), sent.1.unwrap()),
            (4 * MAX_CHUNK, 4 * MAX_CHUNK)
        );
        // Eight pieces of a second each, of which the first goes at once.
        assert_eq!(begin.elapsed(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up() {
        let (near, far) = tokio::io::duplex(10);
        let mut near = near.compat();
        let sent = send(
            &mut near,
            body(&["more than ten bytes"], false),
            STALL,
            None,
        );
        assert!(sent.await.is_err());
        drop(far);
    }
}

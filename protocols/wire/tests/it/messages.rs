//! W4 to W7: messages.

use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p_swarm::Stream;
use wire::{Command, Event, frame_header};

use crate::probe::{MAX_FRAME, MESSAGES, Node, QUEUE, STREAMS, both, connected, during, raw, wait};

fn received(event: Event) -> Option<Bytes> {
    match event {
        Event::Received(message) => Some(message),
        _ => None,
    }
}

#[tokio::test]
async fn messages_arrive_in_order_both_ways() {
    let (mut a, mut b) = connected(both(), both()).await;
    for message in [b"one".as_slice(), b"two", b""] {
        a.command(b.peer, Command::Send(Bytes::from_static(message)));
        assert_eq!(wait(&mut b, &mut a, received).await, message);
    }
    b.send(a.peer, b"back");
    assert_eq!(wait(&mut a, &mut b, received).await, b"back".as_slice());
    let longest = Bytes::from(vec![7; MAX_FRAME]);
    a.command(b.peer, Command::Send(longest.clone()));
    assert_eq!(wait(&mut b, &mut a, received).await, longest);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let (mut a, mut b) = connected(both(), both()).await;
    // The stream is not open yet, so all of these wait in the queue.
    for _ in 0..QUEUE + 3 {
        a.send(b.peer, b"x");
    }
    let mut arrived = 0;
    let dropped = wait(&mut a, &mut b, |event| match event {
        Event::QueueFull { dropped } => Some(dropped),
        _ => None,
    })
    .await;
    assert_eq!(dropped, 3);
    a.send(b.peer, b"x");
    a.command(b.peer, Command::Send(Bytes::from(vec![0; MAX_FRAME + 1])));
    wait(&mut a, &mut b, |event| {
        matches!(event, Event::QueueFull { dropped: 1 }).then_some(())
    })
    .await;
    b.send(a.peer, b"end");
    wait(&mut a, &mut b, |event| {
        arrived += 1;
        received(event)
    })
    .await;
    assert_eq!(arrived, 1);
}

async fn open_raw(from: &mut Node, to: &mut Node) -> Stream {
    from.command(to.peer, Command::OpenStream { id: 1 });
    wait(from, to, |event| match event {
        Event::StreamOpened { stream, .. } => Some(stream),
        Event::StreamFailed { error, .. } => panic!("not opened: {error}"),
        _ => None,
    })
    .await
}

/// What a peer that breaks the framing does to the other: its stream goes, the
/// connection and other streams stay.
async fn breaks_framing(garbage: &[u8]) {
    let (mut bad, mut good) = connected(raw(MESSAGES), both()).await;
    let mut stream = open_raw(&mut bad, &mut good).await;
    stream.write_all(garbage).await.expect("the stream is open");
    stream.flush().await.expect("the stream is open");
    wait(&mut good, &mut bad, |event| match event {
        Event::MessagesFailed(why) => Some(why),
        Event::Received(_) => panic!("garbage became a message"),
        _ => None,
    })
    .await;
    // It was dropped there, and a new one works.
    let mut stream = open_raw(&mut bad, &mut good).await;
    stream
        .write_all(b"\x02ok")
        .await
        .expect("the stream is open");
    stream.flush().await.expect("the stream is open");
    assert_eq!(wait(&mut good, &mut bad, received).await, b"ok".as_slice());
}

#[tokio::test]
async fn oversized_frames_are_refused() {
    breaks_framing(&frame_header(MAX_FRAME + 1)).await;
    breaks_framing(&frame_header(u32::MAX as usize)).await;
}

#[tokio::test]
async fn garbage_prefixes_are_refused() {
    breaks_framing(&[0xff; 16]).await;
    breaks_framing(&[0x81, 0x00, 1]).await;
}

#[tokio::test]
async fn of_the_peers_message_streams_the_newest_win() {
    let (mut many, mut one) = connected(raw(MESSAGES), both()).await;
    let mut first = open_raw(&mut many, &mut one).await;
    let mut later = Vec::new();
    for _ in 0..wire::MAX_INBOUND_MESSAGE_STREAMS {
        later.push(open_raw(&mut many, &mut one).await);
    }
    for stream in &mut later {
        stream
            .write_all(b"\x05fresh")
            .await
            .expect("the stream is open");
        stream.flush().await.expect("the stream is open");
        assert_eq!(
            wait(&mut one, &mut many, received).await,
            b"fresh".as_slice()
        );
    }
    // The oldest was dropped: its reading side ends or fails.
    let read = during(&mut many, &mut one, async { first.read(&mut [0]).await }).await;
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_dropped_stream_is_opened_again() {
    // The reader takes our message streams as raw ones and drops them.
    let (mut a, mut b) = connected(both(), raw(MESSAGES)).await;
    for _ in 0..3 {
        let mut stream = send_until_opened(&mut a, &mut b).await;
        let mut frame = [0; 6];
        during(&mut a, &mut b, stream.read_exact(&mut frame))
            .await
            .expect("the frame comes");
        assert_eq!(&frame, b"\x05hello");
    }
}

/// A message written just before the peer's reset arrives is lost (W5), so the sender
/// repeats it as a protocol with acknowledgements would.
async fn send_until_opened(a: &mut Node, b: &mut Node) -> Stream {
    let inbound = |event| match event {
        Event::Inbound(stream) => Some(stream),
        _ => None,
    };
    loop {
        a.send(b.peer, b"hello");
        let opened = tokio::time::timeout(Duration::from_millis(100), wait(b, a, inbound));
        if let Ok(stream) = opened.await {
            return stream;
        }
    }
}

#[tokio::test]
async fn a_peer_without_the_protocol_is_reported() {
    let (mut a, mut b) = connected(both(), raw(STREAMS)).await;
    a.send(b.peer, b"anyone?");
    wait(&mut a, &mut b, |event| {
        matches!(event, Event::MessagesUnsupported).then_some(())
    })
    .await;
    a.send(b.peer, b"anyone?");
    wait(&mut a, &mut b, |event| {
        matches!(event, Event::QueueFull { .. }).then_some(())
    })
    .await;
}

//! W8 and W9: raw streams.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p_swarm::StreamProtocol;
use wire::{
    Command, Event, HandlerConfig, MAX_PENDING_OPENS, StreamError, read_frame, write_frame,
};

use crate::probe::{both, connected, during, raw, wait};

#[tokio::test]
async fn streams_are_handed_to_both_sides() {
    let (mut a, mut b) = connected(both(), both()).await;
    a.command(b.peer, Command::OpenStream { id: 42 });
    let mut ours = wait(&mut a, &mut b, |event| match event {
        Event::StreamOpened { id: 42, stream, .. } => Some(stream),
        _ => None,
    })
    .await;
    let mut theirs = wait(&mut b, &mut a, |event| match event {
        Event::Inbound(stream) => Some(stream),
        _ => None,
    })
    .await;
    during(&mut a, &mut b, async {
        write_frame(&mut ours, b"ping", 64).await.expect("written");
        ours.flush().await.expect("flushed");
        assert_eq!(
            read_frame(&mut theirs, 64).await.expect("read"),
            b"ping".as_slice()
        );
        write_frame(&mut theirs, b"pong", 64)
            .await
            .expect("written");
        theirs.close().await.expect("closed");
        assert_eq!(
            read_frame(&mut ours, 64).await.expect("read"),
            b"pong".as_slice()
        );
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.expect("a clean end");
        assert!(rest.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_older_version_is_spoken_where_there_is_no_newer_one() {
    let old = StreamProtocol::new("/test/old/1.0.0");
    let mut config = raw(StreamProtocol::new("/test/new/1.1.0"));
    let streams = config.streams.as_mut().expect("raw streams");
    streams.older.push(old.clone());
    let (mut a, mut b) = connected(config, raw(old.clone())).await;
    a.command(b.peer, Command::OpenStream { id: 1 });
    let agreed = wait(&mut a, &mut b, |event| match event {
        Event::StreamOpened {
            id: 1, protocol, ..
        } => Some(protocol),
        _ => None,
    })
    .await;
    assert_eq!(agreed, old);
    b.command(a.peer, Command::OpenStream { id: 2 });
    wait(&mut a, &mut b, |event| {
        matches!(event, Event::Inbound(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unsupported_protocol_fails_the_open() {
    let other = StreamProtocol::new("/test/other/1.0.0");
    let (mut a, mut b) = connected(raw(other), both()).await;
    a.command(b.peer, Command::OpenStream { id: 7 });
    let error = wait(&mut a, &mut b, |event| match event {
        Event::StreamFailed { id: 7, error } => Some(error),
        _ => None,
    })
    .await;
    assert!(matches!(error, StreamError::Unsupported), "{error}");
}

#[tokio::test]
async fn opens_without_room_or_configuration_fail_at_once() {
    let without = HandlerConfig {
        streams: None,
        ..both()
    };
    let (mut a, mut b) = connected(without, both()).await;
    a.command(b.peer, Command::OpenStream { id: 1 });
    let error = wait(&mut a, &mut b, |event| match event {
        Event::StreamFailed { error, .. } => Some(error),
        _ => None,
    })
    .await;
    assert!(matches!(error, StreamError::NotConfigured), "{error}");

    let (mut a, mut b) = connected(both(), both()).await;
    let asked = 4 * MAX_PENDING_OPENS;
    for id in 0..asked as u64 {
        a.command(b.peer, Command::OpenStream { id });
    }
    let mut answers = 0;
    wait(&mut a, &mut b, |event| {
        match event {
            Event::StreamOpened { .. } => answers += 1,
            Event::StreamFailed { .. } => answers += 1,
            _ => {}
        }
        (answers == asked).then_some(())
    })
    .await;
}

//! A server whose objects are as large as their paths say.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[arg(long)]
    listen: String,
}

/// Answers `/BYTES/NAME` until it is ended.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&options.listen)?;
    println!("listens");
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // A proxy that has had enough ends its connection.
            let _ = serve(stream);
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    let chunk = vec![0x5a; 1 << 20];
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let size = line.split(['/', ' ']).nth(2).unwrap_or_default();
        let mut left: usize = size.parse()?;
        let mut field = String::new();
        while input.read_line(&mut field)? > 2 {
            field.clear();
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {left}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        while left > 0 {
            let part = left.min(chunk.len());
            stream.write_all(&chunk[..part])?;
            left -= part;
        }
        line.clear();
    }
    Ok(())
}

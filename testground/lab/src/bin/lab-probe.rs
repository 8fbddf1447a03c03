//! A tiny program for the lab's own tests: it prints its readiness line and
//! then sends or answers packets, so the lab can be tested without any node.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Long enough for a busy machine; an unreachable peer costs a test this much.
const PATIENCE: Duration = Duration::from_millis(800);
/// A connection may have to wait until a neighbour that was away is looked for again, which the kernel
/// does once a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Asks whoever echoes for the address it sees.
const WHO_AM_I: &[u8] = b"who am I";
const PORT: u16 = 7777;
const SINK_PORT: u16 = 7778;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["serve"] => serve(),
        ["serve", "--home", home] => {
            std::fs::write(format!("{home}/started"), "yes")?;
            serve()
        }
        ["udp", address] => udp(address.parse()?),
        ["tcp", address] => tcp(address.parse()?),
        ["measure", address, count] => measure(address.parse()?, count.parse()?),
        ["seen-as", port, addresses @ ..] => seen_as(port.parse()?, addresses),
        ["sink"] => sink(),
        ["blast", address, bytes] => blast(address.parse()?, bytes.parse()?),
        ["bulk", address, bytes] => bulk(address.parse()?, bytes.parse()?),
        ["listen-multicast"] => listen_multicast(),
        ["multicast"] => multicast(),
        ["fail", text] => {
            eprintln!("{text}");
            std::process::exit(1)
        }
        _ => bail!(
            "serve | udp ADDRESS | tcp ADDRESS | measure ADDRESS COUNT | bulk ADDRESS BYTES | seen-as PORT ADDRESS... | sink | blast ADDRESS BYTES | listen-multicast | multicast | fail TEXT"
        ),
    }
}

/// Echoes UDP and TCP on both families until it is killed.
fn serve() -> Result<()> {
    // The IPv6 wildcard takes IPv4 as well; without IPv6 fall back to IPv4.
    let any6 = SocketAddr::from(([0u16; 8], PORT));
    let any4 = SocketAddr::from(([0u8; 4], PORT));
    let udp = UdpSocket::bind(any6).or_else(|_| UdpSocket::bind(any4))?;
    let tcp = TcpListener::bind(any6).or_else(|_| TcpListener::bind(any4))?;
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let _ = echo(stream);
        }
    });
    println!("READY=1");
    let mut buffer = [0; 1500];
    loop {
        let (length, from) = udp.recv_from(&mut buffer)?;
        if &buffer[..length] == WHO_AM_I {
            let seen = SocketAddr::new(from.ip().to_canonical(), from.port());
            udp.send_to(seen.to_string().as_bytes(), from)?;
        } else {
            udp.send_to(&buffer[..length], from)?;
        }
    }
}

/// Sends datagrams and prints how many were answered and the shortest time that took,
/// microseconds. The next one goes when one was answered, or after 20 ms; at the end it
/// waits until nothing has come for 300 ms.
fn measure(address: IpAddr, count: u32) -> Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect((address, PORT))?;
    let mut sent: Vec<Option<Instant>> = Vec::new();
    let (mut answered, mut least) = (0, Duration::MAX);
    loop {
        let all_sent = sent.len() == count as usize;
        if !all_sent {
            let number = u32::try_from(sent.len())?;
            sent.push(Some(Instant::now()));
            socket.send(&number.to_be_bytes())?;
        }
        let patience = if all_sent { 300 } else { 20 };
        socket.set_read_timeout(Some(Duration::from_millis(patience)))?;
        let mut buffer = [0; 4];
        match socket.recv(&mut buffer) {
            Ok(4) => {
                let number = usize::try_from(u32::from_be_bytes(buffer))?;
                if let Some(begun) = sent.get_mut(number).and_then(Option::take) {
                    answered += 1;
                    least = least.min(begun.elapsed());
                }
            }
            Ok(_) => {}
            Err(_) if all_sent => break,
            Err(_) => {}
        }
    }
    println!("{answered} {}", least.as_micros());
    Ok(())
}

/// Sends bytes over TCP, reads them back, and prints how many seconds that took.
fn bulk(address: IpAddr, bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect((address, PORT))?;
    let mut back = stream.try_clone()?;
    let begun = Instant::now();
    let reader = std::thread::spawn(move || std::io::copy(&mut back, &mut std::io::sink()));
    let chunk = [7; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len());
        stream.write_all(&chunk[..now])?;
        left -= now;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let read = reader.join().map_err(|_| anyhow::anyhow!("no reader"))??;
    if read != bytes as u64 {
        bail!("{read} of {bytes} bytes came back");
    }
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Asks several echoing nodes from one port of ours which address they see, and prints them.
fn seen_as(port: u16, addresses: &[&str]) -> Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    for address in addresses {
        socket.send_to(WHO_AM_I, (*address, PORT))?;
        let mut buffer = [0; 64];
        let (length, _) = socket.recv_from(&mut buffer).context("no answer")?;
        println!("{}", String::from_utf8_lossy(&buffer[..length]));
    }
    Ok(())
}

/// Takes connections until it is killed, reads each to its end and answers how much came.
fn sink() -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", SINK_PORT))?;
    println!("READY=1");
    for stream in listener.incoming() {
        let mut stream = stream?;
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut buffer = vec![0; 256 * 1024];
            let mut count = 0u64;
            loop {
                match stream.read(&mut buffer)? {
                    0 => return stream.write_all(&count.to_be_bytes()),
                    length => count += length as u64,
                }
            }
        });
    }
    Ok(())
}

/// Sends bytes to a sink and prints how many seconds it took until all had come.
fn blast(address: IpAddr, bytes: u64) -> Result<()> {
    let mut stream = TcpStream::connect((address, SINK_PORT))?;
    let begun = Instant::now();
    let chunk = vec![7; 256 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left)?.min(chunk.len());
        stream.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    if u64::from_be_bytes(count) != bytes {
        bail!("{} of {bytes} bytes came", u64::from_be_bytes(count));
    }
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    stream.write_all(&bytes)
}

fn udp(address: IpAddr) -> Result<()> {
    let local: IpAddr = if address.is_ipv4() {
        [0u8; 4].into()
    } else {
        [0u16; 8].into()
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"ping", (address, PORT))?;
    let mut buffer = [0; 16];
    let length = socket.recv(&mut buffer).context("no answer")?;
    println!("{}", String::from_utf8_lossy(&buffer[..length]));
    Ok(())
}

fn tcp(address: IpAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&(address, PORT).into(), CONNECT_PATIENCE)?;
    stream.write_all(&[7; 100_000])?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    println!("{}", answer.len());
    Ok(())
}

fn listen_multicast() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)?;
    println!("READY=1");
    let mut buffer = [0; 16];
    let (_, from) = socket.recv_from(&mut buffer)?;
    println!("heard {}", from.ip());
    Ok(())
}

fn multicast() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(b"all", (GROUP, PORT))?;
    Ok(())
}

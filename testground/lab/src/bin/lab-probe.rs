//! A tiny program for the lab's own tests: it prints its readiness line and
//! then sends or answers packets, so the lab can be tested without any node.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Long enough for a busy machine; an unreachable peer costs a test this much.
const PATIENCE: Duration = Duration::from_millis(800);
const PORT: u16 = 7777;
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
        ["listen-multicast"] => listen_multicast(),
        ["multicast"] => multicast(),
        ["fail", text] => {
            eprintln!("{text}");
            std::process::exit(1)
        }
        _ => bail!("serve | udp ADDRESS | tcp ADDRESS | listen-multicast | multicast | fail TEXT"),
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
        udp.send_to(&buffer[..length], from)?;
    }
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
    let mut stream = TcpStream::connect_timeout(&(address, PORT).into(), PATIENCE)?;
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
